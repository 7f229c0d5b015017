"""Runs the command `akto-mirror` with `python -m akto_mirror`."""

import sys

from akto_mirror.cli.program import main

sys.exit(main())
