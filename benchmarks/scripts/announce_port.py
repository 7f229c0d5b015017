"""Writes the port that the proxy got to a file of each process, beside the one that BENCH_PORT_FILE names.

Then it unloads itself, so that no request pays for it.
"""

import asyncio
import os
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addons.proxyserver import Proxyserver


def running() -> None:
    """Unload this script and write the port once no other hook is under way."""
    asyncio.get_running_loop().call_soon(_announce)


def _announce() -> None:
    ctx.options.update(scripts=[script for script in ctx.options.scripts if Path(script) != Path(__file__)])
    server = ctx.master.addons.get("proxyserver")
    if not isinstance(server, Proxyserver):
        raise TypeError("this mitmproxy has no proxyserver addon")
    _write(str(server.listen_addrs()[0][1]))


def _write(port: str) -> None:
    """Write the port; the file appears complete or not at all."""
    ready = Path(f"{os.environ['BENCH_PORT_FILE']}.{os.getpid()}")
    half = ready.with_name(f"half.{os.getpid()}")
    half.write_text(port)
    half.rename(ready)
