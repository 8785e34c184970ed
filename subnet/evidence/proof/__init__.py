"""What a stranger checks: published evidence, its signatures, its variants, and what the chain says about it."""
