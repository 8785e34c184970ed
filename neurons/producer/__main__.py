"""`python -m neurons.producer` is `assay producer`."""

import sys

from neurons.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "producer")
    main()
