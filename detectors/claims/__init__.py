"""What may be said of an answer: what was measured of weights, how far they reach, and the sentence that follows."""
