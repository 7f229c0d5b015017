"""Redaction: secrets are replaced, everything else is unchanged."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture import redaction
from akto_mirror.capture.redaction import Redaction

MASK = "[redacted]"
HIDDEN = Redaction.of(["common", "X-Mine"], ["common", "PIN"])
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
    assert redaction.payload(text, "application/json", HIDDEN) == expected


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
    assert redaction.payload(text, FORM, HIDDEN) == expected
    assert redaction.path(f"/login?{text}", HIDDEN) == f"/login?{expected}"


@pytest.mark.parametrize("content_type", ["", FORM, "application/json;charset=x-www-form-urlencoded", "text/html", "x"])
@pytest.mark.parametrize("before", ["", "\ufeff", " \r\n"])
def test_json_is_found_under_any_type(content_type: str, before: str) -> None:
    """JSON is found under any content type: `curl -d` sends it as a form."""
    text = before + '{"password":"a&b=c;d","x":1}'
    assert redaction.payload(text, content_type, HIDDEN) == before + '{"password":"[redacted]","x":1}'


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain"])
def test_a_form_is_found_under_any_type(content_type: str) -> None:
    """A form is found under any content type."""
    assert redaction.payload("user=a&password=S", content_type, HIDDEN) == "user=a&password=[redacted]"
    assert redaction.payload("user=a\r\npassword=S\r\n", content_type, HIDDEN) == "user=a\r\npassword=[redacted]\r\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('5" disk\n{"password":"S","x":1}', '5" disk\n{"password":"[redacted]","x":1}'),
        ('5" disk {"password":"S"}', '5" disk {"password":"[redacted]"}'),
        ('data: 5"\n\ndata: {"password":\ndata: "S"}', 'data: 5"\n\ndata: {"password":\ndata: "[redacted]"}'),
        ('{"password":"cut\n{"password":"S"}', '{"password":"[redacted]"password":"[redacted]"}'),
        ('{/*"*/"password"/**/:/*:*/"S"}', '{/*"*/"password"/**/:/*:*/"[redacted]"}'),
        ('{"password"\ufeff: "S"}', '{"password"\ufeff: "[redacted]"}'),
        ("{'password':'S\"S','x':'y'}", "{'password':'[redacted]','x':'y'}"),
        ("{'token':{'a':'}','b':'S'},'x':1}", "{'token':'[redacted]','x':1}"),
        (
            '{"password": b"S", "token":1 "pin":"S"}',
            '{"password": b"[redacted]", "token":"[redacted]" "pin":"[redacted]"}',
        ),
        ('password: "S"\nx: y', 'password: "[redacted]"\nx: y'),
        ("- password: S, S\n  x: y", "- password: [redacted]\n  x: y"),
        ("{x:1, password:S, y:2}", "{x:1, password:[redacted], y:2}"),
        ("a:\n  password: S\n  x: y", "a:\n  password: [redacted]\n  x: y"),
        ("a:\n\n  b:\n    password: S", "a:\n\n  b:\n    password: [redacted]"),
        ('login(password: "S", x: 1)', 'login(password: "[redacted]", x: 1)'),
        ('{"query":"{ login(\\n  password: \\"S\\") }"}', '{"query":"{ login(\\n  password: \\"[redacted]\\") }"}'),
        ('{"token":{"a":5"\n,"b":"}S"},"c":1}', '{"token":"[redacted]","c":1}'),
    ],
)
def test_what_is_nearly_json(text: str, expected: str) -> None:
    """Broken lines, comments, single quotes and bare keys do not prevent redaction."""
    assert redaction.payload(text, "application/json", HIDDEN) == expected


@pytest.mark.parametrize(
    "text", ['{"x":"Invalid token: kept"}', '{"x":"say \\"token\\", kept"}', "not a password: kept"]
)
def test_prose_stays(text: str) -> None:
    """A word in a sentence is not taken for a field's name."""
    assert redaction.payload(text, "application/json", HIDDEN) == text


