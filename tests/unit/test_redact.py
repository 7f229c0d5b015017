"""Redaction: secrets leave, everything else stays as it was."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror import redact
from akto_mirror.redact import MASK, Redaction

HIDDEN = Redaction(redact.header_names(["common", "X-Mine"]), redact.field_names(["common", "PIN"]))
FORM = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password":"a\\"b","x":1}', '{"password":"[redacted]","x":1}'),
        ('{"Token" : 12.5e3 , "x":1}', '{"Token" : "[redacted]" , "x":1}'),
        ('{"token":{"a":["}",{}]},"x":[1]}', '{"token":"[redacted]","x":[1]}'),
        ('{"token":null}\n{"pin":true}', '{"token":"[redacted]"}\n{"pin":"[redacted]"}'),
        ('data: {"secret":"s"}\n\ndata: {"x":"y"}', 'data: {"secret":"[redacted]"}\n\ndata: {"x":"y"}'),
        ('{"pass\\u0077ord":"s"}', '{"pass\\u0077ord":"[redacted]"}'),
        ('{"x":"token\\":\\"kept"}', '{"x":"token\\":\\"kept"}'),
        ('{"x":"password"}', '{"x":"password"}'),
        ('{"token":"cut of', '{"token":"[redacted]"'),
        ('{"token":"cut\\', '{"token":"[redacted]"'),
        ('{"token":[1,{"a":"cut', '{"token":"[redacted]"'),
        ('{"token":', '{"token":'),
        ("", ""),
    ],
)
def test_json(text: str, expected: str) -> None:
    """Line 11: values of named keys are replaced, whatever their type and wherever the text ends."""
    assert redact.payload(text, "application/json", HIDDEN) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("user=a&password=b", "user=a&password=[redacted]"),
        ("user%5Bpass%77ord%5D=b&x", "user%5Bpass%77ord%5D=[redacted]&x"),
        ("PIN=1=2&pin", "PIN=[redacted]&pin"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    """Line 11: fields of forms and parameters of queries are found under any spelling that a server would accept."""
    assert redact.payload(text, FORM, HIDDEN) == expected
    assert redact.path(f"/login?{text}", HIDDEN) == f"/login?{expected}"


def test_multipart() -> None:
    """Line 11: a part of a multipart form is replaced by its name, the others stay."""
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\nContent-Type: text/plain\r\n\r\n{}\r\n'
    text = part.format("secret", "s1\r\ns2") + part.format("note", "kept") + "--b--"
    expected = part.format("secret", MASK) + part.format("note", "kept") + "--b--"
    assert redact.payload(text, "multipart/form-data; boundary=b", HIDDEN) == expected


def test_headers() -> None:
    """Line 11: the preset and the names beside it hide headers; nothing named, nothing changed."""
    values = {"authorization": "Bearer x", "x-mine": "y", "accept": "z"}
    assert redact.headers(values, HIDDEN) == {"authorization": MASK, "x-mine": MASK, "accept": "z"}
    assert redact.headers(values, Redaction()) is values


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["token", "x", 'a"b', "é"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def hidden(value: object) -> object:
    """Redact a parsed document."""
    if isinstance(value, dict):
        return {name: MASK if name == "token" else hidden(inner) for name, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_any_json_is_redacted_as_a_parser_would(document: object, ascii_only: bool, indent: int | None) -> None:
    """Line 11: searching the text comes to the same as parsing, redacting and writing."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert json.loads(redact.payload(text, "application/json", HIDDEN)) == hidden(document)


@given(JSON, st.integers(0, 300))
def test_a_cut_never_shows_a_secret(document: object, cut: int) -> None:
    """Line 11: however a document is cut off, no value of a named key is left in it."""
    text = json.dumps({"token": "SECRET", "x": document, "pin": ["SECRET"]})[:cut]
    assert "SECRET" not in redact.payload(text, "application/json", HIDDEN)


@pytest.mark.parametrize(
    "unit", ['"', "\\", '"a', '{"token":', "[", 'name="', '"token":"', '"\\', "\n--", "&a", '"\\"', '"a"   ', "="]
)
@pytest.mark.parametrize("content_type", ["application/json", FORM, "multipart/form-data"])
def test_hostile_text_takes_linear_time(unit: str, content_type: str) -> None:
    """Line 11: twice the text takes about twice as long; quadratic searching would take minutes for this."""
    started = time.process_time()
    redact.payload(unit * (1_000_000 // len(unit)), content_type, HIDDEN)
    assert time.process_time() - started < 10
