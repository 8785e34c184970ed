"""The rules, pure: what is asked of whom, how it is varied, how answers become scores and weights."""