@pytest.mark.parametrize(
    "name",
    ["accessToken", "newPassword", "password_confirmation", "X-API-Key", "Client-Secret", "TOKEN", "p_i-n", "idToken"],
)
def test_names_are_compared_without_case_and_separators(name: str) -> None:
    """A name matches all its spellings, in the preset and in addition to it."""
    assert redaction.payload(f'{{"{name}":1}}', "", HIDDEN) == f'{{"{name}":"[redacted]"}}'
    assert redaction.payload(f"{name}=1", FORM, HIDDEN) == f"{name}=[redacted]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("password[]=S&x=1", "password[]=[redacted]&x=1"),
        ("user[password][0]=S", "user[password][0]=[redacted]"),
        ("user.password=S", "user.password=[redacted]"),
        ("a=1;password=S;S&x", "a=1;password=[redacted]&x"),
        ("a=https://x/?token=S&b=1", "a=https://x/?token=[redacted]&b=1"),
        ("a=https://x/?b=c+d#token=S", "a=https://x/?b=c+d#token=[redacted]"),
        ("a=https%3A%2F%2Fx%2F%3Fb%3D1%26token%3DS", "a=https%3A%2F%2Fx%2F%3Fb%3D1%26token%3D%5Bredacted%5D"),
        ("a=b+c%3F&d=%3Fe%3Df", "a=b+c%3F&d=%3Fe%3Df"),
        ("a=%7B%22pin%22%3A%22S%22%7D&b=%7B%7D", "a=%7B%22pin%22%3A%22%5Bredacted%5D%22%7D&b=%7B%7D"),
    ],
)
def test_spellings_of_forms(text: str, expected: str) -> None:
    """Lists, pairs after semicolons and JSON in a field are read as servers read them."""
    assert redaction.payload(text, FORM, HIDDEN) == expected
    assert redaction.path(f"/x?{text}", HIDDEN) == f"/x?{expected}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a><password>S</password><b>k</b></a>", "<a><password>[redacted]</password><b>k</b></a>"),
        ("<n:pin x='1'><i>S</i></n:pin>", "<n:pin x='1'>[redacted]</n:pin>"),
        ("<token/><b>k</b>", "<token/><b>k</b>"),
        ("<a password = \"S\" n:token='S' k='k'/>", "<a password = \"[redacted]\" n:token='[redacted]' k='k'/>"),
        ("<a><token>cut S", "<a><token>[redacted]"),
    ],
)
def test_xml(text: str, expected: str) -> None:
    """Elements and attributes are hidden by their name, whatever their namespace."""
    assert redaction.payload(text, "", HIDDEN) == expected
    assert redaction.payload(text, "text/xml", HIDDEN) == expected


def test_multipart() -> None:
    """Line 11: the content of a multipart form's part is replaced if its name is secret, and other parts stay."""
    part = '--b\r\nContent-Disposition: form-data; name="{}"\r\nContent-Type: text/plain\r\n\r\n{}\r\n'
    text = part.format("secret", "s1\r\ns2") + part.format("note", "kept") + "--b--"
    expected = part.format("secret", MASK) + part.format("note", "kept") + "--b--"
    assert redaction.payload(text, "multipart/form-data; boundary=b", HIDDEN) == expected


@pytest.mark.parametrize(
    "name", ["NAME=password", 'name = "password"', "name*=utf-8''passwor%64", 'filename="x"; name="user[password]"']
)
@pytest.mark.parametrize("content_type", ['multipart/form-data; BOUNDARY="b c"', "multipart/form-data", ""])
def test_spellings_of_multipart(name: str, content_type: str) -> None:
    """A part ends at the boundary, not at a line like one, and its name is read as RFC 7578 and 8187 spell it."""
    head = f"--b c\r\nContent-Disposition: form-data; {name}\r\n\r\n"
    rest = '\r\n--b c\r\nContent-Disposition: form-data; filename="password"; name="x"\r\n\r\nkept\r\n--b c--\r\n'
    assert redaction.payload(head + "S\r\n--x\r\nS" + rest, content_type, HIDDEN) == head + MASK + rest


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://x/?a=1&password=S", "https://x/?a=1&password=[redacted]"),
        ("/cb#access_token=S&b=1", "/cb#access_token=[redacted]&b=1"),
        ("<https://x/?token=S>; rel=next", "<https://x/?token=[redacted]>; rel=next"),
    ],
)
def test_addresses_in_headers(value: str, expected: str) -> None:
    """A query is hidden in `referer` and `location` too; cookies are left to `akto_redact_headers`."""
    assert redaction.headers({"referer": value}, HIDDEN) == {"referer": expected}


