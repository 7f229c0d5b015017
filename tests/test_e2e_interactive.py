"""mitmweb and mitmproxy with the addon: they mirror, show bodies, and take no harm from a wrong value."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sysconfig
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from tornado.web import Application, RequestHandler

from akto_mirror.background import BackgroundServer
from akto_mirror.receiver import Receiver
from tests.support.mirror import Mirror
from tests.support.proxy import ADDON, DEADLINE, Proxy, confdir, environment, running

PROGRAMS = Path(sysconfig.get_path("scripts"))
PASSWORD = "let-me-in"


class _Api(RequestHandler):
    """Answers with JSON in two chunks, of unknown length, so that it streams."""

    async def get(self, _path: str) -> None:
        self.set_header("Content-Type", "application/json")
        for chunk in (b'{"name":', b'"lamp"}'):
            self.write(chunk)
            await self.flush()


@contextmanager
def web(proxy: Proxy) -> Iterator[httpx.Client]:
    """Log in to mitmweb."""
    proxy.wait_for(r"Web server listening at")
    with httpx.Client(
        base_url=f"http://127.0.0.1:{_web_port(proxy)}", params={"token": PASSWORD}, follow_redirects=True
    ) as client:
        client.get("/").raise_for_status()
        # Its protection against foreign pages wants the same token in a cookie and in a header.
        client.headers["x-xsrftoken"] = "ab" * 16
        for name in ("_xsrf", "_mitmproxy_xsrf"):
            client.cookies.set(name, "ab" * 16)
        yield client


def _web_port(proxy: Proxy) -> int:
    """Return the port that mitmweb got for its interface; it logs only the 0 that it was given."""
    listening = psutil.Process(proxy.process.pid).net_connections("tcp")
    (port,) = {c.laddr.port for c in listening if c.status == psutil.CONN_LISTEN} - {proxy.port}
    return int(port)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    """A mitmweb that mirrors a small API."""
    with BackgroundServer(Application([("(.*)", _Api)])) as api, Receiver() as akto:
        settings = {"confdir": confdir(), "web_port": 0, "web_open_browser": "false", "web_password": PASSWORD}
        settings |= {"akto_url": akto.url, "akto_linger_ms": 10}
        command = [str(PROGRAMS / "mitmweb"), "--mode", f"reverse:{api.url}@127.0.0.1:0", "-s", str(ADDON)]
        if not _has_passwords():
            del settings["web_password"]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with running(command, ["127.0.0.1"]) as proxy:
            yield Mirror(proxy, akto)


def _has_passwords() -> bool:
    """Tell whether mitmweb asks for a password, as it does from version 11.1.2 on."""
    shown = subprocess.run([PROGRAMS / "mitmweb", "--options"], capture_output=True, text=True, check=True)
    return "web_password" in shown.stdout


@pytest.mark.e2e
def test_mitmweb_shows_the_body(mirror: Mirror) -> None:
    """The flow is there in mitmweb with its body, although it streamed."""
    assert httpx.get(f"{mirror.proxy.url}/lamps").json() == {"name": "lamp"}
    assert mirror.entry("/lamps")["responsePayload"] == '{"name":"lamp"}'
    with web(mirror.proxy) as client:
        (flow,) = client.get("/flows").raise_for_status().json()
        body = client.get(f"/flows/{flow['id']}/response/content.data").raise_for_status()
    assert body.content == b'{"name":"lamp"}'


@pytest.mark.e2e
def test_a_wrong_value_in_mitmweb_changes_nothing(mirror: Mirror) -> None:
    """A value that cannot be used is refused with its reason, and entries go where they went before."""
    with web(mirror.proxy) as client:
        refused = client.put("/options", json={"akto_url": "gopher://nowhere"})
        assert refused.status_code == 400
        assert "akto_url=gopher://nowhere: " in refused.text
        assert "the old value stays in force" in refused.text
        options: dict[str, Any] = client.get("/options").json()
        assert options["akto_url"]["value"] == mirror.akto.url
    httpx.get(f"{mirror.proxy.url}/after")
    assert mirror.entry("/after")["statusCode"] == "200"


@pytest.mark.e2e
def test_a_new_destination_in_mitmweb_takes_effect(mirror: Mirror) -> None:
    """A changed akto_url is used from the next batch on."""
    with Receiver() as other, web(mirror.proxy) as client:
        client.put("/options", json={"akto_url": other.url}).raise_for_status()
        httpx.get(f"{mirror.proxy.url}/moved")
        Mirror(mirror.proxy, other).entry("/moved")
    assert list(mirror.akto.entries) == []


@pytest.mark.e2e
def test_mitmproxy_mirrors_and_quits() -> None:
    """The terminal program starts with the addon, mirrors, and flushes when it is quit."""
    with BackgroundServer(Application([("(.*)", _Api)])) as api, Receiver() as akto:
        settings = {"confdir": confdir(), "akto_url": akto.url, "akto_linger_ms": 600_000}
        command = [str(PROGRAMS / "mitmproxy"), "--mode", f"reverse:{api.url}@127.0.0.1:0", "-s", str(ADDON)]
        for name, value in settings.items():
            command += ["--set", f"{name}={value}"]
        with Screen(command) as screen:
            port = screen.wait_for(r"\[127\.0\.0\.1:(\d+)\]")
            httpx.get(f"http://127.0.0.1:{port}/lamps")
            screen.type("qy")
            assert screen.process.wait(DEADLINE) == 0
        assert [entry["path"] for entry in akto.entries] == ["/lamps"]


class Screen:
    """A program on a terminal of its own."""

    def __init__(self, command: list[str]) -> None:
        self._keyboard, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        terminal = environment({"TERM": "xterm"})
        self.process = subprocess.Popen(command, stdin=side, stdout=side, stderr=side, env=terminal)
        os.close(side)
        self._shown = ""
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self._keyboard, keys.encode())

    def wait_for(self, pattern: str) -> str:
        """Wait until a pattern has been written to the terminal, and return its first group.

        Raises:
            AssertionError: it was not in time.
        """
        deadline = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, self._shown)):
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen: {self._shown!r}"
            time.sleep(0.01)
        return found[1]

    def _read(self) -> None:
        try:
            while data := os.read(self._keyboard, 65536):
                self._shown += data.decode("utf-8", "replace")
        except OSError:
            # The program has ended, and its side of the terminal with it.
            return
