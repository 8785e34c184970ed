"""Judging on the hosts of a cluster: how a miner asks there, and what travels between them."""
