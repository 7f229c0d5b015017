"""The local ingestion service: answers as Akto's does and keeps what arrives."""

from __future__ import annotations

import errno
import hmac
import ipaddress
import os
import secrets
import ssl
import threading
from collections import Counter, deque
from collections.abc import Callable
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec
import tornado.web
from tornado.http1connection import HTTP1Connection

from akto_mirror import private
from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion import intake, inventory, page
from akto_mirror.ingestion.intake import Refusal
from akto_mirror.ingestion.inventory import Inventory

KEEP_ENTRIES = 100_000
KEEP_BYTES = 256 * 1024 * 1024
PAGE_ENTRIES = 1_000

# Of the bodies that are arriving on all connections together: more than Akto's limit for each of four.
ARRIVING_BYTES = 128 * 1024 * 1024
# No handler but the one of entries has use for a body.
SMALL_BODY_BYTES = 65_536
# What is read of a body of entries, so that its sender hears the answer; only `intake.MAX_BODY_BYTES` are kept.
READ_BODY_BYTES = 1 << 40

NOT_LOCAL = "it listens beyond this machine without a token; start it with one (AKTO_API_TOKEN) to look at entries"
NOT_LOOPBACK = "without a token entries are shown under the names localhost and 127.0.0.1 only"

T = TypeVar("T")


class Answer(NamedTuple):
    """What one `POST /api/ingestData` came to.

    Attributes:
        status: The HTTP status code answered.
        taken: How many entries were taken; with 422 those before the bad one.
        reason: Why it was refused, unescaped; empty for 200.
    """

    status: int
    taken: int
    reason: str


class Store:
    """Keeps the newest entries in memory, at most `keep` and `KEEP_BYTES`, and appends all to a file if given.

    They are kept encoded: decoded, a few bytes of brackets would take many times their size.

    Every method may be called from any thread.
    """

    def __init__(self, keep: int = KEEP_ENTRIES, out: Path | None = None) -> None:
        """Open the file.

        Raises:
            OSError: If `out` cannot be written.
        """
        self.total = 0
        self.arriving = 0
        self.batches: deque[int] = deque(maxlen=KEEP_ENTRIES)
        self.answers: Counter[int] = Counter()
        # Tells the page that this is not the run that it has asked before.
        self.run = secrets.token_hex(4)
        self._inventory = Inventory()
        self._keep = keep
        self._entries: deque[bytes] = deque()
        self._bytes = 0
        # Unbuffered, so that what the disk refused is not written later.
        self._out: FileIO | None = FileIO(out, "ab", opener=_create_private) if out else None
        self._torn = out is not None and _is_torn(out)
        self._changed = threading.Condition()

    def add(self, entry: dict[str, Any]) -> None:
        """Take one entry.

        Raises:
            OSError: If the file cannot take it; the entry then counts as not taken.
        """
        encoded = msgspec.json.encode(entry)
        with self._changed:
            if self._out is not None:
                self._write(self._out, encoded + b"\n")
            self._entries.append(encoded)
            self._bytes += len(encoded)
            while self._entries and (len(self._entries) > self._keep or self._bytes > KEEP_BYTES):
                self._bytes -= len(self._entries.popleft())
            self.total += 1
            self._inventory.add(entry)
            self._changed.notify_all()

    def look(self, read: Callable[[Inventory], T]) -> T:
        """Read the inventory while nothing changes it."""
        with self._changed:
            return read(self._inventory)

    def note(self, answer: Answer) -> None:
        """Count one answered request."""
        with self._changed:
            self.answers[answer.status] += 1
            if answer.status == 200:
                self.batches.append(answer.taken)

    def since(self, number: int, limit: int | None = None) -> tuple[int, list[bytes]]:
        """Return entries in order of arrival, the first having number 0, from `number` or the oldest kept one on.

        Returns:
            The number of the first entry returned, and at most `limit` entries, each as JSON.
        """
        with self._changed:
            oldest = self.total - len(self._entries)
            first = min(max(number, oldest), self.total)
            return first, list(islice(self._entries, first - oldest, None if limit is None else first - oldest + limit))

    def wait_for(self, count: int, timeout: float) -> None:
        """Wait until `count` entries have arrived since the start.

        Args:
            count: How many entries.
            timeout: The longest wait in seconds.

        Raises:
            TimeoutError: If fewer arrived in time.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self.total >= count, timeout):
                raise TimeoutError(f"{self.total} of {count} entries arrived within {timeout} s")

    def close(self) -> None:
        """Close the file."""
        with self._changed:
            if self._out is not None:
                self._out.close()
                self._out = None

    def _write(self, out: FileIO, line: bytes) -> None:
        """Append a line; one that was cut short by an error before is ended first."""
        rest = b"\n" + line if self._torn else line
        while rest:
            rest = rest[out.write(rest) :]
            self._torn = bool(rest)


class Receiver(BackgroundServer):
    """The ingestion service on a thread of this process; also a context manager.

    Args:
        host: The address to listen on.
        port: The TCP port; 0 takes a free one, which a later start takes again.
        token: What `Authorization` must hold everywhere but at `/healthCheck` and for the page without its data; empty:
            no authentication, and entries are shown only on this machine.
        out: A file to which entries are appended, one JSON object a line.
        keep: How many of the newest entries stay in memory.
        on_answer: Called on the server's thread after each `POST /api/ingestData`.
        uds: Path of a Unix socket to listen on instead of TCP.
        ssl_context: Serves TLS with this server context.

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
    ) -> None:
        self.store = Store(keep, out)
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


