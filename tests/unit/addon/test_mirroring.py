"""The addon's hooks, called as mitmproxy calls them."""

from __future__ import annotations

import gzip
import json
import logging
import time
from typing import Any

import pytest
from mitmproxy import exceptions, http
from mitmproxy.flow import Error
from mitmproxy.test import tflow

from akto_mirror.capture.headers import MAX_HEADER_BYTES
from akto_mirror.capture.tee import Tee
from akto_mirror.ingestion import intake
from akto_mirror.telemetry.marks import VERDICT
from tests.faults.server import FaultServer, Reply
from tests.support.flows import flow, request, response
from tests.support.harness import Harness, mirroring, stream
from tests.support.proxy import DEADLINE

HTML = [(b"content-type", b"text/html")]
CHUNKED = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
UPGRADE = [(b"Host", b"api.example.com"), (b"Upgrade", b"WebSocket"), (b"Connection", b"Upgrade")]


def websocket(status: int = 101) -> http.HTTPFlow:
    """Make a WebSocket handshake; an accepted one has mitmproxy's WebSocket data."""
    made = flow(request(b"GET", b"/ws", fields=UPGRADE), response(status, b"", fields=HTML, content=b"<html>"))
    if status == 101:
        made.websocket = tflow.twebsocket(messages=False)
    return made


def broken(*, answered: bool = True, client_left: bool = True, body: bytes = b'{"a":1}') -> http.HTTPFlow:
    """Make an exchange that was cut short in the middle of its response, or before it."""
    made = flow(answer=response(fields=CHUNKED, content=body, ended=None))
    made.error = Error("client disconnected", timestamp=1_600_000_000.0)
    if not answered:
        made.response = None
    if client_left:
        made.client_conn.timestamp_end = 1_600_000_000.0
        made.client_conn.state = type(made.client_conn.state)(0)
    return made


def cut(mirror: Harness, made: http.HTTPFlow) -> str:
    """Run the hooks of an exchange whose response broke off after a part had passed."""
    mirror.hook("requestheaders", made)
    if made.response is not None:
        mirror.hook("responseheaders", made)
        body, made.response.raw_content = made.response.raw_content or b"", None
        if callable(made.response.stream):
            made.response.stream(body)
    mirror.hook("error", made)
    return str(made.metadata.get(VERDICT))


