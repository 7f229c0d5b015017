"""A small JSON API: a real server for tests that do not depend on the response."""

from __future__ import annotations

import ssl

from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer


class _Echo(RequestHandler):
    """Answers with the request that it got."""

    def get(self) -> None:
        body = self.request.body.decode("utf-8", "replace")
        self.write({"name": self.settings["label"], "host": self.request.host, "body": body})

    post = put = get


def serving_api(name: str = "api", context: ssl.SSLContext | None = None) -> BackgroundServer:
    """Return a server that answers every path with that path, and the host and body that it got."""
    return BackgroundServer(Application([("/.*", _Echo)], label=name, log_function=lambda _: None), ssl_context=context)
