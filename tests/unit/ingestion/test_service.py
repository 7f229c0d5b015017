"""The local ingestion service answers as Akto's does."""

from __future__ import annotations

import gzip
import json
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from akto_mirror.ingestion import arrivals, handlers, intake, page_handlers
from akto_mirror.ingestion.service import Receiver

TOKEN = "eyJ.secret.token"


def entry(**changes: Any) -> dict[str, Any]:
    """Return an entry that the service accepts."""
    numbers = {"time": "1700000000", "statusCode": "200", "akto_account_id": "1000000"}
    return {"path": "/a", "method": "GET", **numbers, "source": "MIRRORING", **changes}


def without(name: str) -> dict[str, Any]:
    """Return an entry without one field."""
    return {key: value for key, value in entry().items() if key != name}


def client_of(server: Receiver) -> httpx.Client:
    """Return a client that connects to the server directly."""
    transport = httpx.HTTPTransport(uds=str(server.uds)) if server.uds else None
    return httpx.Client(base_url=server.url, trust_env=False, timeout=60, transport=transport)


@pytest.fixture
def server() -> Iterator[Receiver]:
    """Run the service without authentication."""
    with Receiver() as running:
        yield running


@pytest.fixture
def post(server: Receiver) -> Iterator[Callable[[object], httpx.Response]]:
    """Return a function that posts bytes unchanged and other values as JSON."""
    with client_of(server) as client:

        def send(body: object) -> httpx.Response:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            return client.post("/api/ingestData", content=content, headers={"content-type": "application/json"})

        yield send


Post = Callable[[object], httpx.Response]


def test_a_batch_is_taken_and_kept_as_it_was_sent(server: Receiver, post: Post) -> None:
    """All entries of a valid batch are kept in order, including fields unknown to Akto."""
    sent = [entry(path="/é"), entry(mystery={"a": [1]}, destIp=None)]
    assert post({"batchData": sent}).json() == {"success": True, "taken": 2}
    assert post({"batchData": [entry()]}).status_code == 200
    assert server.entries == [*sent, entry()]
    assert server.batches == [2, 1]


@pytest.mark.parametrize("path", ["/healthCheck", "/api/auth-check"])
def test_checks_answer_success(server: Receiver, path: str) -> None:
    """Without a token, both checks respond with 200 and success."""
    with client_of(server) as client:
        assert client.get(path).json() == {"success": True}


@pytest.mark.parametrize("given", [None, "", "wrong", f"Bearer {TOKEN}", TOKEN.upper(), "é"])
def test_a_wrong_token_is_refused_everywhere_but_at_the_health_check(given: str | None) -> None:
    """The token is compared without a prefix; only /healthCheck does not need it, as in Akto's service."""
    headers = httpx.Headers(None if given is None else {b"authorization": given.encode()})
    with Receiver(token=TOKEN) as server, client_of(server) as client:
        assert client.get("/healthCheck", headers=headers).status_code == 200
        assert client.get("/api/auth-check", headers=headers).status_code == 401
        assert client.get("/api/entries", headers=headers).status_code == 401
        assert client.get("/api/none", headers=headers).status_code == 401
        assert client.post("/api/ingestData", json={"batchData": [entry()]}, headers=headers).status_code == 401
        assert server.entries == []


def test_the_right_token_is_accepted() -> None:
    """With the token, without a prefix, all requests are accepted."""
    headers = {"authorization": TOKEN}
    with Receiver(token=TOKEN) as server, client_of(server) as client:
        assert client.get("/api/auth-check", headers=headers).status_code == 200
        assert client.post("/api/ingestData", json={"batchData": [entry()]}, headers=headers).status_code == 200
        assert len(server.entries) == 1


def test_a_wrong_token_with_a_large_body_gets_its_answer() -> None:
    """A body of any length is read to its end before the refusal, so that the client receives it."""
    with Receiver(token=TOKEN) as guarded, client_of(guarded) as client:
        body = b" " * (intake.MAX_BODY_BYTES + 1_000_000)
        assert client.post("/api/ingestData", content=body).status_code == 401
        assert client.get("/healthCheck").status_code == 200


