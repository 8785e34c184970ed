"""`python -m neurons.producer` is `assay producer`."""

from neurons.__main__ import start

if __name__ == "__main__":
    start("producer")
