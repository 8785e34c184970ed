"""The command that writes cards of weights."""
