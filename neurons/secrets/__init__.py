"""What only a validator or a producer may know: who has it foresees the rounds."""
