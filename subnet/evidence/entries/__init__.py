"""Entries of a journal: how each is tied to the one before, its line of text, and the files of finished ones."""
