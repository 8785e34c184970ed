"""Pixels as numpy arrays on their way to a network: importing this room imports no torch."""
