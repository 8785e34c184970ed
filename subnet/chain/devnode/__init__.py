"""A development chain: a node on the real runtime metadata that the unmodified SDK talks to.

The game is pure: `genesis` (how it begins), `state` (a frozen value), `rules` (what each call does or why it is
refused), `yuma` and `epoch` (who is paid). Around it: `metadata`, `storage`, `runtime`, `extrinsics`, `reveal` (SCALE),
`chain` (blocks), `rpc` and `server` (the wire), `faults` (what can be made to go wrong).
Run it: python -m subnet.chain.devnode
"""
