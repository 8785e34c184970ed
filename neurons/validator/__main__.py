"""`python -m neurons.validator` is `assay validator`."""

import sys

from neurons.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "validator")
    main()
