"""Maps network errors to causes, by types and numbers because texts differ between systems and releases."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from akto_mirror.delivery.sinks.symptoms import Cause

# OpenSSL's X509_V_ERR numbers.
CERTIFICATES = {
    9: Cause.NOT_YET_VALID,
    10: Cause.EXPIRED,
    18: Cause.SELF_SIGNED,
    19: Cause.UNKNOWN_ISSUER,
    20: Cause.UNKNOWN_ISSUER,
    62: Cause.OTHER_HOST,
    64: Cause.OTHER_ADDRESS,
}

# OpenSSL's names for the errors that plain text in place of TLS causes.
PLAIN_TEXT = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG"})

# The other errors; base classes come after their subclasses.
CAUSES: tuple[tuple[type[Exception], Cause], ...] = (
    (socket.gaierror, Cause.UNKNOWN_HOST),
    (UnicodeError, Cause.UNKNOWN_HOST),
    (ConnectionRefusedError, Cause.NOTHING_LISTENS),
    (FileNotFoundError, Cause.NO_SOCKET),
    (PermissionError, Cause.NO_SOCKET),
    (TimeoutError, Cause.SLOW),
    (ConnectionError, Cause.BROKE_OFF),
    (OSError, Cause.UNREACHABLE),
    (httpx.TimeoutException, Cause.SLOW),
    (httpx.RemoteProtocolError, Cause.NOT_HTTP),
)


def cause(error: BaseException) -> Cause:
    """Return the cause of an error, following the chain of errors that libraries have raised from one another."""
    found = (named for each in _chain(error) if (named := _cause(each)))
    return next(found, Cause.NETWORK)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Return an error and those that it was raised from, beginning with the original one."""
    if error is not None:
        yield from _chain(error.__cause__ or error.__context__)
        yield error


def _cause(error: BaseException) -> Cause | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return CERTIFICATES.get(error.verify_code, Cause.UNTRUSTED)
    if isinstance(error, ssl.SSLError):
        return Cause.NO_TLS if error.reason in PLAIN_TEXT else Cause.TLS_FAILED
    return next((found for known, found in CAUSES if isinstance(error, known)), None)
