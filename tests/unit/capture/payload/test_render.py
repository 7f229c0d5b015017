"""Rendered payloads: whole bodies unchanged, cut ones closed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.io import FlowReader

from akto_mirror.capture.payload import media
from akto_mirror.capture.payload.grpc import unwrapped
from akto_mirror.capture.payload.render import JSON_TYPE, Rendered, Source, render, shorten
from akto_mirror.outcomes import Format
from tests.support.bodies import ODD, WHOLE
from tests.support.data import DATA
from tests.support.grpcframes import decoded, frame
from tests.support.notes import Note
from tests.support.texts import (
    form,
    json_texts,
    read_form,
    read_json,
    read_json_values,
    read_multipart,
    read_xml,
)

LIMIT = 65_536
MULTIPART = "multipart/form-data; boundary=XbX"


@pytest.mark.parametrize(("content_type", "text"), WHOLE)
def test_a_whole_body_passes_byte_for_byte(content_type: str, text: str) -> None:
    """A whole body passes byte for byte, valid or not."""
    assert render(Source(text.encode(), content_type), LIMIT) == Rendered(text, content_type)
    size = len(text.encode())
    assert render(Source(text.encode(), content_type), size).text == text
    assert shorten(text, content_type, size) == text


@given(st.one_of(st.text(max_size=200), json_texts), st.sampled_from([kind for kind, _ in WHOLE]))
def test_any_whole_text_passes(text: str, content_type: str) -> None:
    """Any whole text passes, apart from a byte order mark and prefixes against script inclusion."""
    found = render(Source(text.encode(), content_type), LIMIT)
    if "event-stream" not in content_type and not text.startswith(("\ufeff", "\ufffe", ")")):
        assert found == Rendered(text, content_type)


@pytest.mark.parametrize(
    ("content_type", "text", "limit", "shown"),
    [
        ("application/json", '{"a":[{"b":1},{"c', 100, '{"a":[{"b":1},{}]}'),
        ("Application/JSON; Charset=UTF-8", '{"a":"' + "x" * 50, 20, '{"a":"xxxxxxxxxxxx"}'),
        ("", "[1,2", 100, "[1]"),
        ("text/plain", '{"a":1,', 100, '{"a":1}'),
        ("application/x-www-form-urlencoded", '{"a":1,', 100, '{"a":1}'),
        ("application/soap+xml", "<s><b>", 100, "<s><b></b></s>"),
        ("image/svg+xml", "<svg><g", 100, "<svg></svg>"),
        ("application/x-www-form-urlencoded", "aaaa=1&bbbb=2", 10, "aaaa=1"),
        (MULTIPART, "--XbX\r\n\r\nabc", 100, "--XbX\r\n\r\nabc\r\n--XbX--\r\n"),
        ("multipart/mixed", "--first\r\n\r\nabc", 100, "--first\r\n\r\nabc\r\n--first--\r\n"),
    ],
)
def test_a_cut_body_is_closed(content_type: str, text: str, limit: int, shown: str) -> None:
    """A cut body is closed in its format, which is reported."""
    found = render(Source(text.encode(), content_type, cut=True), limit)
    kind = media.format_of(content_type, text.encode())
    assert found == Rendered(shown, media.reported(content_type), (kind,), whole=False)


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        ("application/json", "no json € at all"),
        ("text/plain", "plain €€€ text"),
        ("application/xml", "<a></b>€€€ text"),
    ],
)
def test_what_cannot_be_closed_is_cut_between_characters(content_type: str, text: str) -> None:
    """A body that cannot be closed is cut between characters, and no repair is reported."""
    for limit in range(8, len(text.encode())):
        found = render(Source(text.encode(), content_type), limit)
        assert text.startswith(found.text)
        assert limit - len(found.text.encode()) < 3
        assert found.repaired == ()
        assert not found.whole


def test_deep_json_is_cut_though_it_is_whole() -> None:
    """Deep JSON is cut even if it is whole, because Akto's stack would overflow."""
    found = render(Source(b"[" * 3_000 + b"]" * 3_000, JSON_TYPE), LIMIT)
    assert found == Rendered("[" * 500 + "]" * 500, JSON_TYPE, (Format.JSON,), whole=False)


