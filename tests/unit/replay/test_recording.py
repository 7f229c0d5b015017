"""Recordings of real tools, from the file to the entry."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import http
from mitmproxy.io import FlowReader, FlowWriter
from mitmproxy.test import tflow

from akto_mirror.replay import entries, recording
from akto_mirror.replay.entries import Entries
from akto_mirror.replay.recording import UnreadableError
from tests.support.data import DATA
from tests.support.har import har_entry

FIELD = DATA / "field"
NOW = "now"
TYPED = '{"content-type":"application/json"}'


def of(name: str) -> Entries:
    """Return the entries of a file in `tests/data/field`."""
    return entries.entries([FIELD / name], {})


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("playwright-attach/x.har", {"requestPayload": '{"a":1}', "responsePayload": '{"ok":1}'}),
        ("form_text_empty.har", {"requestPayload": "user=ann+b&pin=1%262"}),
        ("form_no_mime.har", {"requestPayload": "user=ann+b&pin=1%262"}),
        ("json_params.har", {"requestPayload": '{"type":"VISIT","payload":{"url":"/d","n":1}}'}),
        ("post_text_obj.har", {"requestPayload": '{"a":1}'}),
        ("resp_base64_upper.har", {"responsePayload": '{"ok":1}'}),
        ("no_resp_headers.har", {"responsePayload": '{"ok":1}', "responseHeaders": TYPED}),
        ("url_ws_nohdr.har", {"type": "WebSocket", "statusCode": "101", "responsePayload": ""}),
        ("hdr_crlf.har", {"responseHeaders": '{"content-type":"application/json","set-cookie":"a=1, b=2"}'}),
        ("time_epoch_ms.har", {"time": "1714979290"}),
        ("dur_huge.har", {"time": NOW}),
        ("time_zero.har", {"time": NOW}),
        ("old_h2.mitm", {"requestHeaders": '{"content-type":"application/json","host":"shop.example"}'}),
    ],
)
def test_the_field(name: str, values: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of real tools, and files written by hand, give the expected values."""
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.5)
    (only,) = of(name)
    wanted = {field: "1800000000" if value == NOW else value for field, value in values.items()}
    assert {field: only[field] for field in values} == wanted
    assert "\\r" not in only["requestHeaders"] + only["responseHeaders"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("url_nohost.har", "entry 1: its URL is not absolute: /api/orders"),
        (
            "newer.mitm",
            r"written by a newer mitmproxy \(flow format 99; mitmproxy [\d.]+ reads up to \d+\); update",
        ),
    ],
)
def test_the_field_that_cannot_be_read(name: str, message: str) -> None:
    """The error says what is wrong with the file."""
    with pytest.raises(UnreadableError, match=message):
        of(name)


def test_an_old_flow_is_the_same_for_the_addon() -> None:
    """The addon in `mitmdump -nr` makes the same entry as a replay, without pseudo-headers."""
    from akto_mirror.capture.capture import Capture  # noqa: PLC0415 - only here
    from akto_mirror.config import options  # noqa: PLC0415 - only here

    with (FIELD / "old_h2.mitm").open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert flow.response
    flow.response.headers.fields = ((b":status", b"200"), *flow.response.headers.fields)
    settings = options.read(entries.parse_options([], {}), {})
    made = Capture(settings.capture, "marker").anyway(flow, flow.response).entry
    assert json.loads(made.requestHeaders).keys() == {"content-type", "host"}
    assert json.loads(made.requestHeaders)["host"] == "shop.example"
    assert json.loads(made.responseHeaders).keys() == {"content-type"}


def test_a_flow_of_mitmproxy_5() -> None:
    """A file of mitmproxy's own tests (`test/mitmproxy/data/dumpfile-019.mitm`) has an HTTP/2 request, and is read."""
    from akto_mirror.capture.capture import Capture  # noqa: PLC0415 - only here
    from akto_mirror.config import options  # noqa: PLC0415 - only here

    with (FIELD / "mitmproxy_5.mitm").open("rb") as file:
        (flow,) = FlowReader(file).stream()
    assert isinstance(flow, http.HTTPFlow)
    assert flow.request.headers.fields[0] == (b":authority", b"webrv.rtb-seller.com")
    settings = options.read(entries.parse_options([], {}), {})
    asked = json.loads(Capture(settings.capture, "marker").anyway(flow, http.Response.make()).entry.requestHeaders)
    assert asked["host"] == "webrv.rtb-seller.com"
    assert ":authority" not in asked


@pytest.mark.parametrize(
    ("version", "message"), [(99, "newer mitmproxy from flow 3 on"), ((0, 10), "an older mitmproxy")]
)
def test_formats_are_named_wherever_they_begin(version: Any, message: str, tmp_path: Path) -> None:
    """Of a file that several versions of mitmproxy wrote, the readable flows are read, and the error names the rest."""
    flows = [tflow.tflow(resp=True) for _ in range(3)]
    with (tmp_path / "a.mitm").open("wb") as file:
        writer = FlowWriter(file)
        for flow in flows[:2]:
            writer.add(flow)
        state = flows[2].get_state() | {"version": list(version) if isinstance(version, tuple) else version}
        flows[2].get_state = lambda: state  # type: ignore[method-assign]
        writer.add(flows[2])
    found = recording.read(tmp_path / "a.mitm")
    assert [next(found).flow is not None for _ in range(2)] == [True, True]
    with pytest.raises(UnreadableError, match=message):
        next(found)


