"""What operators ask of a program that runs, or is about to: how it stands, and which settings it has and why."""
