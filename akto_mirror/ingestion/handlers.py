"""The HTTP interface of the local ingestion service, with Akto's own paths."""

from __future__ import annotations

from collections.abc import Callable

import tornado.web
from tornado.http1connection import HTTP1Connection

from akto_mirror.counts import count
from akto_mirror.ingestion import intake, page_handlers
from akto_mirror.ingestion.access import Handler
from akto_mirror.ingestion.arrivals import Answer, Store
from akto_mirror.ingestion.intake import Refusal

# The most bytes of all bodies that are being received: enough for four bodies of the largest size.
ARRIVING_BYTES = 128 * 1024 * 1024
# How much of a body is read, so that its sender gets the response; only `intake.MAX_BODY_BYTES` are kept.
READ_BODY_BYTES = 1 << 40


def make_app(store: Store, token: str, on_answer: Callable[[Answer], None], *, local: bool) -> tornado.web.Application:
    """Build the service's application; `Receiver` describes the arguments.

    Args:
        store: Where entries go.
        token: What `Authorization` must hold.
        on_answer: Called after each batch.
        local: Whether only this machine can connect.
    """
    shared = {"store": store, "token": token, "local": local}
    return tornado.web.Application(
        [
            *((path, handler, shared) for path, handler in page_handlers.ROUTES),
            ("/healthCheck", _Health, shared),
            ("/api/auth-check", _AuthCheck, shared),
            ("/api/ingestData", _Ingest, {**shared, "on_answer": on_answer}),
        ],
        default_handler_class=_NotFound,
        default_handler_args=shared,
        log_function=lambda _: None,
    )


def ingest(store: Store, body: bytes, content_type: str) -> Answer:
    """Store the batch in a request body, up to the first entry that is refused."""
    taken = 0
    try:
        for item in intake.read_batch(body, content_type):
            store.add(intake.read_entry(item))
            taken += 1
    except Refusal as refusal:
        after = f" (after {count(taken, 'good entry')})" if taken else ""
        return Answer(refusal.status, taken, refusal.reason + after)
    except OSError as error:
        return Answer(422, taken, f"cannot write the entry: {error.strerror or error}")
    return Answer(200, taken, "")


class _Health(Handler):
    def get(self) -> None:
        self.reply(200)


class _AuthCheck(Handler):
    def get(self) -> None:
        self.authorize()
        self.reply(200)


class _NotFound(Handler):
    def prepare(self) -> None:
        if self.request.path.startswith("/api/"):
            self.authorize()
        raise tornado.web.HTTPError(404)


@tornado.web.stream_request_body
class _Ingest(Handler):
    def initialize(  # type: ignore[override]  # tornado passes the route's own arguments
        self, store: Store, token: str, local: bool, on_answer: Callable[[Answer], None]
    ) -> None:
        super().initialize(store, token, local)
        self.on_answer = on_answer
        self.body = bytearray()
        self.refusal: Answer | None = None

    def prepare(self) -> None:
        """Refuse a wrong token before the body arrives; the body is read nevertheless, before the response."""
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
        # One byte more than the limit is kept, so that a body that is too long is recognised.
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
