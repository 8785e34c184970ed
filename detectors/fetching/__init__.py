"""Weights that are published and do not ship: bringing them, keeping them, and whether a machine can hold them."""