class TestVerdicts:
    """Each flow gets one verdict, and each captured one makes one entry."""

    def test_a_plain_exchange_is_shipped(self) -> None:
        """The exchange arrives as one entry, and the flow's verdict is `captured`."""
        with mirroring() as mirror:
            assert mirror.pass_on(flow()) == "captured"
            (shipped,) = mirror.entries()
        assert (shipped["path"], shipped["responsePayload"], shipped["time"]) == (
            "/api/items",
            '{"ok":true}',
            "1700000000",
        )

    @pytest.mark.parametrize(
        ("answer", "verdict"),
        [
            (response(404), "skipped (status 404)"),
            (response(fields=[]), "skipped (no content type)"),
            (response(fields=HTML), "skipped (content type text/html)"),
            (response(fields=[(b"content-type", b"\n\x1b[31m")]), r"skipped (content type \n\x1b[31m)"),
        ],
    )
    def test_a_skip_has_its_reason(self, answer: http.Response, verdict: str) -> None:
        """The reason of a skip is in the flow, on one escaped line, and nothing is shipped."""
        with mirroring() as mirror:
            assert mirror.pass_on(flow(answer=answer)) == verdict
            assert mirror.entries() == []

    def test_entries_keep_the_order_of_their_flows(self) -> None:
        """Entries keep the order of their flows over many batches."""
        with mirroring(batch_entries=7) as mirror:
            for number in range(100):
                mirror.pass_on(flow(request(path=b"/%d" % number)))
            assert [entry["path"] for entry in mirror.entries()] == [f"/{number}" for number in range(100)]

    def test_no_request_spoils_a_batch(self) -> None:
        """HTTP/2 allows an empty method or path; Akto's service refuses a batch with such an entry."""
        with mirroring() as mirror:
            asked = request(b"", version=b"HTTP/2.0")
            asked.data.path = b"a://b"
            mirror.pass_on(flow(asked))
            (shipped,) = mirror.entries()
        assert (shipped["method"], shipped["path"]) == ("OTHER", "/")
        assert intake.read_entry(shipped) == shipped

    def test_a_hook_that_comes_twice_makes_no_second_entry(self) -> None:
        """A flow makes one entry, in whatever order its last hooks come."""
        with mirroring() as mirror:
            made = flow()
            mirror.pass_on(made)
            made.error = Error("late")
            mirror.hook("response", made)
            mirror.hook("error", made)
            mirror.hook("websocket_start", made)
            assert len(mirror.entries()) == 1

    @pytest.mark.parametrize(("fidelity", "status"), [("akto", 101), ("worker", 101), ("worker", 200), ("worker", 403)])
    def test_a_websocket_is_shipped_once(self, fidelity: str, status: int) -> None:
        """A WebSocket of any content type is shipped without payloads; by the Worker's rules refused ones are too."""
        with mirroring(fidelity=fidelity) as mirror:
            made = websocket(status)
            assert mirror.pass_on(made) == "captured"
            made.error = Error("gone")
            mirror.hook("error", made)
            (shipped,) = mirror.entries()
        assert (shipped["type"], shipped["statusCode"]) == ("WebSocket", str(status))
        assert (shipped["requestPayload"], shipped["responsePayload"]) == ("", "")

    @pytest.mark.parametrize(
        ("method", "status"),
        [(b"GET", 200), (b"GET", 302), (b"GET", 403), (b"GET", 404), (b"POST", 200), (b"POST", 403)],
    )
    def test_a_header_hides_no_payload(self, method: bytes, status: int) -> None:
        """A refused upgrade is mirrored as an ordinary exchange; otherwise Akto would show it as 101."""
        with mirroring() as mirror:
            asked = request(method, fields=UPGRADE, content=b'{"a":1}')
            assert mirror.pass_on(flow(asked, response(status, content=b'{"b":2}'))) == "captured"
            (shipped,) = mirror.entries()
        assert shipped["type"] == "HTTP/1.1"
        assert (shipped["requestPayload"], shipped["responsePayload"]) == ('{"a":1}', '{"b":2}')

    def test_an_accepted_websocket_does_not_wait_for_its_start(self) -> None:
        """If the client leaves during the response hook, mitmproxy calls neither `websocket_start` nor `error`."""
        with mirroring() as mirror:
            made = websocket()
            mirror.hook("response", made)
            assert made.metadata[VERDICT] == "captured"
            assert len(mirror.entries()) == 1

    def test_one_hook_is_enough_for_a_websocket(self) -> None:
        """A WebSocket is shipped with any one of its hooks."""
        with mirroring() as mirror:
            mirror.hook("websocket_start", websocket())
            assert len(mirror.entries()) == 1


def test_a_mistake_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A mistake is reported once, even though the addon's own change of an option configures it again."""
    with mirroring(mode=["reverse:http://target.internal:8080"], tag="no JSON"):
        pass
    assert caplog.text.count("akto: akto_tag=no JSON: ") == 1


