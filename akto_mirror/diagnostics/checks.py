"""The steps of `akto-mirror check`: is the way to Akto's ingestion service open, and if not, what to do."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from akto_mirror import private_files
from akto_mirror.akto_api import DEFAULT_TAG, HEALTH_PATH, Entry, beside
from akto_mirror.delivery.sinks import answers, destination
from akto_mirror.delivery.sinks.http import read_head, tls_context
from akto_mirror.escaping import hide, printable

TEST_PATH = "/akto-mirror/test-entry"
TEST_HOST = "akto-mirror.invalid"

T = TypeVar("T")

USE_ANOTHER_PORT = "start the service, or correct the address: Akto publishes its data-ingestion service on port 9091"
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

STATUS_FAULTS = {
    400: ("the service cannot read the request", "another kind of service may be listening there; " + USE_ANOTHER_PORT),
    404: ("there is no such path", "another service answers there, or it wants a path prefix; " + USE_ANOTHER_PORT),
    405: ("the method is not allowed there", "another service answers there; " + USE_ANOTHER_PORT),
    408: ("the service timed out", "try again; then read the service's log"),
    413: ("the entry is too large", "raise the limit of the proxy in front of the service"),
    422: ("the service could not hand the entry on", "its Kafka may be down: read the service's log"),
    429: ("too many requests", "try again later"),
    502: ("a proxy in front cannot reach the service", "start the service, or correct the proxy's target"),
    503: ("the service, or a proxy in front of it, is not ready", "start the service, or read its log"),
    504: ("a proxy in front got no answer from the service", "read the service's log"),
}


class Fault(Exception):  # noqa: N818 - a finding, not an error of this program
    """A step failed.

    Attributes:
        detail: What was found.
        hint: What to do about it.
    """

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


@dataclass(frozen=True)
class Step:
    """One line of the answer; its texts are escaped and hold no token."""

    name: str
    ok: bool
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class Target:
    """Where to look: `url`, `token` and `uds` as in the addon's options; `timeout` is in seconds a step.

    Raises:
        ValueError: If the URL is none, or not http(s).
    """

    url: str
    token: str = field(default="", repr=False)
    uds: str = ""
    timeout: float = 10

    def __post_init__(self) -> None:
        if destination.parse(self.url).scheme not in ("http", "https"):
            raise ValueError("only http:// and https:// can be checked")

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
        """The URL's port or its scheme's."""
        return urlsplit(self.url).port or (443 if self.tls else 80)

    @property
    def ingest_url(self) -> str:
        """Where entries are posted."""
        return destination.parse(self.url).url

    def beside(self, path: str) -> str:
        """Return the URL of another path of the service, as the shipper looks for it."""
        return beside(self.ingest_url, path)


def run(target: Target, *, send: bool) -> Iterator[Step]:
    """Take the steps one by one; none follows a failed one that it needs.

    Args:
        target: Where to look.
        send: Whether to send a marked test entry as well.
    """
    for name, action in _connecting(target):
        step = _attempt(target, name, action)
        yield step
        if not step.ok:
            return
    with _client(target) as client:
        for name, action in _asking(target, client, send=send):
            step = _attempt(target, name, action)
            yield step
            if step.hint == WRITE_HTTPS:  # The others would say the same.
                return


def spool_step(folder: str, environ: Mapping[str, str]) -> Step:
    """Look whether what cannot be sent at once could be kept on disk.

    Args:
        folder: as in `akto_spool_dir`.
        environ: the environment's variables, for the default folder.
    """
    try:
        found = private_files.usable_spool_folder(folder, environ)
    except ValueError as error:
        named = f"akto_spool_dir={folder}" if folder else "the default folder"
        return Step(
            "spool", ok=False, detail=printable(f"{named} cannot be used", 300), hint=printable(str(error), 300)
        )
    return Step("spool", ok=True, detail=printable(str(found), 300))


def show(step: Step, say: Callable[[str], None]) -> Step:
    """Write a step as one line, and a second one with what to do if it failed."""
    say(f"{'✓' if step.ok else '✗'} {step.name:<16} {step.detail}")
    if step.hint:
        say(f"{'':<18} → {step.hint}")
    return step


def _connecting(target: Target) -> Iterator[tuple[str, Callable[[], str]]]:
    if not target.uds:
        yield "resolve", partial(_resolve, target)
    yield "connect", partial(_connect, target)
    if target.tls:
        yield "TLS", partial(_handshake, target)


def _asking(target: Target, client: httpx.Client, *, send: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "/healthCheck", partial(_health, target, client)
    yield "/api/auth-check", partial(_auth, target, client)
    if send:
        yield "test entry", partial(_send, target, client)


def _attempt(target: Target, name: str, action: Callable[[], str]) -> Step:
    def clean(text: str) -> str:
        return printable(hide(text, target.token), 300)

    try:
        return Step(name, ok=True, detail=clean(_within(target.timeout, action)))
    except Fault as error:
        return Step(name, ok=False, detail=clean(error.detail), hint=clean(error.hint))


def _within(seconds: float, action: Callable[[], T]) -> T:
    """Return what `action` returns, or give it up: name resolution and slow bytes know no deadline of their own."""
    outcome: queue.Queue[T | Exception] = queue.Queue()

    def work() -> None:
        try:
            outcome.put(action())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = outcome.get(timeout=seconds)
    except queue.Empty:
        result = TimeoutError()
    if isinstance(result, TimeoutError):
        raise Fault(
            f"no answer within {seconds:g} s",
            "check the address, firewalls on the way, and whether the service hangs; --timeout waits longer",
        ) from None
    if isinstance(result, Exception):
        raise result
    return result


def _resolve(target: Target) -> str:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise Fault(
            f"{target.host} is not known ({_reason(error)})", "check the spelling, or this machine's name resolution"
        ) from error
    return ", ".join(dict.fromkeys(str(address[0]) for *_, address in found))


def _connect(target: Target) -> str:
    with _open(target) as connection:
        return target.uds or "{}:{}".format(*connection.getpeername()[:2])


def _open(target: Target) -> socket.socket:
    try:
        if not target.uds:
            return socket.create_connection((target.host, target.port), target.timeout)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(target.timeout)
        connection.connect(target.uds)
    except TimeoutError:
        raise
    except ConnectionRefusedError as error:
        raise Fault(f"nothing listens on {target.uds or f'port {target.port}'}", USE_ANOTHER_PORT) from error
    except OSError as error:
        hint = "check the path, its permissions, and whether the service runs" if target.uds else USE_ANOTHER_PORT
        raise Fault(_reason(error), hint) from error
    return connection


def _handshake(target: Target) -> str:
    with _open(target) as plain:
        # Some plain HTTP servers just wait for the end of what they take for a request: time must be left to ask them.
        plain.settimeout(target.timeout / 2)
        try:
            with tls_context().wrap_socket(plain, server_hostname=target.host) as secure:
                return f"{secure.version()}, certificate valid until {_expiry(secure)}"
        except ssl.SSLCertVerificationError as error:
            default = (f"the certificate is not trusted ({error.verify_message})", f"replace it, or {TRUST_THE_ISSUER}")
            raise Fault(*CERTIFICATE_FAULTS.get(error.verify_code, default)) from error
        except OSError as error:
            if _speaks_http(target):
                raise Fault("this port speaks plain HTTP, not TLS", WRITE_HTTP) from error
            if isinstance(error, TimeoutError):
                raise
            raise Fault(f"no TLS on this port ({_reason(error)})", USE_ANOTHER_PORT) from error


def _expiry(secure: ssl.SSLSocket) -> str:
    ends = (secure.getpeercert() or {}).get("notAfter", "")
    return time.strftime("%Y-%m-%d", time.gmtime(ssl.cert_time_to_seconds(str(ends))))


def _client(target: Target) -> httpx.Client:
    transport = httpx.HTTPTransport(verify=tls_context(), uds=target.uds or None)
    return httpx.Client(transport=transport, timeout=target.timeout, trust_env=False, follow_redirects=False)


def _health(target: Target, client: httpx.Client) -> str:
    status, objection = _ask(target, client, HEALTH_PATH)
    _require_ok(target, status, asked_with_token=False)
    _require_yes(objection)
    return f"{status}"


def _auth(target: Target, client: httpx.Client) -> str:
    status, objection = _ask(target, client, "/api/auth-check", token=target.token)
    _require_ok(target, status, asked_with_token=True)
    _require_yes(objection)
    return f"{status}, " + ("the token is accepted" if target.token else "no token is needed")


def _send(target: Target, client: httpx.Client) -> str:
    batch = msgspec.json.encode({"batchData": [test_entry(int(time.time()))]})
    headers = _headers(target.token) | {"content-type": "application/json"}
    request = client.build_request("POST", target.ingest_url, headers=headers, content=batch)
    status, objection = _answer(target, client, request)
    _require_ok(target, status, asked_with_token=True)
    _require_yes(objection)
    return f"{status}, look for GET {TEST_PATH} in the collection {TEST_HOST}"


def test_entry(now: int) -> Entry:
    """Return an entry that no real traffic can be taken for; `now` is in epoch seconds."""
    return Entry(
        path=TEST_PATH,
        method="GET",
        requestHeaders=json.dumps({"host": TEST_HOST}),
        responseHeaders=json.dumps({"content-type": "application/json"}),
        requestPayload="",
        responsePayload=json.dumps({"test": "sent by akto-mirror check"}),
        ip="127.0.0.1",
        time=str(now),
        statusCode="200",
        type="HTTP/1.1",
        status="OK",
        akto_account_id="1000000",
        akto_vxlan_id="0",
        is_pending="false",
        source="MIRRORING",
        tag=DEFAULT_TAG,
    )


def _ask(target: Target, client: httpx.Client, path: str, *, token: str = "") -> tuple[int, str]:
    return _answer(target, client, client.build_request("GET", target.beside(path), headers=_headers(token)))


def _headers(token: str) -> dict[str, str]:
    return {"user-agent": "akto-mirror"} | ({"authorization": token} if token else {})


def _answer(target: Target, client: httpx.Client, request: httpx.Request) -> tuple[int, str]:
    try:
        with contextlib.closing(client.send(request, stream=True)) as response:
            _refuse_redirect(response)
            head, is_whole = read_head(response)
            return response.status_code, answers.objection(head, is_whole=is_whole)
    except httpx.TimeoutException:
        raise TimeoutError from None
    except (httpx.HTTPError, OSError) as error:
        if not target.tls and _speaks_tls(target):
            raise Fault("this port speaks TLS, not plain HTTP", WRITE_HTTPS) from error
        hint = "another kind of service listens there; " + USE_ANOTHER_PORT
        raise Fault(f"no HTTP answer ({_reason(error)})", hint) from error


def _refuse_redirect(response: httpx.Response) -> None:
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "nowhere")
        raise Fault(f"{response.status_code}, a redirect to {where}", "redirects are not followed: give the final URL")


def _require_ok(target: Target, status: int, *, asked_with_token: bool) -> None:
    if status == 200:
        return
    if status in (401, 403):
        raise Fault(*_unauthorized(target, status, asked_with_token=asked_with_token))
    if status == 400 and not target.tls and _speaks_tls(target):
        raise Fault("400, this port speaks TLS, not plain HTTP", WRITE_HTTPS)
    detail, hint = STATUS_FAULTS.get(status, ("the service does not do what was asked", "read the service's log"))
    raise Fault(f"{status}, {detail}", hint)


def _unauthorized(target: Target, status: int, *, asked_with_token: bool) -> tuple[str, str]:
    if not asked_with_token:
        return f"{status}, although this path needs no token", "a proxy in front asks for a login: let this path pass"
    if not target.token:
        return f"{status}, the service wants a token", "give it with --token or in AKTO_API_TOKEN"
    if target.token.lower().startswith("bearer "):
        return f"{status}, the token is refused", "give the token alone, without Bearer"
    return f"{status}, the token is refused", "check that it is complete, not expired, and of this service's account"


def _require_yes(objection: str) -> None:
    if objection:
        raise Fault(f"200, but not Akto's answer: {objection}", f"{answers.cause(objection)}; {USE_ANOTHER_PORT}")


def _speaks_tls(target: Target) -> bool:
    try:
        with _open(target) as plain:
            plain.settimeout(target.timeout / 4)
            tls_context().wrap_socket(plain, server_hostname=target.host).close()
    except ssl.SSLCertVerificationError:
        return True
    except (OSError, Fault):
        return False
    return True


def _speaks_http(target: Target) -> bool:
    try:
        with _open(target) as plain:
            plain.settimeout(target.timeout / 4)
            plain.sendall(b"GET /healthCheck HTTP/1.0\r\n\r\n")
            return plain.recv(5) == b"HTTP/"
    except (OSError, Fault):
        return False


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason:
        return error.reason.replace("_", " ").lower()
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
