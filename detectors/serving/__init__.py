"""The same answers, sooner: other backends, layouts and precisions for the networks of detectors."""
