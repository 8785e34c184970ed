"""The chain: one protocol, three backends (the SDK client, memory, and a development node)."""
