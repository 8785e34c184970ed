"""What is written down so that anybody can check it: records, the journal, the state, and explanations."""
