"""Patch by patch: an Xception that judges small patches of a picture, and the rules that join their verdicts."""