class TestDrops:
    """Captured entries that cannot be kept are counted, with a reason."""

    def test_headers_that_no_service_would_take(self, caplog: pytest.LogCaptureFixture) -> None:
        """Line 5: headers of megabytes are cut, so that they do not suppress the entry, and the log says so."""
        with mirroring() as mirror:
            huge = request(fields=[(b"x", b"a" * 5_000_000)])
            assert mirror.pass_on(flow(huge)) == "captured"
            (shipped,) = mirror.entries()
        assert json.loads(shipped["requestHeaders"]) == {"x": "a" * (MAX_HEADER_BYTES - 1)}
        assert "akto: shortened the entry of GET /api/items, which is too large" in caplog.text

    @pytest.mark.parametrize(("fidelity", "bound"), [("akto", 1_000_000), ("worker", 4 * 1024 * 1024)])
    def test_long_payloads_are_cut(self, fidelity: str, bound: int, caplog: pytest.LogCaptureFixture) -> None:
        """Line 5: an entry over the bound is shipped with shorter payloads; the log and the counts say so."""
        caplog.set_level(logging.INFO)
        with mirroring(fidelity=fidelity, body_limit=4_000_000) as mirror:
            for _ in range(2):
                assert mirror.pass_on(flow(answer=response(content=b'"' * 3_000_000))) == "captured"
            sizes = [len(line) for line in mirror.lines()]
        assert [0.9 * bound < size <= bound for size in sizes] == [True, True]
        assert caplog.text.count("shortened the entry of GET /") == 1
        assert "; shortened 2" in caplog.text

    def test_a_queue_that_is_full(self, caplog: pytest.LogCaptureFixture) -> None:
        """Line 2: entries that do not fit into memory are dropped, and the traffic continues."""
        caplog.set_level(logging.INFO)
        with mirroring(queue_bytes=1) as mirror:
            assert mirror.pass_on(flow()).startswith("dropped")
            assert mirror.entries() == []
        assert "akto: dropped an entry: queue full (1 so far)" in caplog.text
        assert "dropped 1 (queue full 1)" in caplog.text

    def test_many_drops_are_logged_now_and_then(self, caplog: pytest.LogCaptureFixture) -> None:
        """Line 2: drops are logged at intervals, not one by one."""
        with mirroring(queue_bytes=1) as mirror:
            for _ in range(99):
                mirror.pass_on(flow())
        assert caplog.text.count("dropped an entry") == 2


class TestBrokenExchanges:
    """Verdicts of exchanges that did not complete."""

    def test_without_a_response_there_is_nothing_to_ship(self) -> None:
        """An exchange without a response is counted as skipped."""
        with mirroring() as mirror:
            assert cut(mirror, broken(answered=False)) == "skipped (no response)"
            assert mirror.entries() == []

    def test_what_was_seen_of_a_stream_is_shipped(self) -> None:
        """The received part of a stream is shipped, with the time of the break."""
        with mirroring() as mirror:
            assert cut(mirror, broken()) == "captured"
            (shipped,) = mirror.entries()
        assert (shipped["responsePayload"], shipped["time"]) == ('{"a":1}', "1600000000")

    def test_the_worker_ships_nothing_of_a_stream_that_its_client_left(self) -> None:
        """The Worker ships nothing, because it never sees the end of the body."""
        with mirroring(fidelity="worker") as mirror:
            assert cut(mirror, broken()) == "skipped (cut short)"
            assert mirror.entries() == []

    def test_the_worker_ships_an_empty_payload_if_the_target_broke_off(self) -> None:
        """The Worker ships an empty payload, as recorded in workerd."""
        with mirroring(fidelity="worker") as mirror:
            assert cut(mirror, broken(client_left=False)) == "captured"
            (shipped,) = mirror.entries()
        assert shipped["responsePayload"] == ""

    def test_the_rules_count_for_broken_exchanges_too(self) -> None:
        """A broken exchange with an excluded status is skipped."""
        with mirroring() as mirror:
            made = broken()
            assert made.response
            made.response.status_code = 500
            assert cut(mirror, made) == "skipped (status 500)"

    def test_streams_that_are_live_at_the_end_are_shipped(self) -> None:
        """Live streams are shipped at the end, because mitmproxy cuts them only after the addon is done."""
        with mirroring() as mirror:
            made = flow(answer=response(fields=CHUNKED, content=None))
            mirror.hook("requestheaders", made)
            mirror.hook("responseheaders", made)
            assert made.response
            assert isinstance(made.response.stream, Tee)
            made.response.stream(b'{"so":"far"}')
            (shipped,) = mirror.entries()
            made.error = Error("cut")
            mirror.hook("error", made)
            assert len(mirror.entries()) == 1
        assert shipped["responsePayload"] == '{"so":"far"}'

    def test_the_worker_ships_nothing_of_streams_that_are_live_at_the_end(self) -> None:
        """Nothing is shipped of them, and their verdict does not blame the client: the proxy ends them."""
        with mirroring(fidelity="worker") as mirror:
            made = flow(answer=response(fields=CHUNKED, content=None))
            mirror.hook("requestheaders", made)
            mirror.hook("responseheaders", made)
            assert mirror.entries() == []
        assert made.metadata[VERDICT] == "skipped (cut short)"

    def test_streams_that_have_ended_are_not_shipped_again(self) -> None:
        """Streams that have ended are not shipped again, neither at the end nor later."""
        with mirroring(stream="always") as mirror:
            assert mirror.pass_on(flow(), chunk=3) == "captured"
            assert len(mirror.entries()) == 1


