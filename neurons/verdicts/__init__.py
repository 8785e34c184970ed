"""What a person is told of a file: files as people have them, verdicts with their scope, and explanations."""
