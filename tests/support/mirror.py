"""A mitmdump with the addon and the ingestion service that its entries go to."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror.ingestion.service import Receiver
from tests.support.proxy import ADDON, DEADLINE, Proxy, confdir, running_mitmdump

Entry = dict[str, Any]


@dataclass(frozen=True)
class Mirror:
    """The running proxy and what arrives at Akto."""

    proxy: Proxy
    akto: Receiver

    def entries(self, path: str, count: int = 1) -> list[Entry]:
        """Wait until at least `count` entries of this path have arrived, and return all of them.

        Raises:
            AssertionError: fewer came in time; the text holds mitmdump's output.
        """
        deadline = time.monotonic() + DEADLINE
        while len(found := [entry for entry in self.akto.entries if entry["path"] == path]) < count:
            if time.monotonic() > deadline:
                output = "\n".join(self.proxy.log)
                raise AssertionError(f"{len(found)} of {count} entries for {path} arrived; mitmdump said:\n{output}")
            time.sleep(0.01)
        return found

    def entry(self, path: str) -> Entry:
        """Wait for the one entry of this path.

        Raises:
            AssertionError: none came in time, or several have come.
        """
        (only,) = self.entries(path)
        return only


@contextmanager
def mirroring(
    *modes: str,
    options: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    scripts: Sequence[Path] = (ADDON,),
) -> Iterator[Mirror]:
    """Run mitmdump with the addon and an ingestion service; entries are sent at once.

    After the block the proxy has ended and flushed, so that `akto.entries` is complete.
    """
    with Receiver() as akto:
        settings = {"akto_url": akto.url, "akto_linger_ms": "10"} | dict(options or {})
        with running_mitmdump(*modes, options=settings, arguments=arguments, env=env, scripts=scripts) as proxy:
            yield Mirror(proxy, akto)


def trust_proxy() -> ssl.SSLContext:
    """Return a client's context that trusts the proxies of `running_mitmdump`."""
    return ssl.create_default_context(cafile=str(confdir() / "mitmproxy-ca-cert.pem"))


def headers(entry: Entry, which: str) -> dict[str, str]:
    """Return the headers in an entry's `requestHeaders` or `responseHeaders`."""
    return dict(json.loads(entry[which]))