def test_a_prefix_against_scripts_is_taken_off() -> None:
    """The removed prefix is reported as a repair."""
    assert render(Source(b')]}\',\n{"a":1}', JSON_TYPE), LIMIT) == Rendered('{"a":1}', JSON_TYPE, (Format.JSON,))


def test_other_charsets_become_utf8() -> None:
    """Other charsets become UTF-8 within the limit, which counts bytes of UTF-8."""
    source = Source('{"a":"é"}'.encode("utf-16"), "application/json; charset=utf-16")
    assert render(source, LIMIT) == Rendered('{"a":"é"}', "application/json; charset=utf-16", (Format.TEXT,))
    source = Source(('{"a":"' + "é" * 50 + '"}').encode("latin-1"), "application/json; charset=latin1")
    assert render(source, 29) == Rendered(
        '{"a":"' + "é" * 10 + '"}', source.content_type, (Format.TEXT, Format.JSON), whole=False
    )
    assert render(Source(b"\xef\xbb\xbf{}", JSON_TYPE), LIMIT) == Rendered("{}", JSON_TYPE)


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16", "utf-16-le"])
@pytest.mark.parametrize("content_type", ["application/xml", "text/plain"])
def test_text_of_another_charset_is_closed(codec: str, content_type: str) -> None:
    """Text in another charset is closed, although its format shows only after decoding."""
    xml = '<?xml version="1.0" encoding="UTF-8"?><a><b>é'.encode(codec)
    assert render(Source(xml, content_type, cut=True), LIMIT).text == xml.decode(codec) + "</b></a>"
    found = render(Source('{"a":"é'.encode(codec), content_type, cut=True), LIMIT)
    assert found.text == '{"a":"é"}'
    assert found.repaired == ((Format.JSON,) if codec == "utf-8-sig" else (Format.TEXT, Format.JSON))


def test_an_event_stream_becomes_json() -> None:
    """An event stream becomes JSON, with that content type; one without JSON stays text."""
    answer = '{"jsonrpc":"2.0","id":1,"result":{}}'
    found = render(Source(f"data: {answer}\n\n".encode(), "Text/Event-Stream", request_id=b"1"), LIMIT)
    assert found == Rendered(answer, JSON_TYPE, (Format.EVENTS,))
    assert render(Source(b"data: x\n\n" * 9, "text/event-stream"), 13).text == "data: x\n\ndata"


