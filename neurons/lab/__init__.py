"""The reward laboratory: strategies play against the real rules, and what they earn is measured."""
