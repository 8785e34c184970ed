"""Detectors on the hosts of a cluster, as those see them who ask there: where, how, and what travels between them."""
