"""Where challenges come from: folders, the hub, the embedded set, the pool, and whether a container tells the label."""
