"""A sample API, a small shop, with an exchange of every kind that passes a proxy."""

from __future__ import annotations

import gzip
from typing import NamedTuple

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Canned(NamedTuple):
    """A fixed response."""

    status: int
    content_type: str
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


JSON = "application/json"
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000 1f15c4890000000d4944415478da63f8cf"
    "c0f01f0005000 1ff56c72f0d0000000049454e44ae426082".replace(" ", "")
)

ANSWERS: dict[str, Canned] = {
    "GET /": Canned(200, "text/html", b"<!doctype html><title>Shop</title>"),
    "GET /logo.png": Canned(200, "image/png", PIXEL),
    "GET /old": Canned(302, "text/html", b"moved", (("Location", "/api/products"),)),
    "GET /api/products": Canned(200, JSON, b'[{"id":7,"name":"lamp","price":19.5}]'),
    "GET /api/products/7": Canned(200, JSON, b'{"id":7,"name":"lamp","price":19.5}'),
    "PUT /api/products/7": Canned(204, ""),
    "DELETE /api/products/7": Canned(204, ""),
    "POST /api/orders": Canned(201, JSON, b'{"order":1001,"state":"accepted"}'),
    "POST /api/login": Canned(200, "text/plain", b"welcome"),
    "GET /api/report": Canned(200, JSON, gzip.compress(b'{"sold":[3,1,4]}'), (("Content-Encoding", "gzip"),)),
    "GET /api/missing": Canned(404, JSON, b'{"error":"no such thing"}'),
    "GET /api/broken": Canned(500, JSON, b'{"error":"out of order"}'),
    "GET /feed": Canned(200, "application/xml", b"<products><product id='7'>lamp</product></products>"),
    "POST /soap/stock": Canned(200, "application/soap+xml", b"<Envelope><Body><Stock>12</Stock></Body></Envelope>"),
    "POST /shop.Stock/Check": Canned(200, "application/grpc", b"\0\0\0\0\x02\x08\x0c", (("grpc-status", "0"),)),
    "POST /mcp": Canned(200, "text/event-stream", b'data: {"jsonrpc":"2.0","id":1,"result":{"tools":[]}}\n\n'),
    "GET /private": Canned(403, "text/plain", b"no WebSocket for you"),
}


class _Answer(RequestHandler):
    def prepare(self) -> None:
        canned = ANSWERS.get(f"{self.request.method} {self.request.path}", Canned(404, "text/plain", b"not found"))
        self.set_status(canned.status)
        self.clear_header("Content-Type")
        if canned.content_type:
            self.set_header("Content-Type", canned.content_type)
        for name, value in canned.headers:
            self.set_header(name, value)
        self.finish(canned.body if canned.body else None)


class _Echo(WebSocketHandler):
    def check_origin(self, origin: str) -> bool:  # noqa: ARG002 - tornado's signature
        return True

    async def on_message(self, message: str | bytes) -> None:
        await self.write_message(message, binary=isinstance(message, bytes))


def make_app() -> Application:
    """Build the API's tornado application."""
    return Application([("/live", _Echo)], default_handler_class=_Answer, log_function=lambda _: None)


if __name__ == "__main__":
    # For the recipe examples/compose.yaml: python -m akto_mirror.sample_api PORT
    import asyncio
    import sys

    async def _serve(port: int) -> None:
        make_app().listen(port)
        await asyncio.Event().wait()

    asyncio.run(_serve(int(sys.argv[1])))