def renamed(har: Path, name: str) -> Path:
    """Replace the name of the request body's file in a HAR file."""
    har.write_text(har.read_text().replace('"aaa.json"', json.dumps(name)))
    return har


def put_link(folder: Path) -> str:
    """Create a symbolic link to a file elsewhere, and return its name."""
    (folder / "link.json").symlink_to(folder.parent / "secret.json")
    return "link.json"


def put_pipe(folder: Path) -> str:
    """Create a pipe, which would block a reader, and return its name."""
    os.mkfifo(folder / "pipe.json")
    return "pipe.json"


def put_folder(folder: Path) -> str:
    """Create a folder, and return its name."""
    (folder / "folder.json").mkdir()
    return "folder.json"


def put_hidden(folder: Path) -> str:
    """Create a hidden file, such as one with passwords, and return its name."""
    (folder / ".netrc").write_text("secret")
    return ".netrc"


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "name",
    [
        *("../secret.json", "sub/aaa.json", "/etc/passwd", "..", ".", "a\\b", "C:x", "a\0b", "x" * 300, "gone.json"),
        *(put_link, put_pipe, put_folder, put_hidden),
    ],
)
@pytest.mark.parametrize("packs", [False, True])
def test_only_bare_names_beside_the_file_are_read(
    name: str | Callable[[Path], str], packs: bool, attached: Path, tmp_path: Path
) -> None:
    """A HAR file cannot have other files shipped; each missing body is counted and reported, and the rest is read."""
    (tmp_path / "secret.json").write_text('{"secret":1}')
    (attached.parent / "sub").mkdir()
    shutil.copy(attached.with_name("aaa.json"), attached.parent / "sub")
    path = renamed(attached, name if isinstance(name, str) else name(attached.parent))
    if packs:
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.write(attached, "har.har")
            archive.write(attached.with_name("bbb.json"), "bbb.json")
            archive.writestr("../secret.json", '{"secret":1}')
    found = entries.entries([path], {})
    assert (found[0]["requestPayload"], found[0]["responsePayload"]) == ("", '{"ok":1}')
    assert found.missing_bodies == 1
    (note,) = found.notes
    assert note.startswith(f"{path}: entry 1: the request body cannot be read from ")
    assert note.isprintable()


def test_an_encrypted_body_is_named(attached: Path, tmp_path: Path) -> None:
    """A body that is encrypted in the archive is reported, and the rest is read."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(attached, "har.har")
        archive.write(attached.with_name("bbb.json"), "bbb.json")
        archive.writestr("aaa.json", "{}")
    content = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.rindex(mark) + offset] |= 1  # The flag for encryption of the last file.
    path.write_bytes(content)
    found = entries.entries([path], {})
    assert (found.missing_bodies, len(found.notes)) == (1, 1)
    assert "encrypted" in found.notes[0]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"response": {"content": {"size": 9, "mimeType": "application/json"}}}, 1),
        ({"response": {"content": {"size": 9, "mimeType": "application/json", "text": ""}}}, 1),
        ({"response": {"content": {"mimeType": "application/json"}}}, 1),
        ({"response": {"content": {"size": 0, "mimeType": "application/json"}, "bodySize": 20}}, 1),
        ({"response": {"content": {"size": 0, "mimeType": "application/json", "text": ""}, "bodySize": 20}}, 0),
        ({"response": {"content": {"size": 0, "mimeType": "application/json"}, "bodySize": -1}}, 0),
        ({"response": {"content": {"size": 9}, "status": 304}}, 0),
        ({"response": {"content": {"size": 9}, "status": 204}}, 0),
        ({"response": {"content": {"size": 9}}, "request": {"method": "HEAD"}}, 0),
        ({"request": {"method": "POST", "bodySize": 9}}, 1),
        ({"request": {"method": "POST", "headers": [["Content-Length", "9"]]}}, 1),
        ({"request": {"method": "POST", "headers": [["Content-Length", "0"]], "bodySize": -1}}, 0),
        (
            {
                "request": {
                    "method": "POST",
                    "bodySize": 9,
                    "postData": {"mimeType": "text/x", "text": "", "params": []},
                }
            },
            1,
        ),
        ({"request": {"method": "POST", "bodySize": 0, "postData": {"mimeType": "text/x", "text": ""}}}, 0),
        ({"request": {"method": "POST", "postData": {"mimeType": "application/json"}}}, 1),
        ({"request": {"postData": {"mimeType": "", "params": []}}}, 0),
        ({}, 0),
    ],
)
def test_bodies_that_the_file_does_not_hold_are_counted(change: dict[str, Any], missing: int, tmp_path: Path) -> None:
    """Missing bodies are recognised by sizes and headers, if the exchange can have a body."""
    whole = har_entry(change.get("request"), change.get("response"))
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": [whole]}}))
    found = entries.entries([tmp_path / "a.har"], {})
    assert (len(found), found.missing_bodies) == (1, missing)


@pytest.mark.parametrize("stamp", [-5.0, 1e30, float("nan"), 4e9])
def test_flow_files_have_odd_times_too(stamp: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Times that are not between 1970 and now become now."""
    flow = tflow.tflow(resp=True)
    assert flow.response
    flow.response.headers["content-type"] = "application/json"
    flow.response.timestamp_end = stamp
    with (tmp_path / "a.mitm").open("wb") as file:
        FlowWriter(file).add(flow)
    monkeypatch.setattr("time.time", lambda: 1_800_000_000.0)
    (record,) = recording.read(tmp_path / "a.mitm")
    assert not record.has_time
    assert entries.entries([tmp_path / "a.mitm"], {})[0]["time"] == "1800000000"
