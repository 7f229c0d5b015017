"""JSON that is read as a whole, because names may stand beside their values."""

from __future__ import annotations

import json

import pytest

from akto_mirror.capture.redaction import json_walk
from tests.unit.capture.redaction.samples import SECRET, hidden

JSON = "application/json"


@pytest.mark.parametrize("name", ["name", "key", "Name", "paramName", "field_name", "@key", "settingName", "type"])
@pytest.mark.parametrize("value", ["value", "stringValue", "Value", "field_value", "valueString"])
def test_pairs(name: str, value: str) -> None:
    """Pairs of name and value are found in any order, with other members between them."""
    for members in ({name: "password", "on": True, value: SECRET}, {value: SECRET, name: "password"}):
        assert SECRET not in hidden(json.dumps([members]), JSON)
    assert SECRET not in hidden(json.dumps({name: "token", value: {"a": [SECRET]}}), JSON)


@pytest.mark.parametrize("value", ["content", "data", "#text", "$t", "default", "answer"])
def test_what_holds_a_value(value: str) -> None:
    """Other members hold a value only beside a name, not beside a type."""
    assert SECRET not in hidden(json.dumps({"name": "password", value: SECRET}), JSON)
    assert SECRET in hidden(json.dumps({"type": "token", value: SECRET}), JSON)


@pytest.mark.parametrize(
    "text",
    [
        '["authorization","Bearer %s"]',
        '[["a","b"],["x-api-key","%s"]]',
        '["host","x","authorization","%s"]',
        '["set-cookie",["a=%s"]]',
    ],
)
def test_arrays(text: str) -> None:
    """Values that follow their names in an array are hidden."""
    assert SECRET not in hidden(text, JSON)


@pytest.mark.parametrize("path", ["/password", "/user/accessToken"])
def test_patches(path: str) -> None:
    """The path of a JSON Patch (RFC 6902) names its value."""
    assert SECRET not in hidden(json.dumps([{"op": "add", "path": path, "value": SECRET}]), JSON)
    assert SECRET in hidden(json.dumps([{"op": "add", "path": "/author", "value": SECRET}]), JSON)


def test_numbers_behind_names() -> None:
    """Hidden numbers become strings, so that the result stays JSON."""
    assert json.loads(hidden('["password", 123, "b"]', JSON)) == ["password", "[redacted]", "b"]


@pytest.mark.parametrize("text", [b"{}", b'{"a":1}\n{"b":2}', b'{"a":[1,{"b":"c', b'"a"'])
def test_what_is_readable(text: bytes) -> None:
    """One value, several values and a prefix of one are readable."""
    assert json_walk.is_readable(text)
    assert not json_walk.is_readable(b"{'a':1}")


MANY = json_walk.MOST_ITEMS


@pytest.mark.parametrize(
    ("before", "unit", "behind"),
    [
        ('[["id","token"],', "[],", f'["{SECRET}"]]'),
        ('{"a":["token",1],"b":[', '{"x":1},', f'"{SECRET}"],"password":"{SECRET}"}}'),
        ('{"a":["token",1],"b":{', '"x":1,', f'"y":"{SECRET}"}}}}'),
        ('["token",[', "{},", f'"{SECRET}"]]'),
        ('{"a":["token",1],"b":[', '"\\u0061",', f'"{SECRET}"]}}'),
        ('{"a":["token",1],"b":{', '"\\u0061":1,', f'"y":"{SECRET}"}}}}'),
        ('{"b":[', '"token=a",', f'"{SECRET}"]}}'),
        (f'{{"value":"{SECRET}","a":["token",1],"b":[', "{},", '1],"name":"token"}'),
        ('{"a":["token",1],"rows":[', f'["{SECRET}",2],', '[1]],"columns":["password","id"]}'),
        (f'{{"a":["token",1],"rows":[["{SECRET}"]],"b":[', "{},", '[1]],"columns":["password","id"]}'),
        (f'{{"a":["token",1],"rows":[["{SECRET}",', "{},", '1]],"columns":["password","id"]}'),
        (f'{{"a":["id","token"],"b":{{"rows":[["{SECRET}",1],', "[],", '[1]],"columns":["password","id"]}}'),
        (f'{{"a":["token",1],"b":{{"value":{{"x":"{SECRET}","y":[', "{},", '1]},"name":"token"}}'),
        (f'{{"columns":["id","token"],"rows":[[1,{{"x":"{SECRET}","y":[', "{},", "1]}]]}"),
    ],
)
def test_what_follows_very_many_is_hidden(before: str, unit: str, behind: str) -> None:
    """Text after the limit of items is hidden, as well as values whose names may follow; the result stays JSON."""
    found = hidden(before + unit * MANY + behind)
    assert SECRET not in found
    assert "[redacted]" in json.dumps(json.loads(found))
    assert len(found) < len(before + unit * MANY) + 80


def test_lines_of_very_many() -> None:
    """Each line is read until the limit of items; the rest is hidden."""
    line = '["token","x"]\n'
    *whole, last = hidden(line * MANY).splitlines()
    assert set(whole) == {'["token","[redacted]"]'}
    assert "[redacted]" in last


@pytest.mark.parametrize("head", ['{"a":1,', '{"\\u0061":1,\n', '[{"a":[1,2]},{', '{"token":"x",'])
@pytest.mark.parametrize(
    "tail",
    [
        "password=%s",
        "&password=%s",
        "<password>%s</password>",
        "'password=%s",
        "password:%s",
        "b=1&password=%s&c",
        "curl://u:%s@h",
        '"a b" password=%s',
    ],
)
def test_what_is_no_json_behind_json(head: str, tail: str) -> None:
    """Text after JSON that is not JSON is searched too."""
    assert SECRET not in hidden(head + tail % SECRET, JSON)
