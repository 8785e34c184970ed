"""Recipes of the field in `assay train`: its flags, what they choose, and the twins that they ask for."""
