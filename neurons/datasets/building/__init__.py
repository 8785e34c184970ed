"""A training set out of public photographs and the catalog of generators, split by photograph and by generator."""
