"""A spool in a folder, for tests of one process or of several that share it."""

from __future__ import annotations

from pathlib import Path

from akto_mirror.delivery.spool import schema
from akto_mirror.delivery.spool.spool import Spool
from tests.faults.driver import Clock

BATCH = [b'{"n":1}', b'{"n":2}', '{"n":"Grüße"}'.encode()]


FILE = next(schema.names())


def spool(folder: Path, owner: str = "me", *, clock: Clock | None = None, limit: int = 10**6) -> Spool:
    """Return a spool in a folder."""
    clock = clock or Clock()
    return Spool(folder / "spool", target="t", limit=limit, owner=owner, clock=clock.wall, monotonic=clock.monotonic)
