"""Who may send entries to the local ingestion service, and who may look at them."""

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
    """Say whether a name or address means this machine only; `localhost` does by RFC 6761."""
    name = host.lower().strip("[]")
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


class Handler(tornado.web.RequestHandler):
    """Answers in JSON as Akto's service does, with what all handlers of the service share."""

    def initialize(self, store: Store, token: str, local: bool) -> None:
        """Keep the arguments of the route; `handlers.make_app` describes them."""
        self.store = store
        self.token = token
        self.local = local

    def reply(self, status: int, **fields: object) -> None:
        """Answer with a status code and fields beside `success`."""
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
        """Show entries only to who has the token or, without one, on this machine.

        The name in `Host` is looked at as well: a web site can make a name of its own mean 127.0.0.1 and would else
        read entries through the browser of a user who visits it (DNS rebinding).
        """
        if self.token:
            self.authorize()
        elif not self.local:
            raise tornado.web.HTTPError(403, reason=NOT_LOCAL)
        elif not is_loopback(self.request.host_name):
            raise tornado.web.HTTPError(403, reason=NOT_LOOPBACK)

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return self.get_query_argument(name, default) or ""

    def number(self, name: str, default: int) -> int:
        """Return a whole number of the query.

        Raises:
            tornado.web.HTTPError: 400 if it is none.
        """
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise tornado.web.HTTPError(400, reason=f"{name} is not a number")
        return int(text)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ARG002 - tornado's signature
        """Answer with an error in JSON."""
        self.reply(status_code, error=self._reason)
