"""How many connections one client connection may hold open to a target.

mitmproxy allows five, for as long as each lives (`ConnectionHandler.max_conns` in mitmproxy/proxy/server.py): with five
event streams on one HTTP/2 connection, a sixth request to an HTTP/1 target would get no answer.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any


def allow(handler: Any, most: int) -> None:
    """Set how many connections a client's connection may hold open to each target.

    Args:
        handler: mitmproxy's, of the client's connection; one without such a bound is left alone.
        most: 0 leaves mitmproxy's bound.
    """
    if most and hasattr(handler, "max_conns"):
        handler.max_conns = defaultdict(lambda: asyncio.Semaphore(most))
