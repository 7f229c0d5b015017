"""Servers of mitmproxy use the parent's sockets, and options that workers cannot share are refused."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from mitmproxy import exceptions
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from akto_mirror.workers.listener import Listener
from akto_mirror.workers.sharing import RESERVED, Sharing

Asked = list[tuple[str, str, int]]


class Parent:
    """Returns a new socket for each address."""

    number = 1

    def __init__(self) -> None:
        self.asked: Asked = []

    def listen(self, key: str, host: str, port: int) -> list[socket.socket]:
        """Record the request."""
        self.asked.append((key, host, port))
        made = socket.create_server(("127.0.0.1", 0))
        made.setblocking(False)
        return [made]


def play(story: Callable[[Any, Proxyserver, Sharing, Parent], Coroutine[Any, Any, None]]) -> None:
    """Run a story with a proxy server that shares sockets."""

    async def act() -> None:
        server = Proxyserver()
        with taddons.context(server) as context:
            parent = Parent()
            sharing = Sharing(context.master, parent)
            context.master.addons.add(sharing)
            await story(context, server, sharing, parent)
            context.options.update(server=False)
            await server.setup_servers()

    asyncio.run(act())


@pytest.mark.parametrize("mode", ["regular", "reverse:http://a", "reverse:https://a", "socks5", "upstream:http://a"])
def test_servers_listen_where_the_parent_says(mode: str) -> None:
    """The key is the whole mode, so that two modes with port 0 have different sockets."""

    async def story(context: Any, server: Proxyserver, _: Sharing, parent: Parent) -> None:
        context.options.update(mode=[f"{mode}@127.0.0.1:0"])
        assert await server.setup_servers()
        assert parent.asked == [(f"{mode}@127.0.0.1:0", "127.0.0.1", 0)]
        (instance,) = server.servers
        assert isinstance(instance._servers[0], Listener)  # type: ignore[attr-defined]
        assert server.listen_addrs()[0][0] == "127.0.0.1"

    play(story)


def test_modes_share_the_descriptors(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """All modes together accept as many connections as a process has descriptors for."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (RESERVED + 2 * 2, -1))

    async def story(context: Any, server: Proxyserver, *_: object) -> None:
        context.options.update(mode=["regular@127.0.0.1:0", "socks5@127.0.0.2:0"])
        assert await server.setup_servers()
        clients = [await asyncio.open_connection(*address) for address in 2 * server.listen_addrs()]
        async with asyncio.timeout(60):
            while "akto: new connections wait (2 connections)" not in caplog.text:
                await asyncio.sleep(0.01)
        assert len(server.connections) == 2
        for _reader, writer in clients:
            writer.close()

    play(story)


def test_https_without_http3_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The first worker logs one line, because mitmproxy alone would serve HTTP/3 on the same port."""
    caplog.set_level(logging.INFO)

    async def story(context: Any, server: Proxyserver, _: Sharing, parent: Parent) -> None:
        for parent.number in (1, 2):
            context.options.update(mode=[f"reverse:https://a{parent.number}@127.0.0.1:0"])
            assert await server.setup_servers()

    play(story)
    lines = [each.getMessage() for each in caplog.records if "HTTP/3" in each.getMessage()]
    assert lines == [
        "akto: reverse:https://a1@127.0.0.1:0 is served over TCP only: with `--processes` above 1 there is no HTTP/3"
    ]


DATAGRAMS = ["dns", "wireguard", "local", "tun"]
DATAGRAMS += [f"reverse:{scheme}://a:1" for scheme in ("dns", "quic", "http3", "udp", "dtls")]


@pytest.mark.parametrize("mode", DATAGRAMS)
def test_what_is_not_tcp_is_refused(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    """The error names the mode, and ends mitmproxy's start."""
    caplog.set_level(logging.ERROR)

    async def story(context: Any, server: Proxyserver, _: Sharing, parent: Parent) -> None:
        context.options.update(mode=[f"{mode}@0"])
        assert not await server.setup_servers()
        assert parent.asked == []

    play(story)
    assert f"`--processes` above 1 cannot be combined with the mode {mode}@0" in caplog.records[0].message


def test_files_cannot_be_shared() -> None:
    """An option that would make all workers write the same file is refused."""

    async def story(context: Any, _: Proxyserver, __: Sharing, ___: Parent) -> None:
        context.options.add_option("save_stream_file", str, "", "")
        with pytest.raises(exceptions.OptionsError, match="cannot be combined with -w; leave out `--processes`"):
            context.options.update(save_stream_file="flows")

    play(story)


def test_a_drain_ends_mitmproxy() -> None:
    """Without connections it ends at once, whichever thread starts the drain."""

    async def story(context: Any, server: Proxyserver, sharing: Sharing, _: Parent) -> None:
        context.options.update(mode=["regular@127.0.0.1:0"])
        await server.setup_servers()
        await asyncio.to_thread(sharing.begin_to_drain, 60.0)
        await asyncio.wait_for(context.master.should_exit.wait(), 60)

    play(story)
