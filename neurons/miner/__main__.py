"""`python -m neurons.miner` is `assay miner`."""

import sys

from neurons.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "miner")
    main()
