"""What there is to choose from: detectors and generators, listed, and the weights that are fetched."""