@pytest.mark.parametrize("letter", ["x", "é", "€"])
@pytest.mark.parametrize(("extra", "status"), [(0, 200), (1, 500)])
def test_the_body_limit_counts_characters(post: Post, letter: str, extra: int, status: int) -> None:
    """A body of 10,485,760 characters is accepted, in any number of bytes; one more is refused."""
    # In three strings, so that none exceeds the limit of a string.
    strings = [letter * 5_000_000, letter * 5_000_000, letter * 400_000]
    text = json.dumps({"batchData": [], "strings": strings}, ensure_ascii=False)
    text += " " * (intake.MAX_BODY_CHARS + extra - len(text))
    assert post(text.encode()).status_code == status


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("x" * intake.MAX_STRING_CHARS, 200),
        ("x" * (intake.MAX_STRING_CHARS + 1), 500),
        ("😀" * (intake.MAX_STRING_CHARS // 2), 200),
        ("😀" * (intake.MAX_STRING_CHARS // 2) + "x", 500),
    ],
    ids=["at the limit", "beyond", "two units a character, at the limit", "two units a character, beyond"],
)
def test_the_string_limit_counts_utf_16_units(post: Post, text: str, status: int) -> None:
    """A string of 5,242,880 UTF-16 units, as counted by Java, is accepted; a longer one is a 500."""
    body = json.dumps({"batchData": [entry(responsePayload=text)]}, ensure_ascii=False).encode()
    assert post(body).status_code == status


@pytest.mark.parametrize(("count", "status"), [(10_000, 200), (10_001, 500)])
def test_the_array_limit_is_ten_thousand(server: Receiver, post: Post, count: int, status: int) -> None:
    """A batch of 10,000 entries is accepted; a longer one is a 500, and none of its entries are kept."""
    assert post({"batchData": [entry()] * count}).status_code == status
    assert len(server.entries) == (count if status == 200 else 0)


def test_the_array_limit_holds_at_any_depth(post: Post) -> None:
    """An array that is too long is refused at any depth."""
    assert post({"batchData": [entry(mystery={"deep": [[0] * 10_001]})]}).status_code == 500


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"null", b"[]", b'"x"', b'{"batchData":{}}', b'{"batchData":"x"}', b'{"batchData":[NaN]}'),
        *(
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b'{"batchData":[],"a":"\xff"}',
            gzip.compress(b'{"batchData":[]}', mtime=0),
        ),
    ],
)
def test_what_is_not_the_json_asked_for_is_a_500(post: Post, body: bytes) -> None:
    """A body other than a JSON object with an array is refused, and a compressed one is not decompressed."""
    assert post(body).status_code == 500


def test_a_body_without_a_batch_is_a_422(post: Post) -> None:
    """Without batchData, the service fails with 422."""
    assert post({}).status_code == 422
    assert post({"batchData": None}).status_code == 422


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/jsonx", "application/x-ndjson"])
def test_only_json_is_read(server: Receiver, content_type: str) -> None:
    """A body of another content type is not read, so that the batch is missing."""
    with client_of(server) as client:
        headers = {"content-type": content_type}
        answer = client.post("/api/ingestData", content=json.dumps({"batchData": [entry()]}), headers=headers)
        assert answer.status_code == 422
        assert server.entries == []


def test_a_charset_parameter_is_allowed(server: Receiver) -> None:
    """A charset parameter does not change the type: `application/json; charset=utf-8` is JSON."""
    with client_of(server) as client:
        headers = {"content-type": "Application/JSON; charset=utf-8"}
        assert client.post("/api/ingestData", content='{"batchData":[]}', headers=headers).status_code == 200


@pytest.mark.parametrize("bad", [None, 1, "x", [], True])
def test_an_entry_must_be_an_object(server: Receiver, post: Post, bad: object) -> None:
    """An item that is not an object is a 422."""
    assert post({"batchData": [bad]}).status_code == 422
    assert server.entries == []