class TestStreaming:
    """Streamed bodies."""

    @pytest.mark.parametrize("size", [1, 7, 65536])
    @pytest.mark.parametrize("fidelity", ["akto", "worker"])
    def test_the_entry_is_that_of_a_buffered_exchange(self, size: int, fidelity: str) -> None:
        """The entry equals that of a buffered exchange, for chunks of any size, on both sides, compressed or not."""
        zipped = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        made = [
            flow(
                request(b"POST", fields=[(b"host", b"h")], content=b'{"n":1}'),
                response(fields=zipped, content=gzip.compress(b'{"ok":true}')),
            )
            for _ in range(2)
        ]
        with mirroring(fidelity=fidelity, stream="never") as mirror:
            mirror.pass_on(made[0], chunk=size)
            buffered = mirror.entries()
        with mirroring(fidelity=fidelity, stream="always") as mirror:
            mirror.pass_on(made[1], chunk=size)
            streamed = mirror.entries()
        assert buffered == streamed
        assert buffered[0]["responsePayload"] == '{"ok":true}'

    def test_what_passes_is_untouched(self) -> None:
        """Every byte is passed on unchanged."""
        with mirroring(stream="always", body_limit=10) as mirror:
            made = flow(request(b"PUT", content=b"y" * 999), response(content=b"x" * 1000))
            made.response, answer = None, made.response
            mirror.hook("requestheaders", made)
            assert isinstance(made.request.stream, Tee)
            assert stream(made.request, 64) == b"y" * 999
            made.response = answer
            mirror.hook("responseheaders", made)
            assert made.response
            assert isinstance(made.response.stream, Tee)
            assert stream(made.response, 64) == b"x" * 1000
            mirror.hook("response", made)
            (shipped,) = mirror.entries()
        assert (shipped["requestPayload"], shipped["responsePayload"]) == ("y" * 10, "x" * 10)

    def test_the_tee_is_gone_when_the_flow_has_ended(self) -> None:
        """The tee is removed, so that a flow can be saved and copied; a body that was kept whole can be viewed."""
        with mirroring(stream="always") as mirror:
            made = flow()
            mirror.pass_on(made, chunk=5)
            assert made.response
            assert made.response.raw_content == b'{"ok":true}'
            assert not isinstance(made.response.stream, Tee)
            assert not isinstance(made.request.stream, Tee)
            made.copy()

    @pytest.mark.parametrize("option", ["modify_body", "intercept"])
    def test_options_that_need_whole_bodies_get_them(self, option: str) -> None:
        """Options of mitmproxy that change bodies, or let users do so, end the streaming."""
        with mirroring(stream="always") as mirror:
            mirror.context.options.add_option(option, str, "", "")
            mirror.context.configure(mirror.addon, **{option: "x"})
            made = flow(answer=response(fields=CHUNKED))
            mirror.hook("requestheaders", made)
            mirror.hook("responseheaders", made)
            assert made.response
            assert (bool(made.request.stream), bool(made.response.stream)) == (False, False)

    def test_without_usable_options_nothing_streams(self) -> None:
        """A wrong configuration changes nothing about the traffic."""
        with mirroring(running=False, url="nope") as mirror:
            made = flow(answer=response(fields=CHUNKED))
            assert mirror.pass_on(made) == "None"
            assert made.response
            assert not made.response.stream


