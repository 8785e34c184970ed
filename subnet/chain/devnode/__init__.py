"""A development chain on the real runtime metadata."""
