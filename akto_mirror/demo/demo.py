"""Runs the demo: starts the sample API, the ingestion service and mitmdump, sends requests, and shows the outcomes."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from mitmproxy.exceptions import FlowReadException
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

from akto_mirror import sample_api
from akto_mirror.akto_api import INGEST_PATH
from akto_mirror.background_server import BackgroundServer
from akto_mirror.counts import count
from akto_mirror.demo.proxy import DemoError, mitmdump
from akto_mirror.escaping import printable
from akto_mirror.ingestion.service import Receiver

HOST = "shop.example"
ANSWER_SECONDS = 30.0
CAPTURED = "captured"
MIRRORED = "mirrored"
SHOWN_PATH = "/api/orders"

# RFC 6455: the sample handshake of section 1.2, and frames with a mask of zeroes as in section 5.7.
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}
HELLO_FRAME = b"\x81\x85\0\0\0\0hello"
CLOSE_FRAME = b"\x88\x82\0\0\0\0\x03\xe8"


class Case(NamedTuple):
    """One request and its expected outcome by the capture rules."""

    method: str
    path: str
    outcome: str
    content_type: str = ""
    body: bytes = b""
    upgrade: bool = False


class Row(NamedTuple):
    """One exchange as the proxy recorded it, and whether its entry arrived."""

    method: str
    path: str
    status: int
    content_type: str
    outcome: str
    arrived: bool


CASES = (
    Case("GET", "/api/products", CAPTURED),
    Case("GET", "/api/products/7?all=1", CAPTURED),
    Case("POST", "/api/orders", CAPTURED, "application/json", b'{"product":7,"count":2}'),
    Case("PUT", "/api/products/7", CAPTURED, "application/json", b'{"price":18}'),
    Case("POST", "/api/login", CAPTURED, "application/x-www-form-urlencoded", b"user=ann&password=tea"),
    Case("GET", "/api/report", CAPTURED),
    Case("GET", "/feed", CAPTURED),
    Case("POST", "/soap/stock", CAPTURED, "application/soap+xml", b"<Envelope><Body><Ask>7</Ask></Body></Envelope>"),
    Case("POST", "/shop.Stock/Check", CAPTURED, "application/grpc", b"\0\0\0\0\x02\x08\x07"),
    Case("POST", "/mcp", CAPTURED, "application/json", b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'),
    Case("GET", "/live", CAPTURED, upgrade=True),
    Case("GET", "/private", CAPTURED, upgrade=True),
    Case("GET", "/", "skipped (content type text/html)"),
    Case("GET", "/logo.png", "skipped (content type image/png)"),
    Case("GET", "/old", "skipped (content type text/html)"),
    Case("DELETE", "/api/products/7", "skipped (no content type)"),
    Case("GET", "/api/missing", "skipped (status 404)"),
    Case("GET", "/api/broken", "skipped (status 500)"),
)


def run(say: Callable[[str], None], addon: Path, look: Callable[[str], None] = lambda _: None) -> bool:
    """Run the demo; nothing is left behind.

    Args:
        say: Called with each line to show.
        addon: The path of the script for mitmproxy.
        look: Called at the end with the address of the inventory, which is served until it returns.

    Returns:
        Whether every exchange had the expected outcome, and every entry arrived.

    Raises:
        DemoError: If mitmdump does not start or does not end as it should.
    """
    with (
        tempfile.TemporaryDirectory(prefix="akto-mirror-demo-") as folder,
        BackgroundServer(sample_api.make_app()) as api,
        Receiver() as receiver,
    ):
        say(f"sample API         {api.url}")
        say(f"ingestion service  {receiver.url}")
        flows = Path(folder, "flows.mitm")
        with mitmdump(api.url, receiver.url, addon, flows) as port:
            say(f"proxy              http://127.0.0.1:{port}")
            say(f"\nIn short:\n\n  mitmdump --mode reverse:{api.url} -s {addon} --set akto_url={receiver.url}\n")
            _send_all(port)
        rows = _rows(flows, receiver.entries)
        show(say, rows)
        _show_entries(say, receiver)
        good = judge(say, rows, len(receiver.entries))
        look(receiver.url)
        return good


def _send_all(port: int) -> None:
    base = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=base, headers={"host": HOST}, trust_env=False, timeout=ANSWER_SECONDS) as client:
        for case in CASES:
            _send(client, case)


def _send(client: httpx.Client, case: Case) -> None:
    if case.upgrade:
        _talk(client, case.path)
    else:
        headers = {"content-type": case.content_type} if case.content_type else {}
        client.request(case.method, case.path, headers=headers, content=case.body or None)


def _talk(client: httpx.Client, path: str) -> None:
    """Request a WebSocket and, if the server accepts it, exchange a message and close it."""
    with client.stream("GET", path, headers=UPGRADE) as response:
        if response.status_code == 101:
            stream = response.extensions["network_stream"]
            for frame in (HELLO_FRAME, CLOSE_FRAME):
                stream.write(frame)
                stream.read(1024, timeout=ANSWER_SECONDS)


def _rows(flows: Path, entries: Iterable[dict[str, Any]]) -> list[Row]:
    arrived = Counter((entry["method"], entry["path"]) for entry in entries)
    try:
        with flows.open("rb") as file:
            recorded = [flow for flow in FlowReader(file).stream() if isinstance(flow, HTTPFlow)]
    except (FlowReadException, FileNotFoundError) as error:
        raise DemoError(f"mitmdump left no readable record of the exchanges ({printable(str(error))})") from error
    return [_row(flow, arrived) for flow in sorted(recorded, key=lambda flow: flow.request.timestamp_start)]


def _row(flow: HTTPFlow, arrived: Counter[tuple[str, str]]) -> Row:
    status = flow.response.status_code if flow.response else 0
    sent = flow.request.headers.get("content-type", "")
    answered = flow.response.headers.get("content-type", "") if flow.response else ""
    content_type = answered if sent in ("", answered) else f"{sent} → {answered or '-'}"
    found = arrived[flow.request.method, flow.request.path] > 0
    if flow.request.headers.get("upgrade", "").lower() == "websocket":  # Mirrored with any status and content type.
        content_type = f"WebSocket upgrade{f' → {answered}' if answered else ''}"
    outcome = str(flow.metadata.get("akto", "none"))
    return Row(flow.request.method, flow.request.path, status, content_type, outcome, found)


def show(say: Callable[[str], None], rows: Sequence[Row]) -> None:
    """Write the table of outcomes."""
    lines = [("METHOD", "PATH", "STATUS", "CONTENT TYPE (SENT → ANSWERED)", "OUTCOME")]
    lines += [(row.method, row.path, str(row.status), row.content_type or "-", final_outcome(row)) for row in rows]
    cells = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        say("  ".join(map(str.ljust, line, widths)).rstrip())


def _show_entries(say: Callable[[str], None], receiver: Receiver) -> None:
    entries = receiver.entries
    say(f"\n{count(len(entries), 'entry')} arrived at {receiver.url}{INGEST_PATH}, batches: {len(receiver.batches)}.")
    say(f"The entry of {SHOWN_PATH}:")
    for entry in [entry for entry in entries if entry["path"] == SHOWN_PATH][:1]:
        say(json.dumps(entry, indent=2))


def final_outcome(row: Row) -> str:
    """Return the outcome of an exchange: `mirrored` only if its entry arrived."""
    if row.outcome != CAPTURED:
        return row.outcome
    return MIRRORED if row.arrived else "captured, but it did not arrive"


def judge(say: Callable[[str], None], rows: Sequence[Row], arrived: int) -> bool:
    """Compare the outcomes with the expected ones, and report each difference."""
    found = {(row.method, row.path): final_outcome(row) for row in rows}
    wanted = {(case.method, case.path): MIRRORED if case.outcome == CAPTURED else case.outcome for case in CASES}
    errors = [
        f"{method} {path}: {found.get((method, path), 'not seen')} instead of {outcome}"
        for (method, path), outcome in wanted.items()
        if found.get((method, path)) != outcome
    ]
    mirrored = list(wanted.values()).count(MIRRORED)
    if arrived != mirrored:
        errors.append(f"{count(arrived, 'entry')} arrived instead of {mirrored}")
    for error in errors:
        say(printable(f"✗ {error}"))
    return not errors