def make_app(store: Store, token: str, on_answer: Callable[[Answer], None], *, local: bool) -> tornado.web.Application:
    """Build the service's application; `Receiver` describes the arguments.

    Args:
        store: Where entries go.
        token: What `Authorization` must hold.
        on_answer: Called after each batch.
        local: Whether it listens where only this machine can connect.
    """
    shared = {"store": store, "token": token, "local": local}
    return tornado.web.Application(
        [
            ("/", _Page, shared),
            ("/api/inventory", _Inventory, shared),
            ("/api/inventory/endpoint", _Endpoint, shared),
            ("/healthCheck", _Health, shared),
            ("/api/auth-check", _AuthCheck, shared),
            ("/api/entries", _Entries, shared),
            ("/api/ingestData", _Ingest, {**shared, "on_answer": on_answer}),
        ],
        default_handler_class=_NotFound,
        default_handler_args=shared,
        log_function=lambda _: None,
    )


def ingest(store: Store, body: bytes, content_type: str) -> Answer:
    """Take the batch in a request body, up to the first entry that is refused."""
    taken = 0
    try:
        for item in intake.read_batch(body, content_type):
            store.add(intake.read_entry(item))
            taken += 1
    except Refusal as refusal:
        after = f" (after {taken} good entries)" if taken else ""
        return Answer(refusal.status, taken, refusal.reason + after)
    except OSError as error:
        return Answer(422, taken, f"cannot write the entry: {error.strerror or error}")
    return Answer(200, taken, "")


def _is_torn(out: Path) -> bool:
    """Tell whether a crash has cut the last line short; of what is no file, or cannot be read, nothing is known."""
    try:
        if not out.is_file():
            return False
        with out.open("rb") as file:
            return not private.ends_a_line(file.fileno())
    except OSError:
        return False


def _create_private(path: str, flags: int) -> int:
    """Open a file; one that is made is its owner's alone. A pipe would block until somebody reads it."""
    if Path(path).is_fifo() or Path(path).is_socket():
        raise OSError(errno.ESPIPE, "it is a pipe or a socket, whose reader could stop the service")
    return os.open(path, flags, 0o600)


