"""`assay dataset`: real media with synthetic twins, split by photograph and clip, behind a gate for leaks."""
