"""Classifiers that others published, as detectors: repositories of transformers, discriminators of GANs."""