def is_loopback(host: str) -> bool:
    """Say whether a name or address means this machine only; `localhost` does by RFC 6761."""
    name = host.lower().strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class _Handler(tornado.web.RequestHandler):
    def initialize(self, store: Store, token: str, local: bool) -> None:
        self.store = store
        self.token = token
        self.local = local

    def reply(self, status: int, **fields: object) -> None:
        self.set_status(status)
        self.set_header("Content-Type", "application/json;charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(msgspec.json.encode({"success": status == 200, **fields}))

    def authorize(self) -> None:
        given = self.request.headers.get("Authorization", "")
        if self.token and not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise tornado.web.HTTPError(401)

    def authorize_reader(self) -> None:
        """Show entries only to who has the token or, without one, on this machine.

        The name in `Host` is looked at as well: a web site can make a name of its own mean 127.0.0.1 and would else
        read entries through the browser of whoever visits it (DNS rebinding).
        """
        if self.token:
            self.authorize()
        elif not self.local:
            raise tornado.web.HTTPError(403, reason=NOT_LOCAL)
        elif not is_loopback(self.request.host_name):
            raise tornado.web.HTTPError(403, reason=NOT_LOOPBACK)

    def text(self, name: str, default: str = "") -> str:
        return self.get_query_argument(name, default) or ""

    def number(self, name: str, default: int) -> int:
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise tornado.web.HTTPError(400, reason=f"{name} is not a number")
        return int(text)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002 - tornado's signature
        self.reply(status_code, error=self._reason)


class _Health(_Handler):
    def get(self) -> None:
        self.reply(200)


class _AuthCheck(_Handler):
    def get(self) -> None:
        self.authorize()
        self.reply(200)


class _NotFound(_Handler):
    def prepare(self) -> None:
        if self.request.path.startswith("/api/"):
            self.authorize()
        raise tornado.web.HTTPError(404)


class _Entries(_Handler):
    def get(self) -> None:
        self.authorize_reader()
        first, entries = self.store.since(self.number("since", 0), PAGE_ENTRIES)
        raw = [msgspec.Raw(entry) for entry in entries]
        self.reply(200, first=first, next=first + len(raw), total=self.store.total, entries=raw)


class _Page(_Handler):
    def get(self) -> None:
        """Serve the page, which holds no data: it asks for them as anyone else has to."""
        loaded = page.load()
        for name, value in loaded.headers.items():
            self.set_header(name, value)
        self.finish(loaded.body)


class _Inventory(_Handler):
    def get(self) -> None:
        self.authorize_reader()
        version = f"{self.store.run}-{self.store.total}"
        if self.text("version") == version:
            self.set_status(204)
            return
        words, host, order = map(self.text, ("q", "host", "order"))
        start, limit = self.number("start", 0), self.number("limit", inventory.MAX_PAGE)
        told = self.store.look(lambda all_: inventory.listing(all_, all_.search(words, host, order, start, limit)))
        self.reply(200, version=version, **told)


class _Endpoint(_Handler):
    def get(self) -> None:
        self.authorize_reader()
        number = self.number("id", 0)
        endpoint = self.store.look(lambda all_: all_.endpoint(number))
        if endpoint is None:
            raise tornado.web.HTTPError(404, reason="there is no such endpoint")
        version = f"{self.store.run}-{endpoint.seen}"
        if self.text("version") == version:
            self.set_status(204)
            return
        told = self.store.look(lambda all_: inventory.detail(endpoint, all_.samples(endpoint)))
        self.reply(200, version=version, **told)


@tornado.web.stream_request_body
class _Ingest(_Handler):
    def initialize(  # type: ignore[override]  # tornado passes the route's own arguments
        self, store: Store, token: str, local: bool, on_answer: Callable[[Answer], None]
    ) -> None:
        super().initialize(store, token, local)
        self.on_answer = on_answer
        self.body = bytearray()
        self.refusal: Answer | None = None

    def prepare(self) -> None:
        """Refuse a wrong token before the body comes, all of which is read all the same: its sender may not listen."""
        assert isinstance(self.request.connection, HTTP1Connection)  # noqa: S101 - for the type checker
        self.request.connection.set_max_body_size(READ_BODY_BYTES)
        try:
            self.authorize()
        except tornado.web.HTTPError as error:
            self.refusal = Answer(error.status_code, 0, "the token is missing or wrong")

    def data_received(self, chunk: bytes) -> None:
        if self.refusal is not None:
            return
        if self.store.arriving + len(chunk) > ARRIVING_BYTES:
            self.refusal = Answer(503, 0, "too many large requests at once")
            self.let_go()
            return
        # One byte over the limit is kept of a body that is too long, so that it is seen to be too long.
        kept = chunk[: intake.MAX_BODY_BYTES + 1 - len(self.body)]
        self.body += kept
        self.store.arriving += len(kept)

    def post(self) -> None:
        answer = self.refusal or ingest(self.store, bytes(self.body), self.request.headers.get("Content-Type", ""))
        self.store.note(answer)
        if answer.status == 200:
            self.reply(200, taken=answer.taken)
        else:
            self.reply(answer.status, actionErrors=[answer.reason])
        self.on_answer(answer)

    def let_go(self) -> None:
        self.store.arriving -= len(self.body)
        self.body = bytearray()

    def on_finish(self) -> None:
        self.let_go()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        self.let_go()
