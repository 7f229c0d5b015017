"""The local ingestion service: responds as Akto's does, and keeps the entries that arrive."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.access import is_loopback
from akto_mirror.ingestion.arrivals import KEEP_ENTRIES, Answer, Store
from akto_mirror.ingestion.entries.concerns import Concerns, concerns
from akto_mirror.ingestion.handlers import make_app

# Only the handler for entries needs a body.
SMALL_BODY_BYTES = 65_536


class Receiver(BackgroundServer):
    """The ingestion service on a thread of this process; also a context manager.

    Args:
        host: The address to listen on.
        port: The TCP port; 0 takes a free one, which a later start takes again.
        token: The value that `Authorization` must have, except for `/healthCheck` and for the page itself, which has no
            data; empty: no authentication, and entries are shown only on this machine.
        out: A file to which entries are appended, one JSON object per line.
        keep: How many of the newest entries stay in memory.
        on_answer: Called on the server's thread after each `POST /api/ingestData`.
        uds: Path of a Unix socket to listen on instead of TCP.
        ssl_context: Serves TLS with this server context.
        raise_concerns: Returns the concerns about an entry.

    Raises:
        OSError: If `out` cannot be written.
    """

    def __init__(  # noqa: PLR0913 - each is a setting of its own, given by name
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        out: Path | None = None,
        keep: int = KEEP_ENTRIES,
        on_answer: Callable[[Answer], None] = lambda _: None,
        uds: Path | None = None,
        ssl_context: ssl.SSLContext | None = None,
        raise_concerns: Concerns = concerns,
    ) -> None:
        self.store = Store(keep, out, raise_concerns)
        app = make_app(self.store, token, on_answer, local=uds is not None or is_loopback(host))
        super().__init__(app, host=host, port=port, uds=uds, ssl_context=ssl_context, max_body_bytes=SMALL_BODY_BYTES)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries kept, oldest first, each as it was sent."""
        return [msgspec.json.decode(entry) for entry in self.store.since(0)[1]]

    @property
    def batches(self) -> list[int]:
        """The number of entries of each batch that was answered with 200, oldest first."""
        return list(self.store.batches)

    def wait_for(self, count: int, timeout: float = 10) -> list[dict[str, Any]]:
        """Wait until `count` entries have arrived since the start, for at most `timeout` seconds.

        Returns:
            The entries kept.

        Raises:
            TimeoutError: If fewer arrived in time.
        """
        self.store.wait_for(count, timeout)
        return self.entries
