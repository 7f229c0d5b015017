"""The demo: a sample API, the ingestion service, and a real mitmdump between them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from mitmproxy.exceptions import FlowReadException
from mitmproxy.http import HTTPFlow
from mitmproxy.io import FlowReader

from akto_mirror import sample_api
from akto_mirror.akto_api import INGEST_PATH
from akto_mirror.background_server import BackgroundServer
from akto_mirror.escaping import printable
from akto_mirror.ingestion.service import Receiver

HOST = "shop.example"
START_SECONDS = 60.0
ANSWER_SECONDS = 30.0
STOP_SECONDS = 30.0
CAPTURED = "captured"
MIRRORED = "mirrored"
SHOWN_PATH = "/api/orders"

# RFC 6455: the sample handshake of section 1.2; frames with a mask of zeroes, as section 5.7 shows them.
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}
HELLO_FRAME = b"\x81\x85\0\0\0\0hello"
CLOSE_FRAME = b"\x88\x82\0\0\0\0\x03\xe8"

LISTENING = re.compile(r"listening at \S*:(\d+)")


class DemoError(Exception):
    """The demo cannot run; the text says why and what to do."""


class Case(NamedTuple):
    """One request and the verdict that the capture rules must come to."""

    method: str
    path: str
    verdict: str
    content_type: str = ""
    body: bytes = b""
    upgrade: bool = False


class Row(NamedTuple):
    """One exchange as the proxy recorded it, and whether its entry arrived."""

    method: str
    path: str
    status: int
    content_type: str
    verdict: str
    arrived: bool


CASES = (
    Case("GET", "/api/products", CAPTURED),
    Case("GET", "/api/products/7?all=1", CAPTURED),
    Case("POST", "/api/orders", CAPTURED, "application/json", b'{"product":7,"count":2}'),
    Case("PUT", "/api/products/7", CAPTURED, "application/json", b'{"price":18}'),
    Case("POST", "/api/login", CAPTURED, "application/x-www-form-urlencoded", b"user=ann&remember=1"),
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
    """Run the demo from beginning to end; nothing of it stays behind.

    Args:
        say: Called with each line to show.
        addon: The path of the script for mitmproxy.
        look: Called at the end with the address of the inventory, which is served until it returns.

    Returns:
        Whether every exchange got the verdict that the rules must come to, and every entry arrived.

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
        with _mitmdump(_command(api.url, receiver.url, addon, flows), Path(folder)) as port:
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
    """Ask for a WebSocket, and if the server takes it, exchange a message and a good-bye."""
    with client.stream("GET", path, headers=UPGRADE) as response:
        if response.status_code == 101:
            stream = response.extensions["network_stream"]
            for frame in (HELLO_FRAME, CLOSE_FRAME):
                stream.write(frame)
                stream.read(1024, timeout=ANSWER_SECONDS)


def _command(target: str, ingestion: str, addon: Path, flows: Path) -> list[str]:
    scripts = Path(sys.executable).parent
    program = shutil.which("mitmdump", path=scripts)
    if program is None:
        raise DemoError(f"there is no mitmdump in {scripts}; install mitmproxy into the environment of akto-mirror")
    settings = {"akto_url": ingestion, "confdir": str(flows.parent), "flow_detail": "0", "listen_host": "127.0.0.1"}
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    return [program, f"--mode=reverse:{target}", "--listen-port=0", f"-s{addon}", f"-w{flows}", *options]


