"""What a server is asked over HTTP, and what is wrong with its answers."""

from __future__ import annotations

import contextlib
import json
import time

import httpx
import msgspec

from akto_mirror.akto_api import DEFAULT_TAG, HEALTH_PATH, Entry
from akto_mirror.delivery.sinks import answers
from akto_mirror.delivery.sinks.http import read_head, tls_context
from akto_mirror.diagnostics.network import WRITE_HTTPS, speaks_tls
from akto_mirror.diagnostics.target import USE_ANOTHER_PORT, Fault, Target, reason

TEST_PATH = "/akto-mirror/test-entry"
TEST_HOST = "akto-mirror.invalid"

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


def client(target: Target) -> httpx.Client:
    """Return a client that follows no redirect and uses no proxy."""
    transport = httpx.HTTPTransport(verify=tls_context(), uds=target.uds or None)
    return httpx.Client(transport=transport, timeout=target.timeout, trust_env=False, follow_redirects=False)


def health(target: Target, client: httpx.Client) -> str:
    """Ask whether the service is there; returns the status."""
    status, objection = _ask(target, client, HEALTH_PATH)
    _require_ok(target, status, asked_with_token=False)
    _require_yes(objection)
    return f"{status}"


def auth(target: Target, client: httpx.Client) -> str:
    """Ask whether the token is accepted."""
    status, objection = _ask(target, client, "/api/auth-check", token=target.token)
    _require_ok(target, status, asked_with_token=True)
    _require_yes(objection)
    return f"{status}, " + ("the token is accepted" if target.token else "no token is needed")


def send(target: Target, client: httpx.Client) -> str:
    """Send a marked test entry; returns where to look for it."""
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
        if not target.tls and speaks_tls(target):
            raise Fault("this port speaks TLS, not plain HTTP", WRITE_HTTPS) from error
        hint = "another kind of service listens there; " + USE_ANOTHER_PORT
        raise Fault(f"no HTTP answer ({reason(error)})", hint) from error


def _refuse_redirect(response: httpx.Response) -> None:
    if 300 <= response.status_code < 400:
        where = response.headers.get("location", "nowhere")
        raise Fault(f"{response.status_code}, a redirect to {where}", "redirects are not followed: give the final URL")


def _require_ok(target: Target, status: int, *, asked_with_token: bool) -> None:
    if status == 200:
        return
    if status in (401, 403):
        raise Fault(*_unauthorized(target, status, asked_with_token=asked_with_token))
    if status == 400 and not target.tls and speaks_tls(target):
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
