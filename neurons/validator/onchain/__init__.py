"""What a validator says on chain beside weights: its epochs, and whether it is the only one with its hotkey."""
