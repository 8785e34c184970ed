"""What travels between validator and miner: synapses, signatures, admission, the axon and the dendrite."""
