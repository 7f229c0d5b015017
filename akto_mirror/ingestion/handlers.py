"""The HTTP interface of the local ingestion service: Akto's paths, and the inventory's."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable
from typing import Any

import msgspec
import tornado.web
from tornado.http1connection import HTTP1Connection

from akto_mirror.ingestion import intake, inventory, page, views
from akto_mirror.ingestion.arrivals import Answer, Store
from akto_mirror.ingestion.intake import Refusal

PAGE_ENTRIES = 1_000

# Of the bodies that are arriving on all connections together: more than Akto's limit for each of four.
ARRIVING_BYTES = 128 * 1024 * 1024
# What is read of a body of entries, so that its sender hears the answer; only `intake.MAX_BODY_BYTES` are kept.
READ_BODY_BYTES = 1 << 40

NOT_LOCAL = "it listens beyond this machine without a token; start it with one (AKTO_API_TOKEN) to look at entries"
NOT_LOOPBACK = "without a token entries are shown under the names localhost and 127.0.0.1 only"


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
        told = self.store.look(lambda all_: views.listing(all_, all_.search(words, host, order, start, limit)))
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
        told = self.store.look(lambda all_: views.detail(endpoint, all_.samples(endpoint)))
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
