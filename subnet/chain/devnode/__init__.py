"""A development chain: a node on the real runtime metadata that the unmodified SDK talks to.

`ledger` is its game (pure), `runtime` how the ledger looks in SCALE, `node` the blocks and the wire around them, `keys`
the well-known keys. Run it: python -m subnet.chain.devnode
"""
