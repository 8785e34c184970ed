"""CAMO, the content-aware mixture of experts: its table, how gates open, the mixture itself, and how it is trained."""
