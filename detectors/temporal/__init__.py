"""Detectors that look at how frames follow each other: frames through an LSTM, a 3-D network, trajectories."""
