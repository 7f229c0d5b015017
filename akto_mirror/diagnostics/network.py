"""Checks the connection to a server below HTTP: name, TCP, TLS certificate, and the protocol of the port."""

from __future__ import annotations

import socket
import ssl
import time

from akto_mirror.delivery.sinks import network_errors
from akto_mirror.delivery.sinks.http import tls_context
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.diagnostics.target import CheckError, Target, open_socket, reason
from akto_mirror.escaping import host_and_port


def resolve(target: Target) -> str:
    """Return the addresses of the server's name."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise CheckError(Cause.UNKNOWN_HOST, f"{target.host} is not known ({reason(error)})") from error
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(target: Target) -> str:
    """Connect, and return the address."""
    with open_socket(target) as connection:
        return target.uds or host_and_port(*connection.getpeername()[:2])


def handshake(target: Target) -> str:
    """Return the TLS version, and the last day on which the certificate is valid."""
    with open_socket(target) as plain:
        # Some plain HTTP servers wait for the rest of an apparent request: leave time for a request in plain HTTP.
        plain.settimeout(target.timeout / 2)
        try:
            with tls_context().wrap_socket(plain, server_hostname=target.host) as secure:
                return f"{secure.version()}, certificate valid until {_expiry(secure)}"
        except ssl.SSLCertVerificationError as error:
            cause = network_errors.cause(error)
            raise CheckError(cause, f"{cause.sentence} ({error.verify_message})") from error
        except OSError as error:
            if speaks_http(target):
                raise CheckError(Cause.SPEAKS_HTTP) from error
            if isinstance(error, TimeoutError):
                raise
            raise CheckError(Cause.NO_TLS, f"{Cause.NO_TLS.sentence} ({reason(error)})") from error


def _expiry(secure: ssl.SSLSocket) -> str:
    ends = (secure.getpeercert() or {}).get("notAfter", "")
    return time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(str(ends))))


def speaks_tls(target: Target) -> bool:
    """Return whether the port speaks TLS."""
    try:
        with open_socket(target) as plain:
            plain.settimeout(target.timeout / 4)
            tls_context().wrap_socket(plain, server_hostname=target.host).close()
    except ssl.SSLCertVerificationError:
        return True
    except (OSError, CheckError):
        return False
    return True


def speaks_http(target: Target) -> bool:
    """Return whether the port speaks plain HTTP."""
    try:
        with open_socket(target) as plain:
            plain.settimeout(target.timeout / 4)
            plain.sendall(b"GET /healthCheck HTTP/1.0\r\n\r\n")
            return plain.recv(5) == b"HTTP/"
    except (OSError, CheckError):
        return False
