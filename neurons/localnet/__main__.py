"""`python -m neurons.localnet` is `assay localnet`."""

from neurons.__main__ import start

if __name__ == "__main__":
    start("localnet")
