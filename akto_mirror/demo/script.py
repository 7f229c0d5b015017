"""A script for the demo's mitmdump: reports the port, and shuts mitmdump down when the demo has ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

from mitmproxy import ctx

# Names the file that the port is written to.
PORT_VARIABLE = "AKTO_MIRROR_DEMO_PORT"


def running() -> None:
    """Write the port to the file, which appears atomically, and wait for the end of standard input on a thread.

    mitmproxy calls this when its servers listen. Standard input ends when the demo closes it, and also when the demo is
    killed; no signal is needed, which not every system has.
    """
    threading.Thread(target=_end_with_input, args=(ctx.master.shutdown,), daemon=True).start()
    _, port, *_ = ctx.master.addons.get("proxyserver").listen_addrs()[0]
    file = Path(os.environ[PORT_VARIABLE])
    part = file.with_suffix(".part")
    part.write_text(str(port))
    part.replace(file)


def _end_with_input(end: Callable[[], None]) -> None:
    # Unlike a read of sys.stdin, this holds no lock that would disturb the interpreter when it ends otherwise.
    while os.read(0, 1024):
        pass
    end()
