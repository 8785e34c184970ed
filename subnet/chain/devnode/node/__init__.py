"""The running node: blocks, the JSON-RPC that serves them, and the faults that it can be given."""
