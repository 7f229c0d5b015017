"""The HTTP requests of `akto-mirror check`, and the errors in their responses."""

from __future__ import annotations

import contextlib
import json
import time

import httpx
import msgspec

from akto_mirror.akto_api import DEFAULT_TAG, HEALTH_PATH, Entry
from akto_mirror.delivery.sinks import answers, symptoms
from akto_mirror.delivery.sinks.http import read_head, tls_context
from akto_mirror.delivery.sinks.symptoms import Cause, Kind
from akto_mirror.diagnostics.network import speaks_tls
from akto_mirror.diagnostics.target import CheckError, Target, reason

TEST_PATH = "/akto-mirror/test-entry"
TEST_HOST = "akto-mirror.invalid"


def client(target: Target) -> httpx.Client:
    """Return a client that follows no redirect and uses no proxy."""
    transport = httpx.HTTPTransport(verify=tls_context(), uds=target.uds or None)
    return httpx.Client(transport=transport, timeout=target.timeout, trust_env=False, follow_redirects=False)


def health(target: Target, client: httpx.Client) -> str:
    """Request the health check; returns the status."""
    return f"{_ask(target, client, HEALTH_PATH, token=None)}"


def auth(target: Target, client: httpx.Client) -> str:
    """Check that the token is accepted."""
    status = _ask(target, client, "/api/auth-check", token=target.token)
    return f"{status}, " + ("the token is accepted" if target.token else "no token is needed")


def send(target: Target, client: httpx.Client) -> str:
    """Send a marked test entry; returns where to find it in Akto."""
    batch = msgspec.json.encode({"batchData": [test_entry(int(time.time()))]})
    headers = _headers(target.token) | {"content-type": "application/json"}
    request = client.build_request("POST", target.ingest_url, headers=headers, content=batch)
    status = _answer(target, client, request, token=target.token)
    return f"{status}, look for GET {TEST_PATH} in the collection {TEST_HOST}"


def test_entry(now: int) -> Entry:
    """Return an entry that cannot be confused with real traffic; `now` is in epoch seconds."""
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


def _ask(target: Target, client: httpx.Client, path: str, *, token: str | None) -> int:
    request = client.build_request("GET", target.beside(path), headers=_headers(token or ""))
    return _answer(target, client, request, token=token)


def _headers(token: str) -> dict[str, str]:
    return {"user-agent": "akto-mirror"} | ({"authorization": token} if token else {})


def _answer(target: Target, client: httpx.Client, request: httpx.Request, *, token: str | None) -> int:
    """Send a request, and return the status if it was successful.

    Args:
        target: the server.
        client: the HTTP client.
        request: the request.
        token: the token to send; None if none is needed.

    Raises:
        CheckError: the response is an error, or there is none.
        TimeoutError: there is no response in time.
    """
    try:
        with contextlib.closing(client.send(request, stream=True)) as response:
            head, is_whole = read_head(response)
    except httpx.TimeoutException:
        raise TimeoutError from None
    except (httpx.HTTPError, OSError) as error:
        if not target.tls and speaks_tls(target):
            raise CheckError(Cause.SPEAKS_TLS) from error
        raise CheckError(Cause.NOT_HTTP, f"{Cause.NOT_HTTP.sentence} ({reason(error)})") from error
    _require_yes(target, response, answers.cause(head, is_whole=is_whole), token)
    return response.status_code


def _require_yes(target: Target, response: httpx.Response, said: Cause, token: str | None) -> None:
    status = response.status_code
    cause = said if status == 200 else symptoms.of_status(status, token)
    if cause.kind is Kind.SHIPPED:
        return
    if cause.kind is Kind.AUTH and token is None:
        cause = Cause.LOGIN
    if status == 400 and not target.tls and speaks_tls(target):
        cause = Cause.SPEAKS_TLS
    if cause is Cause.REDIRECT:
        raise CheckError(cause, f"{status}, a redirect to {response.headers.get('location', 'nowhere')}")
    raise CheckError(cause, f"{status}, {cause.sentence}")
