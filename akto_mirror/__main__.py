"""`python -m akto_mirror` is the command `akto-mirror`."""

import sys

from akto_mirror.cli import main

sys.exit(main())
