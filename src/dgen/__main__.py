"""Lets `python -m dgen` be the command `dgen`."""

import sys

from dgen.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
