"""CAMO, the content-aware mixture of experts: who judges what, how gates open, how experts and blend are trained."""
