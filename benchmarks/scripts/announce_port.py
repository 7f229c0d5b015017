"""Writes the port that the proxy got to a file of each process, beside the one that BENCH_PORT_FILE names.

It has no hook that a request calls.
"""

import os
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver


def running() -> None:
    """Write the port; the file appears complete or not at all."""
    server = ctx.master.addons.get("proxyserver")
    if not isinstance(server, Proxyserver):
        raise TypeError("this mitmproxy has no proxyserver addon")
    ready = Path(f"{os.environ['BENCH_PORT_FILE']}.{os.getpid()}")
    half = ready.with_name(f"half.{os.getpid()}")
    half.write_text(str(server.listen_addrs()[0][1]))
    half.rename(ready)