@pytest.mark.parametrize("name", intake.MANDATORY)
@pytest.mark.parametrize("value", [..., "", None])
def test_mandatory_fields_must_be_there(post: Post, name: str, value: object) -> None:
    """`path`, `method` and `time` must not be missing or empty."""
    bad = without(name) if value is ... else entry(**{name: value})
    answer = post({"batchData": [bad]})
    assert answer.status_code == 422
    assert name in answer.json()["actionErrors"][0]


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}])
def test_values_must_be_strings(post: Post, value: object) -> None:
    """Fields that Akto knows must be strings or absent."""
    answers = {name: post({"batchData": [entry(**{name: value})]}).status_code for name in intake.FIELDS}
    assert answers == dict.fromkeys(intake.FIELDS, 422)


@pytest.mark.parametrize(("source", "status"), [("MIRRORING", 200), (None, 200), ("mirroring", 422), ("", 422)])
def test_the_source_is_one_of_a_closed_list(post: Post, source: str | None, status: int) -> None:
    """`source` is MIRRORING or absent."""
    assert post({"batchData": [entry(source=source)]}).status_code == status


def test_entries_before_a_bad_one_are_taken(server: Receiver, post: Post) -> None:
    """Entries before an invalid one are kept despite the 422, as in Akto's service."""
    assert post({"batchData": [entry(path="/1"), entry(path="/2"), {}, entry(path="/4")]}).status_code == 422
    assert [taken["path"] for taken in server.entries] == ["/1", "/2"]
    assert server.batches == []


def test_a_chunked_body_is_read(server: Receiver) -> None:
    """A body without Content-Length is read."""
    body = json.dumps({"batchData": [entry()]}).encode()
    with client_of(server) as client:
        headers = {"content-type": "application/json"}
        assert client.post("/api/ingestData", content=iter([body[:10], body[10:]]), headers=headers).is_success


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/none", 404), ("GET", "/api/none", 404), ("GET", "/api/ingestData", 405), ("POST", "/healthCheck", 405)],
)
def test_other_requests_get_an_error_as_json(server: Receiver, method: str, path: str, status: int) -> None:
    """Unknown paths and methods get an error as JSON."""
    with client_of(server) as client:
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["success"]) == (status, False)


def test_out_gets_one_entry_a_line_behind_what_is_there(tmp_path: Path) -> None:
    """Entries are appended to the file and flushed, one JSON object per line."""
    out = tmp_path / "entries.ndjson"
    out.write_text('{"old":1}\n')
    sent = [entry(responsePayload="a\nb\u2028\x00é"), entry(path="/2")]
    with Receiver(out=out) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": sent})
        lines = out.read_bytes().split(b"\n")
    assert [json.loads(line) for line in lines[:-1]] == [{"old": 1}, *sent]
    assert lines[-1] == b""


def test_what_akto_would_lose_is_marked(tmp_path: Path) -> None:
    """Losses are marked in the file with the reason, and counted; the kept entries are not changed."""
    out = tmp_path / "entries.ndjson"
    typed = json.dumps({"host": "a.example", "content-type": "application/json"})
    cut = entry(requestPayload='{"a":1', requestHeaders=typed)
    unread = entry(responsePayload='{"a":1', responseHeaders=typed, requestHeaders=typed)
    sent = [cut, entry(requestHeaders=typed), unread, unread, entry(path="/health", requestHeaders=typed)]
    with Receiver(out=out) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": sent})
        assert server.entries == sent
        assert server.store.lost() == (
            "; dropped by Akto: request JSON does not end as it began 1, path or query contains /health 1"
            "; not parsed: response JSON does not end as it began 2"
        )
    marks = [json.loads(line).get("akto_mirror_loss") for line in out.read_bytes().splitlines()]
    dropped, unparsed = (
        "Its request JSON does not end as it began: Akto drops the whole entry.",
        "Its response JSON does not end as it began: Akto lists none of its parameters.",
    )
    health = "Its path or query contains /health: Akto drops such entries."
    assert marks == [dropped, None, unparsed, unparsed, health]


def test_out_ends_a_torn_line_first(tmp_path: Path) -> None:
    """A torn last line, as after a crash, is ended before the next entry."""
    out = tmp_path / "entries.ndjson"
    out.write_bytes(b'{"torn":')
    with Receiver(out=out) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": [entry(), entry()]})
    first, *lines = out.read_bytes().splitlines()
    assert (first, [json.loads(line) for line in lines]) == (b'{"torn":', [entry(), entry()])


