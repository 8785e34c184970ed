"""Judging on other machines: on a Ray cluster (Ray Data, the extra `ray`), and by what is asked from afar."""
