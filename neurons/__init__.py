"""The programs: the only place that reads arguments and the environment, and starts processes."""
