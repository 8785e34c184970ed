"""Ready media on disk: items, who was asked what, filling, upkeep."""
