"""The study of patches: runs, a table for each experiment, pictures."""
