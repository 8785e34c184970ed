"""The report on one file: all that is said of it, as a page that needs nothing else."""
