"""HAR files of different tools, entry by entry."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.capture.encoding import Captured
from akto_mirror.config import options
from akto_mirror.outcomes import Skip
from akto_mirror.replay import entries, recording
from akto_mirror.replay.entries import Decider, Entries
from akto_mirror.replay.har import flows
from akto_mirror.replay.recording import UnreadableError
from tests.support.data import DATA
from tests.support.har import JSON, har_entry, read


def as_bytes(entry: Any) -> bytes:
    """Return the JSON of an entry."""
    return json.dumps(entry).encode()


def shipped(name: str, **given: Any) -> Entries:
    """Return the entries of a file in `tests/data`."""
    return entries.entries([DATA / name], given)


def fields(entry: dict[str, str], which: str) -> dict[str, str]:
    """Return the headers of an entry."""
    return dict(json.loads(entry[which]))


def test_chrome() -> None:
    """Pseudo-headers give the host, bodies stay decoded, missing bodies are empty, and forms are rebuilt."""
    items, orders, photos, login, live = shipped("chrome.har")
    assert fields(items, "requestHeaders") == {"accept": "application/json", "cookie": "sid=1", "host": "shop.example"}
    assert (items["responsePayload"], items["time"]) == ('{"items":["tea","café"]}', "1714557600")
    assert fields(items, "responseHeaders")["set-cookie"] == "a=1, b=2"
    assert (orders["requestPayload"], orders["responsePayload"], orders["status"]) == (
        '{"item":"tea"}',
        '{"id":9}',
        "OK",
    )
    assert photos["requestPayload"] == ""
    assert login["requestPayload"] == "user=ann+smith&city=K%C3%B6ln"
    assert (live["type"], live["statusCode"], live["path"]) == ("WebSocket", "101", "/live")


def test_firefox() -> None:
    """Times with a zone, zstd, forms with text and parameters, and bodies that were cut in base64 are read."""
    items, login, report, grpc, old = shipped("firefox.har")
    assert (items["responsePayload"], items["time"]) == ('{"items":["ü"]}', "1714557601")
    assert login["requestPayload"] == "user=ann&remember=1"
    assert report["responsePayload"] == '{"rows":[1,2,3'
    assert base64.b64decode(grpc["requestPayload"]) == b"\0\0\0\0\x02\x08\x07"
    assert base64.b64decode(grpc["responsePayload"]) == b"\0\0\0\0\x02\x08\x07"
    assert old["responsePayload"] == ""


def test_http_toolkit() -> None:
    """Chains of codings, joined values, binary requests and missing bodies are read."""
    user, grpc, imported, live = shipped("http-toolkit.har")
    assert (user["responsePayload"], fields(user, "requestHeaders")["host"]) == ('{"id": 7}\n', "api.example:8443")
    assert (grpc["requestPayload"], grpc["responsePayload"]) == ("AAAAAAKWAQ==", "AAAAAAIIBw==")
    assert fields(grpc, "requestHeaders") == {"content-type": "application/grpc", "host": "api.example:8443"}
    assert (imported["requestPayload"], imported["responsePayload"], imported["status"]) == ("", "", "Accepted")
    assert live["type"] == "WebSocket"


@pytest.mark.parametrize("fidelity", ["akto", "worker"])
def test_mitmproxys_own(fidelity: str) -> None:
    """The HAR file of a flow file gives the same entries, except for the client's address."""
    by_har = shipped("mitmproxy.har", akto_fidelity=fidelity)
    by_flows = shipped("flows.mitm", akto_fidelity=fidelity)
    assert [entry | {"ip": ""} for entry in by_har] == [entry | {"ip": ""} for entry in by_flows]
    assert len(by_har) == 2
    assert [skipped.reason for skipped in by_har.skipped] == [skipped.reason for skipped in by_flows.skipped]


@pytest.mark.parametrize("bom", ["utf-8-sig", "utf-16", "utf-32", "utf-8"])
def test_a_byte_order_mark_is_harmless(bom: str, tmp_path: Path) -> None:
    """All encodings of JSON are read, with white space and a byte order mark, as Fiddler writes it."""
    (tmp_path / "a.har").write_bytes(("\n" * (bom == "utf-8") + (DATA / "chrome.har").read_text()).encode(bom))
    assert entries.entries([tmp_path / "a.har"], {}) == shipped("chrome.har")


