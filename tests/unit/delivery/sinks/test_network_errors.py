"""Causes of network errors, wrapped by libraries or not."""

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
    """The type of the error decides, or the type of the error that it was raised from."""
    assert cause(error) is expected
    outer = httpx.ConnectError("x")
    outer.__cause__ = error
    assert cause(outer) is expected
    unchained = httpx.ConnectError("x")
    unchained.__context__ = error
    assert cause(unchained) is expected


@pytest.mark.parametrize(("number", "expected"), [*CERTIFICATES.items(), (7, Cause.UNTRUSTED)])
def test_openssl_s_number_decides_of_a_certificate(number: int, expected: Cause) -> None:
    """OpenSSL's error number decides; an unknown one still is an error of the certificate."""
    error = ssl.SSLCertVerificationError()
    error.verify_code = number
    assert cause(error) is expected


def test_plain_text_in_the_place_of_tls_is_known() -> None:
    """A plain-text answer to TLS is recognised by the names that versions of OpenSSL have for it."""
    ends = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends[0].write(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(ssl.SSLError) as failed:
        ssl.create_default_context().wrap_bio(*ends, server_hostname="h").do_handshake()
    assert cause(failed.value) is Cause.NO_TLS
