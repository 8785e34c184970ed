"""Heads that scikit-learn fits on features, as torch modules: they are stored, served and exported like any network."""