@given(
    st.binary(max_size=120), st.sampled_from([kind for kind, _ in WHOLE] + ["application/grpc"]), st.integers(0, 100)
)
def test_any_bytes(data: bytes, content_type: str, limit: int) -> None:
    """Any bytes are rendered without an error, and shortened payloads fit."""
    for cut in (False, True):
        found = render(Source(data, content_type, cut=cut), limit)
        assert found.whole or len(found.text.encode()) <= max(limit, 3 * limit)
        assert len(shorten(found.text, found.content_type, limit // 2).encode()) <= limit // 2


def read_parts(text: str) -> object:
    """Read a multipart strictly."""
    return read_multipart(text.encode(), MULTIPART)


@pytest.mark.parametrize(
    ("source", "strict"),
    [
        (Source(b'{"items":[' + b'{"id":1,"name":"x"},' * 99 + b"{}]}", JSON_TYPE), read_json),
        (Source(b"<r>" + b"<i>x</i>" * 99 + b"</r>", "text/xml"), read_xml),
        (Source(b"&".join(b"k%d=v" % number for number in range(99)), "x-www-form-urlencoded"), read_form),
        (
            Source(form([("a", b"1"), ("f", b"A" * 999)]), MULTIPART),
            lambda text: read_multipart(text.encode(), MULTIPART),
        ),
        (Source(frame(Note(many=["text"] * 99).SerializeToString()) * 3, "application/grpc"), decoded),
        (Source(b'data: {"a":"x"}\n\n' * 99, "text/event-stream"), read_json),
    ],
)
def test_a_payload_is_shortened_by_repair(source: Source, strict: object) -> None:
    """The payloads of an entry that is too large are shortened, and stay valid."""
    assert callable(strict)
    found = render(source, LIMIT)
    for limit in range(len(found.text), 60, -37):
        shorter = shorten(found.text, found.content_type, limit)
        assert len(shorter) <= limit
        assert len(shorter) > limit - 70
        strict(shorter)


def bodies() -> Iterator[tuple[str, bytes]]:
    """Yield the content types and bodies of all recordings."""
    for path in DATA.glob("*.har"):
        for entry in json.loads(path.read_text(encoding="utf-8"))["log"]["entries"]:
            posted = entry["request"].get("postData") or {}
            yield posted.get("mimeType", ""), str(posted.get("text", "")).encode()
            content = entry["response"]["content"]
            text = content.get("text", "")
            yield (
                content.get("mimeType", ""),
                (unwrapped if content.get("encoding") == "base64" else bytes)(text.encode()),
            )
    with (DATA / "flows.mitm").open("rb") as file:
        for flow in FlowReader(file).stream():
            if isinstance(flow, http.HTTPFlow):
                for message in filter(None, (flow.request, flow.response)):
                    yield message.headers.get("content-type", ""), message.get_content(strict=False) or b""


BODIES = sorted({(kind, data) for kind, data in bodies() if data})


def accept(text: str, content_type: str, kind: Format) -> None:
    """Read a payload with a strict parser of its format."""
    if not text:
        return
    if kind is Format.JSON:
        read_json_values(text)
    elif kind is Format.XML:
        read_xml(text)
    elif kind is Format.FORM:
        read_form(text)
    elif kind is Format.GRPC:
        decoded(text)
    elif kind is Format.MULTIPART:
        read_multipart(text.encode(), content_type)


def test_there_are_recordings() -> None:
    """The recordings are found; otherwise the tests on them would prove nothing."""
    assert len(BODIES) >= 8
    assert Format.JSON in {media.format_of(kind, data) for kind, data in BODIES}


@pytest.mark.parametrize(("content_type", "data"), BODIES, ids=range(len(BODIES)))
def test_every_recorded_body_at_every_limit(content_type: str, data: bytes) -> None:
    """A recorded body passes whole, and a strict parser accepts it wherever it is cut."""
    whole = render(Source(data, content_type), 2 * len(data) + 8)
    kind = media.format_of(content_type, data)
    assert whole.text == (b64encode(data).decode() if kind is Format.GRPC else data.decode("utf-8", "replace"))
    sound = kind not in (Format.JSON, Format.XML, Format.FORM) or _is_sound(whole.text, content_type, kind)
    for limit in chain(range(1, min(len(data), 2_000)), range(2_000, len(data), 101)):
        cut = render(Source(data[:limit], content_type, cut=True), limit)
        assert len(cut.text.encode()) <= limit or kind is Format.TEXT
        assert not cut.whole
        if sound:
            accept(cut.text, content_type, kind)


# A lower limit does not hold the first token of any format.
FIRST = 48


@pytest.mark.parametrize(("content_type", "data"), ODD, ids=range(len(ODD)))
def test_odd_bodies_at_every_limit(content_type: str, data: bytes) -> None:
    """A strict parser of the format accepts each body, whole or cut anywhere."""
    for limit in (*range(FIRST, len(data), 1 + len(data) // 150), len(data)):
        cut = limit < len(data)
        found = render(Source(data[:limit], content_type, cut=cut, request_id=b"1"), limit if cut else LIMIT)
        assert not cut or len(found.text.encode()) <= limit
        accept(found.text, found.content_type, media.format_of(found.content_type, found.text.encode()))


def _is_sound(text: str, content_type: str, kind: Format) -> bool:
    try:
        accept(text, content_type, kind)
    except (ValueError, SyntaxError):
        return False
    return True
