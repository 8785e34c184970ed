"""`python -m neurons.validator` is `assay validator`."""

from neurons.__main__ import start

if __name__ == "__main__":
    start("validator")
