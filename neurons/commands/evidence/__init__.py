"""Commands about a validator's evidence: its journal, its state, what it publishes, and how that is checked."""
