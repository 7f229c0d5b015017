"""Who may read what the sink holds, and what the page may do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from akto_mirror.ingestion import page_document
from akto_mirror.ingestion.service import Receiver

READING = ("/api/entries", "/api/inventory", "/api/inventory/endpoint?id=0")
ENTRY = {"path": "/secret", "method": "GET", "time": "1700000000"}
TOKEN = "eyJ.secret.token"


def filled(**options: str) -> Receiver:
    """Make a sink that holds one entry."""
    made = Receiver(**options)  # type: ignore[arg-type]  # only texts are given here
    made.store.add(dict(ENTRY))
    return made


def get(server: Receiver, path: str, **headers: str) -> httpx.Response:
    """Ask the sink, over the loopback address wherever it listens."""
    return httpx.get(f"http://127.0.0.1:{server.port}{path}", headers=headers, trust_env=False, timeout=60)


@pytest.fixture(scope="module")
def local() -> Iterator[Receiver]:
    """Run a sink that listens on this machine only, without a token."""
    with filled() as running:
        yield running


@pytest.fixture(scope="module")
def wide() -> Iterator[Receiver]:
    """Run a sink that listens on every address, without a token."""
    with filled(host="0.0.0.0") as running:
        yield running


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize(
    "name", ["localhost", "LOCALHOST:9091", "127.0.0.1:80", "127.8.8.8", "[::1]:9091", "a.localhost"]
)
def test_names_of_this_machine_may_read(local: Receiver, path: str, name: str) -> None:
    """Under a loopback name or address the sink shows what it holds."""
    assert "/secret" in get(local, path, host=name).text


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize(
    "name", ["evil.example:9091", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "10.0.0.1"]
)
def test_other_names_are_refused(local: Receiver, path: str, name: str) -> None:
    """Another name that resolves to this machine (DNS rebinding) reads nothing."""
    answer = get(local, path, host=name)
    assert answer.status_code == 403
    assert "localhost" in answer.json()["error"]
    assert "/secret" not in answer.text


@pytest.mark.parametrize("path", READING)
def test_beyond_this_machine_only_the_token_reads(wide: Receiver, path: str) -> None:
    """A sink that others can reach shows nothing without a token, and says what to do; it takes entries as ever."""
    answer = get(wide, path)
    assert answer.status_code == 403
    assert "AKTO_API_TOKEN" in answer.json()["error"]
    sent = httpx.post(f"http://127.0.0.1:{wide.port}/api/ingestData", json={"batchData": [ENTRY]}, trust_env=False)
    assert sent.status_code == 200


@pytest.mark.parametrize("path", READING)
@pytest.mark.parametrize("name", ["localhost", "sink.example"])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_the_token_reads_under_every_name(path: str, name: str, address: str) -> None:
    """With the token anyone may read, through a reverse proxy too; without it only this machine."""
    with filled(host=address, token=TOKEN) as guarded:
        assert get(guarded, path, host=name).status_code == 401
        assert "/secret" in get(guarded, path, host=name, authorization=TOKEN).text


def test_the_page_is_one_document_that_may_load_nothing(local: Receiver) -> None:
    """It is served without data; its policy allows its own script, style and sink, and it names no other address."""
    answer = get(local, "/")
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert re.fullmatch(r"'sha256-[\w+/=]+'", policy["script-src"])
    assert re.fullmatch(r"'sha256-[\w+/=]+'", policy["style-src"])
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "/secret" not in answer.text
    outside = set(re.findall(r"https?://[^\s'\"<>`]+", answer.text))
    assert outside == {"http://www.w3.org/2000/svg", "http://127.0.0.1:3000", "http://127.0.0.1:8080"}


def test_the_page_makes_no_markup() -> None:
    """Its script uses none of the ways by which text becomes markup or code."""
    text = page_document.load().body.decode()
    script = text.partition("<script>")[2]
    assert len(script) > 1_000
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|DOMParser|\beval\b|new Function|srcdoc", script
    )
    assert not re.search(r"<[a-z]+[^>]*\s(on\w+|style)\s*=", text.partition("</style>")[2].partition("<script>")[0])


def test_the_inventory_answers_only_what_is_new(local: Receiver) -> None:
    """A reader that gives the version that it has gets 204 until something changes; an unknown endpoint is 404."""
    message = get(local, "/api/inventory").json()
    assert (message["entries"], message["page"][0]["path"]) == (1, "/secret")
    assert get(local, f"/api/inventory?version={message['version']}").status_code == 204
    detail = get(local, "/api/inventory/endpoint?id=0").json()
    assert get(local, f"/api/inventory/endpoint?id=0&version={detail['version']}").status_code == 204
    assert get(local, "/api/inventory/endpoint?id=1").status_code == 404
    assert get(local, "/api/inventory?start=x").status_code == 400
    with filled() as other:
        assert get(other, f"/api/inventory?version={message['version']}").status_code == 200


def test_a_new_entry_is_in_the_inventory_at_once() -> None:
    """Entries are folded in when they are taken, before the batch is answered."""
    with Receiver() as server:
        body = json.dumps({"batchData": [ENTRY] * 3}).encode()
        httpx.post(
            f"{server.url}/api/ingestData", content=body, headers={"content-type": "application/json"}, trust_env=False
        )
        assert get(server, "/api/inventory").json()["page"][0]["count"] == 3