def test_mitmproxys_compressed_file_is_read(tmp_path: Path) -> None:
    """`save.har x.zhar` compresses with zlib; such a file is read."""
    (tmp_path / "a.zhar").write_bytes(zlib.compress((DATA / "chrome.har").read_bytes()))
    assert entries.entries([tmp_path / "a.zhar"], {}) == shipped("chrome.har")


@pytest.mark.parametrize("fidelity", ["akto", "worker"])
@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP", "identity", "aws-chunked", ""])
def test_a_decoded_body_is_neither_decoded_again_nor_lost(coding: str, fidelity: str, tmp_path: Path) -> None:
    """The entry has the text and the recorded header."""
    answer = {"headers": [JSON, {"name": "content-encoding", "value": coding}]}
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": [har_entry(response=answer)]}}))
    (only,) = entries.entries([tmp_path / "a.har"], {"akto_fidelity": fidelity})
    if coding != "GZIP" or fidelity == "akto":  # The Worker's platform decodes lower-case codings only.
        assert only["responsePayload"] == '{"ok":1}'
    assert fields(only, "responseHeaders")["content-encoding"] == coding


def test_a_body_that_its_maker_could_not_decode_stays_as_it_is() -> None:
    """The raw bytes that mitmproxy writes of a broken gzip body are not encoded again."""
    raw = gzip.compress(b'{"ok":1}')[:-4]
    content = {"text": base64.b64encode(raw).decode(), "encoding": "base64"}
    answer = {"headers": [JSON, {"name": "content-encoding", "value": "gzip"}], "content": content}
    flow = read(response=answer)
    assert flow.response
    assert flow.response.raw_content == raw


@pytest.mark.parametrize(
    ("content", "body"),
    [
        ({"text": "eyJvayI6MX0=\r\n", "encoding": " BASE64"}, b'{"ok":1}'),
        ({"text": "eyJ4IjoiP34_In0", "encoding": "base64url"}, b'{"x":"?~?"}'),
        ({"text": '{"ok":1}', "encoding": "base64"}, b'{"ok":1}'),
        ({"text": '{"ok":1}', "encoding": "utf8"}, b'{"ok":1}'),
        ('{"ok":1}', b'{"ok":1}'),
    ],
)
def test_a_text_is_decoded_only_if_it_can_be_base64(content: Any, body: bytes) -> None:
    """The encoding's name may be spelt in several ways, and a body may be a plain string."""
    flow = read({"method": "POST", "postData": content, "headers": [JSON]}, {"content": content})
    assert flow.response
    assert (flow.request.raw_content, flow.response.raw_content) == (body, body)


@pytest.mark.parametrize("status", [0, "0", None, -1, "", "x", 99, 1000])
def test_no_status_is_no_response(status: object) -> None:
    """A blocked or failed exchange, which tools record with different statuses, has no response."""
    flow = read(response={"status": status, "_error": "net::ERR_BLOCKED_BY_CLIENT"})
    assert flow.response is None
    assert flow.error
    assert flow.error.msg == "net::ERR_BLOCKED_BY_CLIENT"


@pytest.mark.parametrize("response", [None, {}, "x"])
def test_a_missing_response_is_no_response(response: object) -> None:
    """An exchange whose response is missing is read without one."""
    flow = flows.read_entry(har_entry() | {"response": response}).flow
    assert flow
    assert flow.response is None


@pytest.mark.parametrize(
    "url", ["data:text/plain,abc", "blob:https://x/1", "about:blank", "chrome-extension://abc/x.js"]
)
def test_what_is_not_a_http_is_passed_over(url: str) -> None:
    """URLs of other schemes, which browsers record without network traffic, are skipped."""
    assert flows.read_entry(har_entry({"url": url})).flow is None


