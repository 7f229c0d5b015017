"""The way to a server below HTTP: names, connections, certificates, and which protocol a port speaks."""

from __future__ import annotations

import socket
import ssl
import time

from akto_mirror.delivery.sinks.http import tls_context
from akto_mirror.diagnostics.target import USE_ANOTHER_PORT, Fault, Target, open_socket, reason

TRUST_THE_ISSUER = (
    "set SSL_CERT_FILE to a PEM file that holds the certificate of its issuer (or, if self-signed, its own)"
)
WRITE_HTTP = "write http:// instead of https://: Akto's own port speaks plain HTTP"
WRITE_HTTPS = "write https:// instead of http://"

# OpenSSL's X509_V_ERR numbers.
CERTIFICATE_FAULTS = {
    9: ("the certificate is not valid yet", "correct the clock of this machine, or the certificate"),
    10: ("the certificate has expired", "renew it"),
    18: ("the certificate is self-signed", TRUST_THE_ISSUER),
    19: ("the certificate's issuer is not trusted here", TRUST_THE_ISSUER),
    20: ("the certificate's issuer is not trusted here", TRUST_THE_ISSUER),
    62: ("the certificate is for another host", "use a host name that the certificate holds"),
    64: ("the certificate is for another address", "use a host name that the certificate holds"),
}


def resolve(target: Target) -> str:
    """Return the addresses of the server's name."""
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Fault(
            f"{target.host} is not known ({reason(error)})", "check the spelling, or this machine's name resolution"
        ) from error
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


def connect(target: Target) -> str:
    """Connect, and return the address."""
    with open_socket(target) as connection:
        return target.uds or "{}:{}".format(*connection.getpeername()[:2])


def handshake(target: Target) -> str:
    """Return the version of TLS, and until when the certificate is valid."""
    with open_socket(target) as plain:
        # Some plain HTTP servers just wait for the end of what they take for a request: time must be left to ask them.
        plain.settimeout(target.timeout / 2)
        try:
            with tls_context().wrap_socket(plain, server_hostname=target.host) as secure:
                return f"{secure.version()}, certificate valid until {_expiry(secure)}"
        except ssl.SSLCertVerificationError as error:
            default = (f"the certificate is not trusted ({error.verify_message})", f"replace it, or {TRUST_THE_ISSUER}")
            raise Fault(*CERTIFICATE_FAULTS.get(error.verify_code, default)) from error
        except OSError as error:
            if speaks_http(target):
                raise Fault("this port speaks plain HTTP, not TLS", WRITE_HTTP) from error
            if isinstance(error, TimeoutError):
                raise
            raise Fault(f"no TLS on this port ({reason(error)})", USE_ANOTHER_PORT) from error


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
    except (OSError, Fault):
        return False
    return True


def speaks_http(target: Target) -> bool:
    """Return whether the port speaks plain HTTP."""
    try:
        with open_socket(target) as plain:
            plain.settimeout(target.timeout / 4)
            plain.sendall(b"GET /healthCheck HTTP/1.0\r\n\r\n")
            return plain.recv(5) == b"HTTP/"
    except (OSError, Fault):
        return False
