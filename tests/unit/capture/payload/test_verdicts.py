"""Akto's runtime accepts rendered payloads, by its recorded verdicts."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from akto_mirror.capture.payload.events import request_id
from akto_mirror.capture.payload.render import Source, render
from akto_mirror.ingestion.entries.concerns import concerns
from tests.support.bodies import ITEMS, SHAPES
from tests.support.entries import entry
from tests.support.grpcframes import frame
from tests.support.notes import Note


def lost(side: str, content_type: str, payload: str) -> list[str]:
    """Return what the runtime would lose of an entry with a payload on one side."""
    types = {"request": "sent", "response": "answered"}
    return [found.sentence for found in concerns(entry(**{f"{side}Payload": payload, types[side]: content_type}))]


@pytest.mark.parametrize("depth", [1_500, 2_000])
@pytest.mark.parametrize("side", ["request", "response"])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_its_stack_overflows(depth: int, side: str, begin: str, end: str) -> None:
    """The runtime's stack overflows at 2,000 levels, not at 1,500."""
    text = begin * depth + "1" + end * depth
    assert bool(lost(side, "application/json", text)) == (depth == 2_000)
    assert lost(side, "application/json", render(Source(text.encode(), "application/json"), 10**6).text) == []


CUT = [
    ("application/json", ITEMS.encode()),
    ("application/json; charset=utf-8", ITEMS.encode()),
    ("application/json", ITEMS[9:].encode()),
    ("application/json", b'{"id":1,"blob":"' + b"A" * 100_000 + b'"}'),
    ("application/json", b'{"id":1,"blob":"' + "€".encode() * 40_000 + b'"}'),
    (
        "application/json",
        b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"x":"' + b"A" * 99_999 + b'"}}',
    ),
    ("application/xml", b"<r>" + b"<i><id>1</id></i>" * 6_000 + b"</r>"),
    (
        "multipart/form-data; boundary=XbX",
        b'--XbX\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"A" * 99_999 + b"\r\n--XbX--\r\n",
    ),
    ("application/x-www-form-urlencoded", b"&".join(b"k%d=" % number + b"v" * 500 for number in range(200))),
    ("application/grpc", frame(Note(text="x" * 99_999, number=1).SerializeToString())),
    ("application/grpc", frame(Note(many=["item"] * 20_000).SerializeToString())),
    ("application/grpc", frame(Note(text="hello" * 5).SerializeToString()) * 4_000),
    ("text/event-stream", b'data: {"jsonrpc": "2.0", "id": 1, "result": {"x": "' + b"d" * 99_999 + b'"}}\n\n'),
    ("text/event-stream", b'data: {"id":"c","choices":[{"delta":{"content":"y"}}]}\n\n' * 3_000 + b"data: [DONE]\n\n"),
]


@pytest.mark.parametrize(("content_type", "data"), CUT)
@pytest.mark.parametrize("side", ["request", "response"])
def test_nothing_that_is_rendered_is_lost(content_type: str, data: bytes, side: str) -> None:
    """A plain cut loses the side or the entry; a rendered payload loses nothing."""
    plain = data[:65_536].decode("utf-8", "replace")
    if content_type == "application/grpc":
        plain = b64encode(data[:65_536]).decode()
    assert "urlencoded" in content_type or lost(side, content_type, plain) != []
    found = render(Source(data[:131_072], content_type, cut=len(data) > 131_072, request_id=b"1"), 65_536)
    assert lost(side, found.content_type, found.text) == []
    assert len(found.text.encode()) > 65_000


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape["name"])
def test_the_shapes_that_it_takes(shape: dict[str, Any]) -> None:
    """Rendering gives what was accepted after manual repair; of streams it keeps all messages instead of one."""
    wire, content_type, taken = shape["wire"], shape["content_type"], shape["taken"]
    data = b64decode(wire) if content_type.startswith("application/grpc") else wire.encode()
    found = render(Source(data, content_type, grpc_encoding="gzip", request_id=b"1"), 65_536)
    if taken.startswith(("{", "[")):
        assert json.loads(found.text) == json.loads(taken)
    else:
        head = len(b64decode(taken)) - 5
        assert b64decode(found.text)[5:][:head] == b64decode(taken)[5:]
        assert (len(b64decode(found.text)) > head + 5) == ("stream" in shape["name"])
    assert lost("response", found.content_type, found.text) == []


def test_request_ids_come_from_rendered_payloads() -> None:
    """A cut and closed request keeps its id, if that came before the cut."""
    cut = render(Source(b'{"jsonrpc":"2.0","id":7,"method":"m","params":{"x":"yyyy', "application/json", cut=True), 99)
    assert request_id(cut.text) == b"7"