@pytest.mark.parametrize(
    ("url", "target", "host"),
    [
        ("https://api.example.com", b"/", "api.example.com"),
        ("https://API.example.com:8443/a%2Fb/../c?d=é#e", "/a%2Fb/../c?d=é".encode(), "API.example.com:8443"),
        ("http://[::1]:99999/x", b"/x", "[::1]:99999"),
        ("https://ann:pw@bücher.example/ä", "/ä".encode(), "bücher.example"),
    ],
)
def test_addresses(url: str, target: bytes, host: str) -> None:
    """Path and query are as recorded, without fragment and password; without a Host header, the URL's host is used."""
    flow = read({"url": url})
    assert flow.request.data.path == target
    assert flow.request.data.authority == host.encode()


@pytest.mark.parametrize("version", ["h2", "http/2.0", "HTTP/2", "HTTP/2.0"])
def test_http2_has_one_name(version: str) -> None:
    """All four spellings of HTTP/2 are recognised."""
    assert read({"httpVersion": version}).request.is_http2


def test_what_is_wrong_is_reported_by_its_number() -> None:
    """An invalid entry is reported by number, and the next ones are read."""
    found = list(flows.flows(map(as_bytes, [har_entry(), {"request": {}}, 7, har_entry()])))
    assert [isinstance(item, flows.Exchange) for item in found] == [True, False, False, True]
    assert [str(item) for item in found[1:3]] == [f"entry {n}: an entry without the request's url" for n in (2, 3)]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("status", "1e999", "entry 2: a status that is not a number"),
        ("time", "1" + "0" * 5000, "entry 2: Exceeds the limit (4300 digits)"),
    ],
)
def test_numbers_that_no_float_holds_cost_one_entry(place: str, value: str, message: str, tmp_path: Path) -> None:
    """A number that no float can hold makes only its entry unreadable."""
    good = json.dumps(har_entry())
    odd = good.replace(f'"{place}": {200 if place == "status" else 500}', f'"{place}": {value}')
    (tmp_path / "a.har").write_text(f'{{"log":{{"entries":[{good},{odd},{good}]}}}}')
    records = list(recording.read(tmp_path / "a.har"))
    assert [record.error.partition(" for")[0] for record in records] == ["", message, ""]


def test_a_list_of_many_codings_is_not_followed() -> None:
    """Chains of too many codings are not followed, and the body stays as it is in the file."""
    answer = {"headers": [JSON, {"name": "content-encoding", "value": ",".join(["gzip", "br"] * 50_000)}]}
    flow = read(response=answer)
    assert flow.response
    assert flow.response.raw_content == b'{"ok":1}'


DECIDER = Decider(options.read(entries.parse_options(["akto_filter=~u x | ~hq y", "akto_routes=*/*"], {}), {}))

json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
spots = st.sampled_from(
    [
        *(("request", name) for name in ("url", "method", "headers", "httpVersion", "postData", "_content")),
        *(("response", name) for name in ("status", "statusText", "headers", "content", "httpVersion", "_error")),
        *((name,) for name in ("startedDateTime", "time", "request", "response")),
        *(("response", "content", name) for name in ("text", "encoding")),
    ]
)


odd_urls = st.text(max_size=20).map("https://{}".format) | st.text(max_size=20).map("http://h/{}".format)


@settings(max_examples=300, deadline=None)
@given(spot=spots, value=json_values | odd_urls)
def test_no_entry_breaks_the_reader(spot: tuple[str, ...], value: object) -> None:
    """Any value in any place of an entry gives a flow, a skip, or a report that it is unreadable."""
    entry = har_entry()
    place = entry
    for name in spot[:-1]:
        place = place[name]
    place[spot[-1]] = value
    (found,) = flows.flows([as_bytes(entry)])
    if isinstance(found, flows.Exchange) and found.flow:
        assert isinstance(DECIDER.of(found.flow), Captured | Skip)
        assert isinstance(found.flow.request.pretty_url, str)


@given(content=st.binary(max_size=200))
def test_no_file_breaks_the_reader(content: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Any file is read, or reported as unreadable."""
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(content)
    with suppress(UnreadableError):
        list(recording.read(path))