class TestChoice:
    """The choice of exchanges to mirror."""

    def test_routes(self) -> None:
        """Routes match scheme, path, and the host that the client requested."""
        with mirroring(routes=["*.example.com/api/*", "https://other.test/*"]) as mirror:
            assert mirror.pass_on(flow(request(path=b"/api/x?y"))) == "captured"
            assert mirror.pass_on(flow(request(path=b"/web"))) == "skipped (no route matches)"
            other = [(b"host", b"Other.Test:8443")]
            assert mirror.pass_on(flow(request(fields=other))) == "skipped (no route matches)"
            encrypted = flow(request(fields=other))
            encrypted.client_conn.tls = True
            assert mirror.pass_on(encrypted) == "captured"

    @pytest.mark.parametrize("path", [b"/./api/x", b"/a/../api/x", b"//api/x", b"/%61pi/x", b"/%2E/api/x", b"/api//x"])
    def test_no_spelling_leads_past_a_route(self, path: bytes) -> None:
        """A path that servers treat as one on the route is mirrored, in any spelling."""
        with mirroring(routes=["*.example.com/api/*"]) as mirror:
            assert mirror.pass_on(flow(request(path=path))) == "captured"

    def test_routes_in_reverse_mode(self) -> None:
        """Routes ignore the target's name, which mitmproxy puts into the Host."""
        with mirroring(routes=["api.example.com/*"], mode=["reverse:http://target.internal:8080"]) as mirror:
            assert mirror.pass_on(flow(mode="reverse:http://target.internal:8080")) == "captured"
        with mirroring(routes=["target.internal/*"], mode=["reverse:http://target.internal:8080"]) as mirror:
            made = flow(mode="reverse:http://target.internal:8080")
            assert mirror.pass_on(made) == "skipped (no route matches)"

    def test_a_flow_filter(self) -> None:
        """The option takes mitmproxy's filter expressions."""
        with mirroring(filter="~m POST & ! ~u health") as mirror:
            assert mirror.pass_on(flow(request(b"POST"))) == "captured"
            assert mirror.pass_on(flow(request(b"GET"))) == "skipped (filtered out)"
            assert mirror.pass_on(flow(request(b"POST", b"/health"))) == "skipped (filtered out)"

    def test_routes_and_filter_count_for_websockets_too(self) -> None:
        """Routes and filter apply to WebSockets before the Worker's rules."""
        with mirroring(routes=["other.test/*"]) as mirror:
            assert mirror.pass_on(websocket()) == "skipped (no route matches)"

    @pytest.mark.parametrize("path", [b"/api/ingestData", b"/own?key=1"])
    def test_calls_to_akto_are_not_mirrored(self, path: bytes) -> None:
        """Requests to Akto, by this addon or another proxy, are not mirrored, which would loop forever."""
        fields = [(b"content-type", b"application/json"), (b"x-akto-mirror", b"0123")]
        with mirroring(url="http://127.0.0.1:1/own?key=1", shutdown_s=0) as mirror:
            assert mirror.pass_on(flow(request(b"POST", path, fields=fields))) == "skipped (own call to Akto)"

    def test_a_forged_marker_hides_nothing(self) -> None:
        """Only requests to Akto itself are left out, even if a client knows the marker."""
        fields = [(b"x-akto-mirror", b"0123")]
        with mirroring() as mirror:
            seen = [(b"x-akto-mirror", mirror.addon.session.marker.encode())]
            assert mirror.pass_on(flow(request(b"POST", b"/pay", fields=seen))) == "captured"
            assert mirror.pass_on(flow(request(b"POST", b"/pay", fields=fields))) == "captured"
            assert mirror.pass_on(flow(request(b"POST", b"/api/ingestData"))) == "captured"


