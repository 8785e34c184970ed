"""Convolutional networks as feature extractors, and a support vector machine on their principal components."""
