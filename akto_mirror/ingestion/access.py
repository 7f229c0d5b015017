"""Access control of the local ingestion service: who may send entries, and who may read them."""

from __future__ import annotations

import hmac
import ipaddress
from typing import Any

import msgspec
import tornado.web

from akto_mirror.ingestion.arrivals import Store

NOT_LOCAL = "it listens beyond this machine without a token; start it with one (AKTO_API_TOKEN) to look at entries"
NOT_LOOPBACK = "without a token entries are shown under the names localhost and 127.0.0.1 only"


def is_loopback(host: str) -> bool:
    """Return whether a name or address means this machine only, as `localhost` does by RFC 6761."""
    name = host.lower().strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Handler(tornado.web.RequestHandler):
    """The base of all handlers of the service: responds in JSON, as Akto's service does."""

    def initialize(self, store: Store, token: str, local: bool) -> None:
        """Keep the arguments of the route; `handlers.make_app` describes them."""
        self.store = store
        self.token = token
        self.local = local

    def reply(self, status: int, **fields: object) -> None:
        """Respond with a status code, `success` and further fields."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json;charset=utf-8")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(msgspec.json.encode({"success": status == 200, **fields}))

    def authorize(self) -> None:
        """Refuse requests without the token.

        Raises:
            tornado.web.HTTPError: 401.
        """
        given = self.request.headers.get("Authorization", "")
        if self.token and not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise tornado.web.HTTPError(401)

    def authorize_reader(self) -> None:
        """Allow reading entries only with the token or, if there is none, from this machine.

        The name in `Host` is checked as well: otherwise a web site could make its own name resolve to 127.0.0.1, and
        read entries through the browser of a user who visits it (DNS rebinding).
        """
        if self.token:
            self.authorize()
        elif not self.local:
            raise tornado.web.HTTPError(403, reason=NOT_LOCAL)
        elif not is_loopback(self.request.host_name):
            raise tornado.web.HTTPError(403, reason=NOT_LOOPBACK)

    def text(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.get_query_argument(name, default) or ""

    def number(self, name: str, default: int) -> int:
        """Return a query parameter as a whole number.

        Raises:
            tornado.web.HTTPError: 400 if it is not one.
        """
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise tornado.web.HTTPError(400, reason=f"{name} is not a number")
        return int(text)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002 - tornado's signature
        """Respond with an error in JSON."""
        self.reply(status_code, error=self._reason)