class TestHost:
    """The host that an entry reports."""

    def shipped(self, made: http.HTTPFlow, **changes: Any) -> dict[str, str]:
        """Return the request headers in the entry of a flow in reverse mode."""
        with mirroring(mode=["reverse:http://target.internal:8080"], **changes) as mirror:
            mirror.pass_on(made)
            (entry,) = mirror.entries()
        return dict(json.loads(entry["requestHeaders"]))

    def test_in_reverse_mode_it_is_the_clients(self) -> None:
        """The entry has the client's host, and the target still gets its own."""
        made = flow(mode="reverse:http://target.internal:8080")
        assert self.shipped(made)["host"] == "api.example.com"
        assert made.request.headers["host"] == "target.internal:8080"

    def test_a_fixed_one_wins(self) -> None:
        """A configured host takes precedence over everything else."""
        made = flow(mode="reverse:http://target.internal:8080")
        assert self.shipped(made, host="fixed.test")["host"] == "fixed.test"

    def test_what_the_user_keeps_is_kept(self) -> None:
        """If the user has set `keep_host_header`, nothing is replaced."""
        made = flow(mode="reverse:http://target.internal:8080")
        assert self.shipped(made, keeps_host=True)["host"] == "api.example.com"
        assert made.request.headers["host"] == "api.example.com"

    def test_http_2_has_an_authority(self) -> None:
        """The authority takes the place of the Host."""
        made = flow(request(fields=[], authority=b"h2.example", version=b"HTTP/2.0"))
        assert self.shipped(made)["host"] == "h2.example"


class TestReplays:
    """Saved flows and replayed flows."""

    def test_a_saved_flow_keeps_its_time_and_host(self) -> None:
        """A saved flow is not live, and its client's host is in its metadata."""
        made = flow(mode="reverse:http://target.internal:8080")
        with mirroring(mode=["reverse:http://target.internal:8080"], url="") as mirror:
            mirror.pass_on(made)
        saved = flow()
        saved.set_state(made.get_state())
        saved.live = False
        with mirroring() as mirror:
            assert mirror.pass_on(saved) == "captured"
            (shipped,) = mirror.entries()
        assert shipped["time"] == "1700000000"
        assert json.loads(shipped["requestHeaders"])["host"] == "api.example.com"

    def test_a_saved_flow_is_not_touched(self) -> None:
        """A saved flow gets no tee and no other host: its bodies are already there."""
        made = flow(answer=response(fields=CHUNKED), mode="reverse:http://target.internal:8080", live=False)
        with mirroring(mode=["reverse:http://target.internal:8080"], stream="always") as mirror:
            mirror.pass_on(made)
            assert made.response
            assert (made.request.headers["host"], made.response.stream) == ("api.example.com", False)
            assert len(mirror.entries()) == 1

    def test_an_old_verdict_does_not_count(self) -> None:
        """A replayed flow gets a new verdict."""
        made = flow(live=False)
        made.metadata[VERDICT] = "skipped (status 500)"
        with mirroring() as mirror:
            assert mirror.pass_on(made) == "captured"
            assert mirror.pass_on(made) == "captured"
            assert len(mirror.entries()) == 2


class TestDryRun:
    """Mirroring without an address."""

    def test_verdicts_are_made_and_nothing_is_sent(self) -> None:
        """A dry run makes verdicts and sends nothing, so that rules can be tried."""
        with mirroring(url="") as mirror:
            assert mirror.pass_on(flow()) == "captured (dry run)"
            assert mirror.pass_on(flow(answer=response(404))) == "skipped (status 404)"

    def test_the_address_may_come_later_and_go_again(self) -> None:
        """The address may be set and cleared while the proxy runs; entries captured before it was cleared are sent."""
        with mirroring() as mirror:
            url = mirror.context.options.akto_url
            assert mirror.pass_on(flow(request(path=b"/0"))) == "captured"
            mirror.configure(url="")
            assert mirror.pass_on(flow(request(path=b"/1"))) == "captured (dry run)"
            deadline = time.monotonic() + DEADLINE
            while not mirror.out.exists() and time.monotonic() < deadline:
                time.sleep(0.01)
            mirror.configure(url=url)
            assert mirror.pass_on(flow(request(path=b"/2"))) == "captured"
            assert [entry["path"] for entry in mirror.entries()] == ["/0", "/2"]


