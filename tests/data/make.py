"""Writes what mitmproxy itself makes: `flows.mitm`, and of the same flows `mitmproxy.har`.

Run it with the oldest mitmproxy that is supported, whose files newer ones read: python -m tests.data.make
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

from mitmproxy import flow, http, io
from mitmproxy.addons.savehar import SaveHar
from mitmproxy.test import tflow

from tests.support import flows as made

FOLDER = Path(__file__).parent
HOST = (b"Host", b"api.example.com")
HTML = ((b"content-type", b"text/html"),)
GZIPPED = (*made.JSON, (b"content-encoding", b"gzip"))
UPGRADE = (HOST, (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket"))


def exchanges() -> Iterator[flow.Flow]:
    """Make what a short session leaves: shipped, skipped, broken off, a WebSocket, and what is no HTTP."""
    asked = made.request(b"POST", b"/api/items?x=1", fields=(HOST, *made.JSON), content='{"name":"Jürgen"}'.encode())
    yield made.flow(asked, made.response(201, b"Created", fields=GZIPPED, content=gzip.compress(b'{"id":1}', mtime=0)))
    yield made.flow(made.request(path=b"/"), made.response(fields=HTML, content=b"<html>"))
    yield made.flow(made.request(path=b"/api/missing"), made.response(404, b"Not Found"))
    yield _websocket()
    yield _broken()
    yield tflow.ttcpflow()


def _websocket() -> http.HTTPFlow:
    accepted = made.flow(
        made.request(path=b"/live", fields=UPGRADE), made.response(101, b"Switching Protocols", fields=())
    )
    accepted.websocket = tflow.twebsocket()
    return accepted


def _broken() -> http.HTTPFlow:
    cut = made.flow(made.request(path=b"/api/slow"))
    cut.response, cut.error = None, flow.Error("server disconnected", made.TIME)
    return cut


def main() -> None:
    """Write both files."""
    all_flows = list(exchanges())
    with (FOLDER / "flows.mitm").open("wb") as file:
        writer = io.FlowWriter(file)
        for number, item in enumerate(all_flows):
            item.id = f"00000000-0000-0000-0000-{number:012}"
            if isinstance(item, http.HTTPFlow):
                item.server_conn.timestamp_tcp_setup = None  # No made-up seconds in the HAR file's sum of timings.
            writer.add(item)
    har = SaveHar().make_har(all_flows)
    (FOLDER / "mitmproxy.har").write_text(json.dumps(har, indent=4))


if __name__ == "__main__":
    main()