def test_out_is_private_if_it_is_new(tmp_path: Path) -> None:
    """A new file is private, because it has captured traffic; an existing file keeps its mode."""
    old, new = tmp_path / "old", tmp_path / "new"
    before = os.umask(0)
    try:
        old.touch(0o644)
        for out in (old, new):
            Receiver(out=out).store.close()
    finally:
        os.umask(before)
    assert [stat.S_IMODE(out.stat().st_mode) for out in (old, new)] == [0o644, 0o600]


def test_an_entry_that_cannot_be_written_is_refused() -> None:
    """If the file cannot be written, the answer is a 422, and the entry is not counted."""
    with Receiver(out=Path("/dev/full")) as server, client_of(server) as client:
        answer = client.post("/api/ingestData", json={"batchData": [entry()]})
        assert answer.status_code == 422
        assert "No space left" in answer.json()["actionErrors"][0]
        assert server.store.total == 0


def test_memory_is_bounded_by_entries() -> None:
    """Only the newest entries are kept; the count goes on."""
    with Receiver(keep=3) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": [entry(path=f"/{number}") for number in range(5)]})
        assert [kept["path"] for kept in server.entries] == ["/2", "/3", "/4"]
        assert server.store.total == 5


def test_memory_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch, server: Receiver, post: Post) -> None:
    """Long entries remove old ones before there are many, whichever field is long."""
    monkeypatch.setattr(arrivals, "KEEP_BYTES", 2_500)
    post({"batchData": [entry(path=f"/{number}", responsePayload="x" * 1_000) for number in range(5)]})
    assert [kept["path"] for kept in server.entries] == ["/3", "/4"]
    post({"batchData": [entry(path=f"/{number}", mystery=[{}] * 400) for number in range(5, 10)]})
    assert [kept["path"] for kept in server.entries] == ["/9"]


def test_a_body_that_was_not_asked_for_is_not_read() -> None:
    """A long body for another path ends the connection without being read."""
    with Receiver() as server:
        for path in ("/", "/healthCheck", "/api/entries", "/none"):
            assert b" 400 " in begin(server, path, 10**10, b"").recv(1_000).partition(b"\r\n")[0]


def begin(server: Receiver, path: str, length: int, part: bytes) -> socket.socket:
    """Send a request with a part of its body."""
    connection = socket.create_connection((server.host, server.port), timeout=60)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {length}"
    connection.sendall(f"{head}\r\n\r\n".encode() + part)
    return connection


def test_without_the_token_no_body_is_kept() -> None:
    """The token is checked before the body is kept."""
    with Receiver(token=TOKEN) as server:
        connection = begin(server, "/api/ingestData", 30_000_001, b"x" * 30_000_000)
        assert server.store.arriving == 0  # Most of the body was read: it is larger than any buffer of the system.
        connection.sendall(b"x")
        assert b" 401 " in connection.recv(1_000)


