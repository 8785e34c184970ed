"""`assay validator`: challenges miners, scores them, writes everything down and sets weights."""
