"""Bodies of networks that several detectors share, without any head of theirs."""
