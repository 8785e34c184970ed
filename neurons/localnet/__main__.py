"""`python -m neurons.localnet` is `assay localnet`."""

import sys

from neurons.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "localnet")
    main()