class TestChanges:
    """Options that are changed while the proxy runs."""

    def test_they_count_from_the_next_flow_on(self) -> None:
        """Changed options apply from the next flow on, without a restart."""
        with mirroring() as mirror:
            mirror.pass_on(flow())
            mirror.configure(account_id="42", include_query=False, body_limit=3)
            mirror.pass_on(flow(request(path=b"/a?b=c")))
            first, second = mirror.entries()
        assert (first["akto_account_id"], second["akto_account_id"]) == ("1000000", "42")
        assert (second["path"], second["responsePayload"]) == ("/a", "{}")

    @pytest.mark.parametrize(
        "change",
        [
            {"url": "nope"},
            {"tag": "[]"},
            {"routes": ["a*b"]},
            {"filter": "~nonsense"},
            {"body_limit": -1},
            {"fidelity": "both"},
            {"token": "a\nb"},
        ],
    )
    def test_a_wrong_value_leaves_the_old_one_in_force(self, change: dict[str, Any]) -> None:
        """The change is refused with the line that names it, the option keeps its value, and mirroring goes on."""
        (name,) = change
        with mirroring() as mirror:
            before = getattr(mirror.context.options, f"akto_{name}")
            with pytest.raises(exceptions.OptionsError, match=f"akto_{name}|Invalid|choices|both") as caught:
                mirror.configure(**change)
            assert str(caught.value).isprintable()
            assert getattr(mirror.context.options, f"akto_{name}") == before
            assert mirror.pass_on(flow()) == "captured"
            assert len(mirror.entries()) == 1

    def test_another_file_takes_over(self) -> None:
        """Entries after the change go to the new file, and nothing is lost."""
        with mirroring() as mirror:
            mirror.pass_on(flow(request(path=b"/1")))
            other = mirror.out.with_name("other.ndjson")
            mirror.configure(url=f"file://{other}")
            mirror.pass_on(flow(request(path=b"/2")))
            mirror.finish()
            shipped = [
                json.loads(line)["path"] for file in (mirror.out, other) if file.exists() for line in file.open()
            ]
            assert sorted(shipped) == ["/1", "/2"]
            assert "/2" in other.read_text()

    def test_mitmproxys_other_options_do_no_harm(self) -> None:
        """Changes of mitmproxy's other options, which use the same hook, have no effect."""
        with mirroring() as mirror:
            mirror.context.options.update(showhost=True)
            mirror.addon.configure({"listen_port", "unheard_of"})
            assert mirror.pass_on(flow()) == "captured"

    def test_a_wrong_start_is_corrected_later(self) -> None:
        """In mitmweb the proxy may start with wrong options; mirroring begins once they are corrected."""
        with mirroring(running=False, url="nope") as mirror:
            mirror.addon.running()
            assert mirror.pass_on(flow()) == "None"
            mirror.configure(url=f"file://{mirror.out}")
            assert mirror.pass_on(flow()) == "captured"
            assert len(mirror.entries()) == 1


