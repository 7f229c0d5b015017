"""A transport that implements httpx's public interface with httpcore."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpcore
import httpx
import pytest

from akto_mirror.delivery.sinks.transport import Transport


def kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    """Yield an exception class and its subclasses."""
    yield root
    for each in root.__subclasses__():
        yield from kinds(each)


@pytest.mark.parametrize("root", [httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError])
def test_each_error_has_one_of_httpx(root: type[Exception]) -> None:
    """Each error of httpcore has one of the same name in httpx, by which the sink recognises the cause."""
    known = [getattr(httpx, kind.__name__) for kind in kinds(root)]
    assert [kind for kind in known if not issubclass(kind, httpx.TransportError)] == []


def test_an_address_where_nothing_listens_is_an_error_of_httpx() -> None:
    """Errors are raised as httpx's, although only the interface is inherited."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with Transport(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "") as made, pytest.raises(httpx.ConnectError):
        made.handle_request(httpx.Request("GET", f"http://127.0.0.1:{port}"))
    assert Transport.__mro__[1] is httpx.BaseTransport
