"""Steps of `assay evaluate` that have a page of their own."""
