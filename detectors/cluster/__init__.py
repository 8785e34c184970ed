"""Judging on a Ray cluster (Ray Data, the extra `ray`): decoded on CPUs, networks on cards."""
