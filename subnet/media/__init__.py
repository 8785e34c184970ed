"""Where challenges come from: codec, sources, pool, and the embedded set."""
