"""Bodies that HAR files contain as parameters only."""

from __future__ import annotations

import json
from email import message_from_bytes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.replay.har import params
from tests.support.har import read

PAIRS = [{"name": "user", "value": "ann b"}, {"name": "pin", "value": "1&2"}]


@pytest.mark.parametrize(
    "kind", ["application/x-www-form-urlencoded", "Application/X-WWW-Form-Urlencoded; charset=UTF-8", ""]
)
def test_forms(kind: str) -> None:
    """Forms are rebuilt for the type in any case, or without one."""
    assert params.body(PAIRS, kind) == b"user=ann+b&pin=1%262"


@pytest.mark.parametrize("place", ["header", "mimeType"])
@pytest.mark.parametrize("text", [None, "", "absent"])
def test_the_type_may_stand_in_either_place(place: str, text: str | None) -> None:
    """The type is read from `mimeType` or the header, and an empty text counts as missing."""
    kind = "Application/X-Www-Form-Urlencoded"
    posted: dict[str, Any] = {"params": PAIRS} | ({} if text == "absent" else {"text": text})
    headers = [{"name": "content-TYPE", "value": kind}] if place == "header" else []
    posted |= {"mimeType": kind} if place == "mimeType" else {}
    flow = read({"method": "POST", "headers": headers, "postData": posted})
    assert flow.request.raw_content == b"user=ann+b&pin=1%262"
    assert flow.request.headers["content-type"] == kind


def taken_apart(body: Any) -> list[dict[str, Any]]:
    """Return a JSON body's parameters, as chrome-har of sitespeed.io writes them."""
    members = body if isinstance(body, dict) else {str(number): item for number, item in enumerate(body)}
    pairs = [(name, value) for name, item in members.items() for value in (item if isinstance(item, list) else [item])]
    return [{"name": name, "value": value} for name, value in pairs]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "VISIT", "payload": {"url": "/d", "n": 1}},
        {"tags": ["a", "b", 3], "on": True, "none": None, "half": 0.5, "text": "ü"},
        [{"a": 1}, {"b": [1]}, "x"],
        {"grid": {"rows": [[1, 2], [3, 4]]}},
    ],
)
@pytest.mark.parametrize("kind", ["application/json", "Application/Vnd.Api+JSON; charset=utf-8"])
def test_json(body: Any, kind: str) -> None:
    """Members keep their types, and lists are rebuilt."""
    made = params.body(taken_apart(body), kind)
    assert made is not None
    assert json.loads(made) == body
    assert made.decode() == json.dumps(body, ensure_ascii=False, separators=(",", ":"))


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=xYz", 'Multipart/Form-Data; charset=utf-8; BOUNDARY="xYz"']
)
def test_multipart(kind: str) -> None:
    """Parts have the header's boundary, and names and types of files, as browsers write them."""
    given = [{"name": 'a"b', "value": "1\r\n2"}, {"name": "f", "fileName": "ü.json", "contentType": "application/json"}]
    assert params.body([given[0], given[1] | {"value": "{}"}], kind) == (
        b'--xYz\r\nContent-Disposition: form-data; name="a%22b"\r\n\r\n1\r\n2\r\n'
        b'--xYz\r\nContent-Disposition: form-data; name="f"; filename="\xc3\xbc.json"\r\n'
        b"Content-Type: application/json\r\n\r\n{}\r\n"
        b"--xYz--\r\n"
    )


@given(
    st.dictionaries(st.text("abc", min_size=1), st.text("xyz \r\n-", max_size=9).filter(lambda text: "\r" not in text))
)
def test_multipart_is_what_others_read(given: dict[str, str]) -> None:
    """Python's own parser reads the same names and values."""
    given = given or {"a": ""}
    made = params.body(
        [{"name": name, "value": value} for name, value in given.items()], "multipart/form-data; boundary=q"
    )
    assert made is not None
    parts: Any = message_from_bytes(b"Content-Type: multipart/form-data; boundary=q\r\n\r\n" + made).get_payload()
    found = {part.get_param("name", header="content-disposition"): part.get_payload() for part in parts}
    assert found == given


@pytest.mark.parametrize("place", ["header", "mimeType"])
def test_multipart_without_a_boundary_gets_one(place: str) -> None:
    """Without a boundary, as written by HTTPSnippet, body and header get a new one."""
    kind = "multipart/form-data"
    posted: dict[str, Any] = {"params": PAIRS} | ({"mimeType": kind} if place == "mimeType" else {})
    headers = [{"name": "Content-Type", "value": kind}] if place == "header" else []
    flow = read({"method": "POST", "headers": headers, "postData": posted})
    mark = flow.request.headers["content-type"].partition("boundary=")[2]
    assert mark
    assert (flow.request.raw_content or b"").startswith(f"--{mark}\r\n".encode())


def test_multipart_takes_the_boundary_of_the_header() -> None:
    """If the header and `mimeType` differ, the header's boundary is used."""
    posted = {"mimeType": "multipart/form-data; boundary=other", "params": PAIRS}
    headers = [{"name": "Content-Type", "value": "multipart/form-data; boundary=sent"}]
    flow = read({"method": "POST", "headers": headers, "postData": posted})
    assert (flow.request.raw_content or b"").startswith(b"--sent\r\n")


def test_plain_text_and_what_has_no_such_body() -> None:
    """`text/plain` forms are lines (HTML standard); types that no form has give no body."""
    assert params.body(PAIRS, "text/plain") == b"user=ann b\r\npin=1&2\r\n"
    assert params.body(PAIRS, "application/grpc") is None


@pytest.mark.parametrize("params_of", [PAIRS, {"user": "ann b", "pin": "1&2"}, [["user", "ann b"], ["pin", "1&2"]]])
def test_parameters_of_all_makers(params_of: Any) -> None:
    """Parameters are read as objects, as one object, and as lists of two."""
    assert params.body(params_of, "") == b"user=ann+b&pin=1%262"


def test_the_text_counts_where_there_is_one() -> None:
    """The text takes precedence over parameters; Firefox writes both."""
    posted = {"mimeType": "application/x-www-form-urlencoded", "text": "a=%20", "params": [{"name": "a", "value": " "}]}
    assert read({"method": "POST", "postData": posted}).request.raw_content == b"a=%20"


@pytest.mark.parametrize(
    ("text", "body"),
    [({"a": 1}, '{"a":1}'), ([1, "ü"], '[1,"ü"]'), (True, "true"), (7, "7"), (0.5, "0.5"), ({"a": None}, '{"a":null}')],
)
def test_a_text_of_another_type_is_its_json(text: object, body: str) -> None:
    """A text of another type is written as JSON, in requests and responses."""
    flow = read(
        {"method": "POST", "postData": {"mimeType": "application/json", "text": text}}, {"content": {"text": text}}
    )
    assert flow.response
    assert (flow.request.raw_content, flow.response.raw_content) == (body.encode(), body.encode())