def test_bodies_on_many_connections_are_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bodies beyond the bound get a 503; there is room again when other requests have ended in any way."""
    monkeypatch.setattr(handlers, "ARRIVING_BYTES", 1_000_000)
    with Receiver() as server, client_of(server) as client:
        waiting = begin(server, "/api/ingestData", 900_000, b" " * 800_000)
        until(lambda: server.store.arriving == 800_000)
        batch = json.dumps({"batchData": [entry(responsePayload="x" * 300_000)]}).encode()
        headers = {"content-type": "application/json"}
        assert client.post("/api/ingestData", content=batch, headers=headers).status_code == 503
        waiting.close()
        until(lambda: server.store.arriving == 0)
        assert client.post("/api/ingestData", content=batch, headers=headers).status_code == 200
        until(lambda: server.store.arriving == 0)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition that the server's thread will meet."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_scripts_page_through_the_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    """`/api/entries?since=N` returns a page from entry N or the oldest one kept, and the number of the next."""
    monkeypatch.setattr(page_handlers, "PAGE_ENTRIES", 2)
    with Receiver(keep=4) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": [entry(path=f"/{number}") for number in range(5)]})
        found, since = [], 0
        while since < 5:
            page = client.get("/api/entries", params={"since": since}).json()
            found.append((page["first"], [kept["path"] for kept in page["entries"]]))
            since = page["next"]
        assert found == [(1, ["/1", "/2"]), (3, ["/3", "/4"])]
        assert client.get("/api/entries", params={"since": 99}).json()["entries"] == []


def test_a_download_has_no_entries_from_after_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """If newer entries replace the old ones during a slow download, it ends with what it has sent."""
    monkeypatch.setattr(page_handlers, "PAGE_ENTRIES", 2)
    with Receiver(keep=4) as server, client_of(server) as client:
        store, since, starts = server.store, server.store.since, list[int]()

        def slow(number: int, limit: int | None = None) -> tuple[int, list[bytes]]:
            starts.append(number)
            for _ in range(5 if len(starts) == 2 else 0):
                store.add(entry(path="/new"))
            return since(number, limit)

        for number in range(5):
            store.add(entry(path=f"/{number}"))
        monkeypatch.setattr(store, "since", slow)
        lines = client.get("/entries.ndjson").text.splitlines()
    assert (starts, [json.loads(line)["path"] for line in lines]) == ([0, 3], ["/1", "/2"])


@pytest.mark.parametrize("since", ["x", "-1", "", "1.5", "²", "9" * 100])
def test_a_page_must_begin_at_a_number(server: Receiver, since: str) -> None:
    """A `since` that is not a number is a 400."""
    with client_of(server) as client:
        assert client.get("/api/entries", params={"since": since}).status_code == 400


def test_waiting_ends_when_the_entries_are_there(server: Receiver, post: Post) -> None:
    """`wait_for` returns when enough entries have arrived."""
    thread = threading.Thread(target=post, args=({"batchData": [entry(), entry()]},))
    thread.start()
    assert len(server.wait_for(2, timeout=60)) == 2
    thread.join()


def test_waiting_in_vain_says_how_many_came(server: Receiver, post: Post) -> None:
    """`wait_for` says how many entries arrived."""
    post({"batchData": [entry()]})
    with pytest.raises(TimeoutError, match="1 of 2 entries"):
        server.wait_for(2, timeout=0.01)


def test_a_stopped_service_starts_again_where_it_was() -> None:
    """After a restart, port and entries are the same, as tests of an outage need it."""
    server = Receiver()
    with server:
        url = server.url
        with client_of(server) as client:
            client.post("/api/ingestData", json={"batchData": [entry()]})
    with pytest.raises(httpx.ConnectError), httpx.Client(trust_env=False) as client:
        client.get(f"{url}/healthCheck")
    with server, client_of(server) as client:
        assert server.url == url
        assert client.post("/api/ingestData", json={"batchData": [entry()]}).status_code == 200
        assert len(server.entries) == 2


def test_stopping_closes_open_connections_and_ends_the_thread() -> None:
    """A client with an open connection does not delay the end, and stopping twice is harmless."""
    before = threading.active_count()
    server = Receiver()
    server.start()
    with client_of(server) as client:
        client.get("/healthCheck")
        server.stop()
        server.stop()
        assert threading.active_count() == before


def test_a_taken_port_is_an_error(server: Receiver) -> None:
    """A port in use is an error."""
    with pytest.raises(OSError, match="in use"):
        Receiver(port=server.port).start()


def test_a_unix_socket_serves_too(tmp_path: Path) -> None:
    """The service listens on a Unix socket, and removes it at the end."""
    path = tmp_path / "akto.sock"
    with Receiver(uds=path) as server, client_of(server) as client:
        assert client.post("/api/ingestData", json={"batchData": [entry()]}).status_code == 200
        assert len(server.entries) == 1
    assert not path.exists()


def test_each_answer_is_reported() -> None:
    """`on_answer` is called for each posted batch, with the status and the number of accepted entries."""
    answers: list[arrivals.Answer] = []
    with Receiver(on_answer=answers.append) as server, client_of(server) as client:
        client.post("/api/ingestData", json={"batchData": [entry()]})
        client.post("/api/ingestData", json={"batchData": [entry(), {}]})
        client.get("/healthCheck")
    assert [(answer.status, answer.taken) for answer in answers] == [(200, 1), (422, 1)]
    assert server.store.answers == {200: 1, 422: 1}