class TestEnd:
    """The end of the addon."""

    def test_without_any_flow_it_ends_at_once(self) -> None:
        """Without any flow nothing was started, so the addon ends at once."""
        with mirroring(linger_ms=3_600_000) as mirror:
            assert mirror.entries() == []

    def test_entries_that_linger_are_sent(self) -> None:
        """Lingering entries of any age are sent at the end."""
        with mirroring(linger_ms=3_600_000) as mirror:
            mirror.pass_on(flow())
            assert not mirror.out.exists()
            assert len(mirror.entries()) == 1

    def test_what_was_queued_when_the_mirror_was_switched_off_is_waited_for(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        """An exit during the flush waits for the queued entries."""
        caplog.set_level(logging.INFO)
        with FaultServer(Reply(hang_s=0.3)) as akto, mirroring(url=akto.url, durability="memory") as mirror:
            mirror.pass_on(flow())
            mirror.configure(url="")
            mirror.finish()
            assert "captured 1 = shipped 1 " in caplog.text

    def test_a_flow_that_comes_later_is_dropped(self) -> None:
        """A late flow is dropped, and no hook fails."""
        with mirroring() as mirror:
            mirror.pass_on(flow())
            mirror.finish()
            assert mirror.pass_on(flow()).startswith("dropped")
            assert len(mirror.entries()) == 1

    def test_a_host_that_was_replaced_is_left_to_mitmproxy_again(self) -> None:
        """An unloaded script restores mitmproxy's options."""
        with mirroring(mode=["reverse:http://target.internal:8080"]) as mirror:
            assert mirror.context.options.keep_host_header is True
            mirror.finish()
            assert mirror.context.options.keep_host_header is False


HOSTILE = b"/\r\nakto: sent 1 entries\x1b[2K\xff\xe2\x80\xae\\n"


class TestLog:
    """The log for users."""

    def test_the_start_says_what_is_done(self, caplog: pytest.LogCaptureFixture) -> None:
        """The first line names what is done and the destination, without the token."""
        caplog.set_level(logging.DEBUG)
        with mirroring(url="http://127.0.0.1:1", token="hunter2", fidelity="worker", shutdown_s=0):
            pass
        assert "akto: mirroring to http://127.0.0.1:1/api/ingestData (fidelity worker)" in caplog.messages
        assert "hunter2" not in caplog.text

    def test_a_dry_run_warns(self, caplog: pytest.LogCaptureFixture) -> None:
        """The warning of a dry run names what to set."""
        with mirroring(url=""):
            pass
        (record,) = [record for record in caplog.records if "dry run" in record.message]
        assert record.levelno == logging.WARNING
        assert "akto_url" in record.message

    def test_a_wrong_start_is_an_error(self, caplog: pytest.LogCaptureFixture) -> None:
        """A wrong configuration at the start is an error, which ends mitmdump."""
        with mirroring(running=False, url="nope"):
            pass
        errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
        assert errors == ["akto: akto_url=nope: it must begin with http://, https://, file:// or kafka://"]

    def test_a_skip_is_in_the_debug_lines(self, caplog: pytest.LogCaptureFixture) -> None:
        """A skip is a debug line with its reason; without debug logging it costs nothing."""
        caplog.set_level(logging.DEBUG)
        with mirroring() as mirror:
            mirror.pass_on(flow(answer=response(404)))
            assert "skipped" not in caplog.text
            mirror.context.options.add_option("termlog_verbosity", str, "debug", "")
            mirror.addon.configure({"termlog_verbosity"})
            mirror.pass_on(flow(request(b"DELETE"), response(404)))
        (record,) = [record for record in caplog.records if record.message.startswith("akto: skipped")]
        assert record.levelno == logging.DEBUG
        assert record.message == "akto: skipped DELETE /api/items: status 404"

    def test_what_is_sent_and_the_sum_are_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        """Each batch is reported, and at the end the sum of everything."""
        caplog.set_level(logging.INFO)
        with mirroring() as mirror:
            mirror.pass_on(flow())
            mirror.pass_on(flow())
            mirror.pass_on(flow(answer=response(404)))
            mirror.finish()
        assert any(line.startswith("akto: sent ") for line in caplog.messages)
        (summary,) = [line for line in caplog.messages if line.startswith("akto: captured")]
        assert "captured 2 = shipped 2 + " in summary
        assert "skipped 1 (status 1)" in summary

    def test_a_failure_is_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        """A failure is a warning, and the entries are accounted for."""
        caplog.set_level(logging.INFO)
        with mirroring(url="http://127.0.0.1:1", shutdown_s=1) as mirror:
            mirror.pass_on(flow())
            mirror.finish()
        warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
        assert any("cannot deliver" in line for line in warnings)
        assert "captured 1 = shipped 0 + spooled 1 + " in caplog.text

    def test_no_client_forges_a_line(self, caplog: pytest.LogCaptureFixture) -> None:
        """Paths, methods, content types and reasons of clients stay on one printable line."""
        caplog.set_level(logging.DEBUG)
        with mirroring() as mirror:
            mirror.context.options.add_option("termlog_verbosity", str, "debug", "")
            mirror.addon.configure({"termlog_verbosity"})
            hostile = request(b"GE\nT\x07", HOSTILE, fields=[(b"host", HOSTILE), (b"content-type", HOSTILE)])
            assert mirror.pass_on(flow(hostile, response(200, HOSTILE, fields=[]))).isprintable()
            mirror.pass_on(flow(hostile, response(200, HOSTILE)))
            mirror.finish()
        lines = [record.message for record in caplog.records if record.name.startswith("akto_mirror")]
        assert any("skipped" in line for line in lines)
        assert [line for line in lines if not line.isprintable()] == []
        assert [line for line in lines if not line.startswith("akto: ")] == []
