"""Writes the port that the proxy got to the file that BENCH_PORT_FILE names; it has no hook that a request calls."""

import os
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver


def running() -> None:
    """Write the port; the file appears complete or not at all."""
    server = ctx.master.addons.get("proxyserver")
    if not isinstance(server, Proxyserver):
        raise TypeError("this mitmproxy has no proxyserver addon")
    ready = Path(os.environ["BENCH_PORT_FILE"])
    half = ready.with_suffix(".half")
    half.write_text(str(server.listen_addrs()[0][1]))
    half.rename(ready)