def _environment() -> dict[str, str]:
    """What the person has set for Akto is not for the demo."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AKTO_")}


@contextmanager
def _mitmdump(command: Sequence[str], folder: Path) -> Iterator[int]:
    """Run mitmdump, yielding its port; it has ended, with all it had to write and to send, when this is left."""
    proxy = _Mitmdump(command, folder)
    try:
        yield proxy.start()
        proxy.end()
    except (httpx.HTTPError, OSError) as error:
        proxy.close()
        reason = printable(str(error)) or type(error).__name__
        raise DemoError(f"mitmdump does not answer as it should ({reason}). Its last lines:{proxy.tail()}") from error
    finally:
        proxy.close()


class _Mitmdump:
    """A mitmdump, started and read on a thread.

    Signals interrupt the main thread only: started there, a process could be left behind by Ctrl-C at that moment.
    """

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self._command = command
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: deque[str] = deque(maxlen=20)
        self._port = 0
        self._starting = threading.Lock()
        self._closed = False
        self._told = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> int:
        """Start it and return the port that it listens on, as soon as it says so."""
        self._thread.start()
        self._told.wait(START_SECONDS)
        if not self._port:
            raise DemoError(f"mitmdump does not start. Its last lines:{self.tail()}")
        return self._port

    def end(self) -> None:
        """Ask it to end, and wait until it has."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise DemoError(f"mitmdump does not end. Its last lines:{self.tail()}") from None
        if code:
            raise DemoError(f"mitmdump ended with exit code {code}. Its last lines:{self.tail()}")

    def tail(self) -> str:
        """Return its last lines, indented, each on a line of its own."""
        return "".join(f"\n  {printable(line)}" for line in list(self._lines)) or " (none)"

    def close(self) -> None:
        """End it by force if it still runs, and read the rest of its output; it does not start any more."""
        with self._starting:
            self._closed = True
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            with self._starting:
                if self._closed:
                    return
                self._process = self._spawn()
            with self._process:
                self._read(self._process)
        except OSError as error:
            self._lines.append(str(error))
        finally:
            self._told.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # A session of its own keeps Ctrl-C from it, so that it is always ended in order, from here.
        return subprocess.Popen(  # noqa: S603 - the program of this environment, with arguments made here
            self._command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=_environment(),
            cwd=self._folder,
            start_new_session=True,
        )

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        for raw in process.stdout or ():
            line = raw.decode("utf-8", "replace").rstrip()
            self._lines.append(line)
            if found := LISTENING.search(line):
                self._port = int(found[1])
                self._told.set()


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
    found = arrived[flow.request.method, flow.request.path.partition("?")[0]] > 0
    verdict = str(flow.metadata.get("akto", "none"))
    return Row(flow.request.method, flow.request.path, status, content_type, verdict, found)


def show(say: Callable[[str], None], rows: Sequence[Row]) -> None:
    """Write the table of verdicts."""
    lines = [("METHOD", "PATH", "STATUS", "CONTENT TYPE (SENT → ANSWERED)", "VERDICT")]
    lines += [(row.method, row.path, str(row.status), row.content_type or "-", outcome(row)) for row in rows]
    cells = [[printable(cell) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        say("  ".join(map(str.ljust, line, widths)).rstrip())


def _show_entries(say: Callable[[str], None], receiver: Receiver) -> None:
    entries = receiver.entries
    say(f"\n{len(entries)} entries arrived at {receiver.url}{INGEST_PATH}, batches: {len(receiver.batches)}.")
    say(f"That of {SHOWN_PATH}:")
    for entry in [entry for entry in entries if entry["path"] == SHOWN_PATH][:1]:
        say(json.dumps(entry, indent=2))


def outcome(row: Row) -> str:
    """Say what became of an exchange: `mirrored` only if its entry arrived."""
    if row.verdict != CAPTURED:
        return row.verdict
    return MIRRORED if row.arrived else "captured, but it did not arrive"


def judge(say: Callable[[str], None], rows: Sequence[Row], arrived: int) -> bool:
    """Compare what happened with what the rules must come to, and name each difference."""
    found = {(row.method, row.path): outcome(row) for row in rows}
    wanted = {(case.method, case.path): MIRRORED if case.verdict == CAPTURED else case.verdict for case in CASES}
    faults = [
        f"{method} {path}: {found.get((method, path), 'not seen')} instead of {verdict}"
        for (method, path), verdict in wanted.items()
        if found.get((method, path)) != verdict
    ]
    mirrored = list(wanted.values()).count(MIRRORED)
    if arrived != mirrored:
        faults.append(f"{arrived} entries arrived instead of {mirrored}")
    for fault in faults:
        say(printable(f"✗ {fault}"))
    return not faults
