"""The parent opens each address once."""

from __future__ import annotations

import socket

import pytest

from akto_mirror.workers.messages import Listen
from akto_mirror.workers.sockets import Sockets


def test_an_address_is_opened_once() -> None:
    """With port 0, keys distinguish the listeners; unused sockets are closed."""
    sockets = Sockets()
    one, other = Listen("one", "127.0.0.1", 0), Listen("other", "127.0.0.1", 0)
    (first,), (second,) = sockets.of(one), sockets.of(other)
    assert sockets.of(one) == [first]
    assert first.getsockname() != second.getsockname()
    sockets.keep([other])
    assert (first.fileno(), sockets.of(other)) == (-1, [second])
    sockets.keep([])


def test_every_interface_has_one_port() -> None:
    """Without a host, all interfaces have the same port, as in mitmproxy."""
    sockets = Sockets()
    assert len({each.getsockname()[1] for each in sockets.of(Listen("", "", 0))}) == 1
    sockets.keep([])


def test_an_address_in_use_is_refused() -> None:
    """An address in use is an error, and is not remembered."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        asked = Listen("", "127.0.0.1", taken.getsockname()[1])
        sockets = Sockets()
        with pytest.raises(OSError, match="in use"):
            sockets.of(asked)
    sockets.of(asked)
    sockets.keep([])
