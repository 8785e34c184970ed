"""A mask of synthetic pixels beside the answer on the picture, and pictures with known masks to learn it from."""
