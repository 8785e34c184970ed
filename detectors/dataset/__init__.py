"""Data sets on disk: which items there are, what folders and names say of them, and the cuts that are kept of them."""
