"""`python -m akto_mirror` is the command `akto-mirror`."""

import sys

from akto_mirror.cli.program import main

sys.exit(main())
