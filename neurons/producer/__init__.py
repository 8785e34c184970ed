"""`assay producer`: keeps the pool of ready media filled, from what the plan names."""