def test_parameters_of_path_segments() -> None:
    """`;name=value` in a path is a parameter too (RFC 3986, section 3.3), and ends with its segment."""
    assert redaction.path("/a;token=S;b=1/c?x", HIDDEN) == "/a;token=[redacted];b=1/c?x"
    assert redaction.path("/a;b=1/token=1", HIDDEN) == "/a;b=1/token=[redacted]"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/token/ab12cd/x", "/token/[redacted]/x"),
        ("/v1/reset-password/7Gh2kQ", "/v1/reset-password/[redacted]"),
        ("/api_key/a1-b2_c3", "/api_key/[redacted]"),
    ],
)
def test_short_tokens_behind_their_names(target: str, expected: str) -> None:
    """A short segment of letters and digits is hidden after a segment that names a secret."""
    assert redaction.path(target, HIDDEN) == expected


@pytest.mark.parametrize(
    "target",
    [
        "/oauth/token/oauth2",
        "/token/refresh",
        "/token/v1",
        "/token/v2/x",
        "/password/2026-01-01",
        "/tokens/ab12cd",
        "/auth/ab12cd",
    ],
)
def test_words_behind_names_of_secrets(target: str) -> None:
    """Actions, versions, protocols, dates, and words after other names stay."""
    assert redaction.path(target, HIDDEN) == target


def test_addresses_in_payloads() -> None:
    """A query is hidden in any address, and the JSON around it stays valid."""
    text = '{"next":"https://x/?a=1&token=S","form":"token=S&x","go":"x\\u0026pin=S\\u0026y"}'
    expected = '{"next":"https://x/?a=1&token=[redacted]","form":"token=[redacted]&x","go":"x&pin=[redacted]&y"}'
    assert redaction.payload(text, "application/json", HIDDEN) == expected


def test_headers() -> None:
    """Line 11: the preset and additional names hide headers; without names nothing changes."""
    values = {"authorization": "Bearer x", "x-mine": "y", "accept": "z"}
    assert redaction.headers(values, HIDDEN) == {"authorization": f"Bearer {MASK}", "x-mine": MASK, "accept": "z"}
    assert redaction.headers(values, Redaction()) == values


# Without names of secrets: such a name as a value would make a pair with a text beside it, which is hidden too.
PLAIN = st.text().filter(lambda text: not HIDDEN.gate.places(text.encode()))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | PLAIN,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["token", "x", 'a"b', "é"]), inner, max_size=4)
    ),
    max_leaves=20,
)


def hidden(value: object) -> object:
    """Return a parsed document redacted."""
    if isinstance(value, dict):
        return {name: MASK if name == "token" else hidden(inner) for name, inner in value.items()}
    return [hidden(inner) for inner in value] if isinstance(value, list) else value


@given(JSON, st.booleans(), st.sampled_from([None, 2]))
def test_any_json_is_redacted_as_a_parser_would(document: object, ascii_only: bool, indent: int | None) -> None:
    """Line 11: redaction in place gives the same result as parsing, redacting and writing."""
    text = json.dumps(document, ensure_ascii=ascii_only, indent=indent)
    assert json.loads(redaction.payload(text, "application/json", HIDDEN)) == hidden(document)


@given(JSON, st.integers(1, 3))
def test_json_in_strings_is_redacted_as_a_parser_would(document: object, depth: int) -> None:
    """JSON inside a JSON string is redacted too, and stays valid at every depth."""
    text = json.dumps({"token": document, "x": document})
    for _ in range(depth):
        text = json.dumps({"body": text})
    text = redaction.payload(text, "application/json", HIDDEN)
    for _ in range(depth):
        text = json.loads(text)["body"]
    assert json.loads(text) == {"token": MASK, "x": hidden(document)}


@given(JSON, st.integers(0, 300), st.integers(0, 2))
def test_a_cut_never_shows_a_secret(document: object, cut: int, depth: int) -> None:
    """Line 11: a document that is cut anywhere shows no value of a named key."""
    text = json.dumps({"token": "SECRET", "x": document, "pin": ["SECRET", {"x": 'SECRET"}'}]})
    for _ in range(depth):
        text = json.dumps([text])
    assert "SECRET" not in redaction.payload(text[:cut], "application/json", HIDDEN)
