"""Recipes that the field found to work, as rows that change a detector's own, and what a training will take."""
