"""Several detectors as one: their calibrated log-odds, weighed by a fitted linear head."""
