"""`python -m neurons.miner` is `assay miner`."""

from neurons.__main__ import start

if __name__ == "__main__":
    start("miner")
