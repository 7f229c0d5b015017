"""Which cause an error of the network has, whatever libraries have raised from it."""

from __future__ import annotations

import socket
import ssl

import httpx
import pytest

from akto_mirror.delivery.sinks.network_errors import CERTIFICATES, cause
from akto_mirror.delivery.sinks.symptoms import Cause


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (socket.gaierror(-2, "x"), Cause.UNKNOWN_HOST),
        (ConnectionRefusedError(), Cause.NOTHING_LISTENS),
        (ConnectionResetError(), Cause.BROKE_OFF),
        (BrokenPipeError(), Cause.BROKE_OFF),
        (TimeoutError(), Cause.SLOW),
        (FileNotFoundError(), Cause.NO_SOCKET),
        (OSError(113, "No route to host"), Cause.UNREACHABLE),
        (httpx.ReadTimeout("x"), Cause.SLOW),
        (httpx.RemoteProtocolError("x"), Cause.NOT_HTTP),
        (ValueError("x"), Cause.NETWORK),
    ],
)
def test_the_type_decides(error: Exception, expected: Cause) -> None:
    """Alone, and behind what was raised from it."""
    assert cause(error) is expected
    outer = httpx.ConnectError("x")
    outer.__cause__ = error
    assert cause(outer) is expected
    unchained = httpx.ConnectError("x")
    unchained.__context__ = error
    assert cause(unchained) is expected


@pytest.mark.parametrize(("number", "expected"), [*CERTIFICATES.items(), (7, Cause.UNTRUSTED)])
def test_openssl_s_number_decides_of_a_certificate(number: int, expected: Cause) -> None:
    """One that is not known is still one of a certificate."""
    error = ssl.SSLCertVerificationError()
    error.verify_code = number
    assert cause(error) is expected


def test_plain_text_in_the_place_of_tls_is_known() -> None:
    """By the names that releases of OpenSSL have for it."""
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends[0].write(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ssl.SSLError) as failed:
        ssl.create_default_context().wrap_bio(*ends, server_hostname="h").do_handshake()
    assert cause(failed.value) is Cause.NO_TLS
