"""The server that `akto-mirror check` checks, and the error of a failed step."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from akto_mirror.akto_api import beside
from akto_mirror.delivery.sinks import destination, network_errors
from akto_mirror.delivery.sinks.symptoms import Cause


class CheckError(Exception):
    """A step failed.

    Attributes:
        cause: The cause, which determines the remedy.
        detail: What was found; by default, the meaning of the cause.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        super().__init__(detail or cause.sentence)
        self.cause = cause
        self.detail = detail or cause.sentence


@dataclass(frozen=True)
class Target:
    """The server to check: `url`, `token` and `uds` as in the addon's options; `timeout` is in seconds for each step.

    Raises:
        ValueError: If the URL is invalid, or not http(s).
    """

    url: str
    token: str = field(default="", repr=False)
    uds: str = ""
    timeout: float = 10

    def __post_init__(self) -> None:
        if destination.parse(self.url).scheme not in ("http", "https"):
            raise ValueError("only http:// and https:// can be checked")

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values that must not be shown."""
        return (self.token,)

    @property
    def tls(self) -> bool:
        """Whether the URL is https."""
        return urlsplit(self.url).scheme == "https"

    @property
    def host(self) -> str:
        """The URL's host, without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The URL's port, or the default port of its scheme."""
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def ingest_url(self) -> str:
        """The URL to which entries are posted."""
        return destination.parse(self.url).url

    def beside(self, path: str) -> str:
        """Return the URL of another path of the service, as the shipper derives it."""
        return beside(self.ingest_url, path)


def open_socket(target: Target) -> socket.socket:
    """Connect to the server.

    Raises:
        CheckError: it cannot be reached.
        TimeoutError: it does not respond.
    """
    try:
        if not target.uds:
            return socket.create_connection((target.host, target.port), target.timeout)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(target.timeout)
        connection.connect(target.uds)
    except TimeoutError:
        raise
    except OSError as error:
        cause = network_errors.cause(error)
        where = target.uds or f"port {target.port}"
        raise CheckError(
            cause, f"nothing listens on {where}" if cause is Cause.NOTHING_LISTENS else reason(error)
        ) from error
    return connection


def reason(error: Exception) -> str:
    """Return an error's text without its number."""
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
