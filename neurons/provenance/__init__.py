"""What a file says of where it came from: clues that stand beside a verdict, and never count towards one."""
