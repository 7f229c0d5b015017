"""A real mitmweb with the addon, and its interface for clients and browsers."""

from __future__ import annotations

import socket
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from mitmproxy.tools.web import webaddons

from tests.support.proxy import ADDON, AT_ONCE, Proxy, confdir, running

MITMWEB = Path(sysconfig.get_path("scripts")) / "mitmweb"
PASSWORD = "let-me-in"
COLUMNS = ("method", "path", "status", "comment")

# From version 11.1.2 on.
HAS_PASSWORDS = hasattr(webaddons, "WebAuth")


@dataclass(frozen=True)
class Web:
    """A running mitmweb.

    Attributes:
        proxy: the process and its proxy.
        port: the port of its interface on 127.0.0.1.
    """

    proxy: Proxy
    port: int

    @property
    def url(self) -> str:
        """The address of its interface; mitmproxy 11, which has no password, ignores the token."""
        return f"http://127.0.0.1:{self.port}/?token={PASSWORD}"

    @contextmanager
    def client(self) -> Iterator[httpx.Client]:
        """Log in as a program."""
        with httpx.Client(base_url=f"http://127.0.0.1:{self.port}", follow_redirects=True) as client:
            client.get(self.url).raise_for_status()
            # mitmweb's protection against CSRF needs the same token in a cookie and in a header.
            client.headers["x-xsrftoken"] = "ab" * 16
            for name in ("_xsrf", "_mitmproxy_xsrf"):
                client.cookies.set(name, "ab" * 16)
            yield client

    def flows(self) -> dict[str, dict[str, Any]]:
        """Return the flows by path, as mitmweb sends them to its page; of equal paths the latest."""
        with self.client() as client:
            return {flow["request"]["path"]: flow for flow in client.get("/flows").raise_for_status().json()}


@contextmanager
def running_mitmweb(target: str, options: Mapping[str, str], env: Mapping[str, str] | None = None) -> Iterator[Web]:
    """Run mitmweb in front of a target, with the addon, until the block ends.

    Args:
        target: the target's URL.
        options: values for `--set`.
        env: environment variables in addition to the bare ones.

    Raises:
        AssertionError: it did not start, or did not end after SIGINT.
    """
    with _reserved_port() as port:
        settings = {"confdir": str(confdir()), "web_port": str(port), "web_open_browser": "false"}
        settings |= {"web_password": PASSWORD} if HAS_PASSWORDS else {}
        values = [f"{name}={value}" for name, value in (settings | dict(options)).items()]
        values += [f"web_columns={column}" for column in COLUMNS]
        command = [*AT_ONCE, str(MITMWEB), "--mode", f"reverse:{target}@127.0.0.1:0", "-s", str(ADDON)]
        set_options = [word for value in values for word in ("--set", value)]
        with running([*command, *set_options], ["127.0.0.1"], env) as proxy:
            proxy.wait_for(r"Web server listening at")
            yield Web(proxy, port)


@contextmanager
def _reserved_port() -> Iterator[int]:
    """Reserve a port for a server that reuses addresses, as tornado does: for port 0 it would log only the 0."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]
