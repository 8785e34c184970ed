"""`python -m neurons` is `assay`."""

from neurons.cli import main

main()
