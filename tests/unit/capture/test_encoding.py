"""Encoded entries, and entries that are too large."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.akto_api import MAX_ENTRY_BYTES, MAX_RECORD_BYTES, Entry
from akto_mirror.capture.encoding import Draft, encode, fit
from akto_mirror.capture.headers import MAX_HEADERS
from tests.support.built import AKTO, WORKER, build
from tests.support.flows import flow, request, response

BOUNDS = [(False, MAX_RECORD_BYTES), (True, MAX_ENTRY_BYTES)]
JSON = "application/json"


def shown(asked: str, answered: str = "") -> Entry:
    """Return an entry with these payloads."""
    return msgspec.structs.replace(build(AKTO), requestPayload=asked, responsePayload=answered)


def sent(made: Entry, types: tuple[str, str] = ("", ""), *, worker: bool = False) -> dict[str, str]:
    """Return an entry as it arrives, and check that it is not too large."""
    found = fit(Draft(made, types), worker=worker)
    assert len(found.encoded) <= (MAX_ENTRY_BYTES if worker else MAX_RECORD_BYTES)
    assert found.is_shortened == (found.entry != made)
    entry: dict[str, str] = json.loads(found.encoded)
    return entry


def test_the_fields_are_in_the_workers_order() -> None:
    """Fields are in the order of the Worker's object literal; an unknown direction is left out."""
    order = (
        "path,method,requestHeaders,responseHeaders,requestPayload,responsePayload,ip,time,statusCode,type,status,"
        "akto_account_id,akto_vxlan_id,is_pending,source,tag"
    )
    assert ",".join(json.loads(encode(build(WORKER)))) == order
    assert ",".join(json.loads(encode(msgspec.structs.replace(build(AKTO), direction="1")))) == f"{order},direction"


@pytest.mark.parametrize(("worker", "bound"), BOUNDS)
@pytest.mark.parametrize("char", ["\x01", '"', "é", "😀", "a"])
def test_an_entry_over_the_bound_is_cut_to_fit(char: str, worker: bool, bound: int) -> None:
    """Payloads are cut until the entry fits, although escapes make them up to six times as long; other fields stay."""
    made = shown(char * bound, char * 2000)
    shipped = sent(made, worker=worker)
    assert len(encode(msgspec.convert(shipped, Entry))) > 0.9 * bound
    assert shipped["path"] == made.path
    assert made.requestPayload.startswith(shipped["requestPayload"])
    assert len(shipped["requestPayload"]) > 1000


@pytest.mark.parametrize(("worker", "bound"), BOUNDS)
def test_base64_stays_base64(worker: bool, bound: int) -> None:
    """A gRPC payload that was cut is still valid base64."""
    shipped = sent(shown("QUJD" * (bound // 4), "QUJD"), ("application/grpc", ""), worker=worker)
    assert set(base64.b64decode(shipped["requestPayload"], validate=True)) == set(b"ABC")


def test_payloads_are_shortened_by_repair() -> None:
    """Both payloads are still valid after they were cut, whatever their escapes cost."""
    asked = json.dumps([{"number": number, "text": '"\\\n'} for number in range(40_000)])
    answered = "<r>" + "<i>1</i>" * 100_000 + "</r>"
    shipped = sent(shown(asked, answered), (JSON, "text/xml"))
    items = json.loads(shipped["requestPayload"])
    assert items[:-1] == json.loads(asked)[: len(items) - 1]
    assert shipped["responsePayload"].endswith("</r>")
    assert sum(map(len, shipped.values())) > 0.8 * MAX_RECORD_BYTES / 1.2


@pytest.mark.parametrize(("worker", "bound"), BOUNDS)
@pytest.mark.parametrize("turned", [False, True])
def test_escapes_in_one_half(turned: bool, worker: bool, bound: int) -> None:
    """A payload with all its escapes at one end still fits."""
    halves = ["\x01" * bound, "a" * bound]
    assert sent(shown("".join(reversed(halves) if turned else halves)), worker=worker)["requestPayload"]


@pytest.mark.parametrize(("worker", "bound"), BOUNDS)
def test_one_that_fits_is_not_touched(worker: bool, bound: int) -> None:
    """An entry of exactly the bound is not changed."""
    whole = shown("a" * (bound - len(encode(shown("")))))
    assert len(encode(whole)) == bound
    assert sent(whole, worker=worker)["requestPayload"] == whole.requestPayload
    longer = msgspec.structs.replace(whole, requestPayload=whole.requestPayload + "a")
    assert len(sent(longer, worker=worker)["requestPayload"]) < len(whole.requestPayload)


SHORTER = 8192 * MAX_RECORD_BYTES // MAX_ENTRY_BYTES


@pytest.mark.parametrize(
    ("byte", "worker", "longest"),
    [*((byte, False, SHORTER) for byte in (b'"', b"\\", b"\x01", b"\xff", b"a")), (b"\x01", True, 8192)],
)
def test_whatever_is_too_long_is_cut(byte: bytes, worker: bool, longest: int) -> None:
    """Headers, path, method and reason of megabytes are cut until the entry fits."""
    long = byte * 2_000_000
    fields = [(b"a", long), (long, b"b"), *((b"x%d" % number, byte * 9000) for number in range(100))]
    made = build(AKTO, flow(request(long, b"/" + long, fields=fields), response(reason=long, fields=fields)))
    assert len(made.requestHeaders) + len(made.responseHeaders) > MAX_HEADERS
    shipped = sent(shown_with(made, "x" * 5_000_000), worker=worker)
    assert json.loads(shipped["requestHeaders"])["a"] == json.loads(made.requestHeaders)["a"][:longest]
    assert shipped["requestPayload"]


def shown_with(made: Entry, payload: str) -> Entry:
    """Return a copy of the entry with another request payload."""
    return msgspec.structs.replace(made, requestPayload=payload)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_text_survives(text: str) -> None:
    """Any text is the same after encoding and decoding."""
    assert sent(shown(text, text))["responsePayload"] == text
