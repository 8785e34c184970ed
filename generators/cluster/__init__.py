"""Generators on a Ray cluster: which worker makes what, and how its items come home."""
