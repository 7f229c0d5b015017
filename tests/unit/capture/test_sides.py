"""Headers and payload of each side of an entry."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture import sides
from akto_mirror.capture.body import EMPTY, Body, snapshot
from akto_mirror.outcomes import Format
from akto_mirror.sampling.payloads import read_json
from tests.support.bodies import WHOLE
from tests.support.coders import CODERS, encode

LIMIT = 65_536
JSON = {"content-type": "application/json"}


@pytest.mark.parametrize("coding", ["", *CODERS])
@pytest.mark.parametrize(("content_type", "text"), WHOLE)
def test_a_whole_payload_passes_byte_for_byte(content_type: str, text: str, coding: str) -> None:
    """A whole payload is not changed, valid or not, in any coding."""
    headers = {"content-type": content_type, "content-encoding": coding}
    found = sides.akto(snapshot(encode(text.encode(), coding), LIMIT), headers, LIMIT)
    assert found == (headers, found.payload)
    assert (found.payload.text, found.payload.repaired, found.payload.whole) == (text, (), True)


@given(
    st.text(st.characters(exclude_characters="\ufeff\ufffe", exclude_categories=["Cs"]), max_size=300),
    st.sampled_from(["", *CODERS]),
)
def test_any_text_passes(text: str, coding: str) -> None:
    """Any text of a type without a format is not changed."""
    headers = {"content-type": "text/plain", "content-encoding": coding}
    assert sides.akto(snapshot(encode(text.encode(), coding), LIMIT), headers, LIMIT).payload.text == text


TYPES = ("application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8", "text/plain", "")


@given(
    st.sampled_from([b'{"a":1}', b"[1,2]", '{"\u00e9":1}'.encode(), b'\xef\xbb\xbf{"a":1}', b")]}'\n{}", b'{"a"', b""]),
    st.sampled_from([*TYPES, "application/json; charset=utf-16", "text/event-stream", "application/grpc+json"]),
    st.sampled_from([{}, {"content-encoding": "gzip"}, {"content-encoding": "identity"}]),
    st.booleans(),
    st.sampled_from([0, 3, LIMIT]),
)
def test_what_is_plain_is_the_payload(
    data: bytes,
    content_type: str,
    headers: dict[str, str],
    complete: bool,
    limit: int,
) -> None:
    """A plain body equals its payload: sampling reads it from the wire instead of rendering it."""
    headers = headers | {"content-type": content_type}
    found = sides.plain(Body(data, complete), headers, limit)
    if found is not None and (not found or read_json(found) is not None):
        assert sides.akto(Body(data, complete), headers, limit).payload.text.encode() == found


@pytest.mark.parametrize("content_type", TYPES[:3])
def test_ordinary_json_is_plain(content_type: str) -> None:
    """JSON is plain in any spelling of its content type."""
    assert sides.plain(Body(b'{"a":1}'), {"content-type": content_type}, LIMIT) == b'{"a":1}'


def test_what_was_cut_is_closed() -> None:
    """JSON is closed if it was cut by the limit, in its coding, or because it was not kept."""
    text = b'{"a":[' + b'{"b":1},' * 50_000 + b"{}]}"
    coded = gzip.compress(text)
    gzipped = JSON | {"content-encoding": "gzip"}
    for wire, headers in (
        (snapshot(text, LIMIT), JSON),
        (snapshot(coded, LIMIT), gzipped),
        (Body(text[:900], complete=False), JSON),
        (Body(coded[:200], complete=False), gzipped),
        (Body(coded[:200]), gzipped),
    ):
        payload = sides.akto(wire, headers, LIMIT).payload
        assert payload.text.endswith("}]}")
        assert payload.repaired == (Format.JSON,)
        assert not payload.whole


def test_the_content_type_is_that_of_the_payload() -> None:
    """The content type is in lower case, and JSON where an event stream became JSON; a missing one is not added."""
    answer = b'data: {"jsonrpc":"2.0","id":1,"result":{}}\n\n'
    for wire, content_type, shown in (
        (answer, "Text/Event-Stream; charset=UTF-8", "application/json"),
        (b"data: x\n\n", "Text/Event-Stream", "text/event-stream"),
        (b"{}", "Application/JSON; Charset=UTF-8", "application/json; charset=utf-8"),
        (b"--Ab--", "Multipart/Mixed; Boundary=Ab", "multipart/mixed; boundary=Ab"),
    ):
        given_headers = {"content-type": content_type, "x": "Y"}
        found = sides.akto(Body(wire), given_headers, LIMIT, b"1")
        assert found.headers == {"content-type": shown, "x": "Y"}
        assert given_headers["content-type"] == content_type
    assert sides.akto(Body(b"{}"), {}, LIMIT).headers == {}


@pytest.mark.parametrize("name", ["grpc-encoding", "connect-content-encoding"])
def test_compressed_messages_are_undone(name: str) -> None:
    """Compressed messages are decompressed by the header that names their coding."""
    message = gzip.compress(b"\x0a\x01a")
    wire = b"\x01" + len(message).to_bytes(4, "big") + message
    headers = {"content-type": "application/grpc", name: "gzip"}
    assert sides.akto(Body(wire), headers, LIMIT).payload.text == "AAAAAAMKAWE="


def test_the_worker_repairs_nothing() -> None:
    """In `worker`, neither payloads nor headers are repaired."""
    headers = {"content-type": "Application/JSON"}
    found = sides.worker(snapshot(b'{"a":1', LIMIT), headers, 5)
    assert found.headers is headers
    assert (found.payload.text, found.payload.content_type, found.payload.repaired) == (
        '{"a":',
        "Application/JSON",
        (),
    )
    assert sides.worker(Body(b"{}"), headers, LIMIT, 204).payload.text == ""
    assert sides.without_payload(headers).payload.text == sides.akto(EMPTY, headers, LIMIT).payload.text == ""
