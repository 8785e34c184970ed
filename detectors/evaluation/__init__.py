"""How good a detector is, measured through the validator's own path: scores, intervals, comparisons, reports."""
