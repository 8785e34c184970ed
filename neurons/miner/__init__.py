"""`assay miner`: serves detectors to validators."""
