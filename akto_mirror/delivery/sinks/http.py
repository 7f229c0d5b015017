"""Akto's data-ingestion service over HTTP."""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import certifi
import httpx

from akto_mirror.akto_api import HEALTH_PATH, MARKER, batch_body, beside
from akto_mirror.delivery.sinks import answers, network_errors, symptoms
from akto_mirror.delivery.sinks.answers import MAX_ANSWER
from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.symptoms import Cause, Kind
from akto_mirror.delivery.sinks.transport import Transport
from akto_mirror.escaping import hide, printable

# Any content type is fine, but the body must not be compressed.
ANSWERS = {"accept": "*/*", "accept-encoding": "identity"}

SENT = "http11.send_request_body.complete"
CONNECTED = frozenset(
    {"connection.connect_tcp.complete", "connection.connect_unix_socket.complete", "connection.start_tls.complete"}
)

HANDSHAKE = {"connection.start_tls.started": True, "connection.start_tls.complete": False}


class HttpSink:
    """Posts batches over one kept-alive connection, which is opened on the first send.

    Args:
        url: the full address, path included.
        token: sent raw as `Authorization`, as Akto's service expects it; empty sends none.
        uds: path of a Unix socket to connect through; empty connects to the address.
        marker: value of the header `x-akto-mirror`.
    """

    def __init__(self, url: str, *, token: str = "", uds: str = "", marker: str = "") -> None:
        _quiet_libraries()
        self._url = url
        self._uds = uds
        self._headers = {"content-type": "application/json", "user-agent": "akto-mirror", MARKER: marker, **ANSWERS}
        self._token = token
        if token:
            self._headers["authorization"] = token
        # Not httpx's client, which would keep every cookie and raise on an invalid `Location`.
        self._transport: Transport | None = None
        self._socket: socket.socket | None = None
        self._aborted = self._is_sent = False
        self._in_handshake = False

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Post a batch; the time-out limits the whole exchange, however slowly Akto responds."""
        result = self._ask("POST", self._url, batch_body(entries), timeout_s)
        return replace(result, doubtful=len(entries)) if result.status is None and self._is_sent else result

    def is_healthy(self, timeout_s: float) -> bool:
        """Request `/healthCheck` of the same service."""
        url = beside(self._url, HEALTH_PATH)
        return self._ask("GET", url, None, timeout_s).kind is Kind.SHIPPED

    def abort(self) -> None:
        """Shut down the connection, which wakes a thread that waits for it."""
        self._aborted = True
        self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def _ask(self, method: str, url: str, content: bytes | None, timeout_s: float) -> SendResult:
        self._aborted = self._in_handshake = self._is_sent = False
        watchdog = threading.Timer(timeout_s, self.abort)
        watchdog.daemon = True
        watchdog.start()
        try:
            return self._answer(method, url, content, timeout_s)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ssl.SSLError, ValueError) as error:
            late = f"no answer within {timeout_s:g} s; " if self._aborted else ""
            detail = self._hidden(f"{late}{type(error).__name__}{self._place(error)}: {error}")
            return SendResult(None, detail, cause=self._cause(error))
        finally:
            watchdog.cancel()

    def _answer(self, method: str, url: str, content: bytes | None, timeout_s: float) -> SendResult:
        if self._transport is None:
            self._transport = self._connectable()
        asked = {"timeout": httpx.Timeout(timeout_s).as_dict(), "trace": self._trace}
        request = httpx.Request(method, url, headers=self._headers, content=content, extensions=asked)
        with contextlib.closing(self._transport.handle_request(request)) as response:
            status, retry_after = response.status_code, response.headers.get("retry-after", "")
            if response.is_redirect:
                return SendResult(status, self._hidden(_leads_to(response)), retry_after)
            head, is_whole = read_head(response)
            cause = answers.cause(head, is_whole=is_whole) if status == 200 else symptoms.of_status(status, self._token)
            return SendResult(status, self._hidden(head.decode("utf-8", "replace")), retry_after, cause=cause)

    def _cause(self, error: Exception) -> Cause:
        """Return the cause of an error; a handshake that times out suggests a port without TLS."""
        cause = Cause.SLOW if self._aborted else network_errors.cause(error)
        return Cause.NO_TLS if cause is Cause.SLOW and self._in_handshake else cause

    def _place(self, error: Exception) -> str:
        """Return the address that could not be connected to, which the error's own text leaves out."""
        if not isinstance(error, httpx.ConnectError):
            return ""
        return f" at {self._uds or urlsplit(self._url).netloc}"

    def _hidden(self, text: str) -> str:
        """Make text printable and hide the token in it, which a response may quote."""
        return printable(hide(text, self._token))

    def _connectable(self) -> Transport:
        is_tls = self._url.startswith("https:")
        return Transport(tls_context() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), self._uds)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        if event in HANDSHAKE:
            self._in_handshake = HANDSHAKE[event]
        if event == SENT:
            self._is_sent = True
        if event in CONNECTED:
            self._socket = info["return_value"].get_extra_info("socket")
            if self._aborted:
                self._shut_down()


def _quiet_libraries() -> None:
    """Prevent a line in mitmproxy's log for each request."""
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts the system's CAs (or `SSL_CERT_FILE`), or the well-known ones if it has none."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context


def _leads_to(response: httpx.Response) -> str:
    return f"to {response.headers.get('location') or 'a place that it does not name'}"


def read_head(response: httpx.Response) -> tuple[bytes, bool]:
    """Read a response to its end, so that the connection can be reused, but at most `MAX_ANSWER` bytes.

    Returns:
        Its beginning, and whether that is the whole response.
    """
    head = bytearray()
    for piece in response.iter_raw():
        head += piece
        if len(head) > MAX_ANSWER:
            return bytes(head[:MAX_ANSWER]), False
    return bytes(head), True
