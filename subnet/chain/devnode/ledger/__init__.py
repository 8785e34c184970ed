"""What the development chain knows and does: its state, the rules of each call, and who is paid. Pure."""
