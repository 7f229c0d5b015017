"""A secret under a secret name, wrapped in up to three formats, is hidden, and hostile text takes linear time."""

from __future__ import annotations

import html
import json
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.capture.redaction import Redaction, payload

HIDDEN = Redaction.of([], ["common"])
SECRET = "hunter2"

NAMES = st.sampled_from(
    ["password", "accessToken", "user[secret]", "X-Api-Key", "db_password", "clientSecret", "sessionid"]
)
PLAIN_NAMES = st.sampled_from(["password", "accessToken", "apiKey", "db_password", "sessionid"])
NOISE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)

# Formats in which a name and the secret are written.
FIRST: dict[str, Callable[[str], str]] = {
    "JSON": lambda name: json.dumps({"a": 1, name: SECRET}),
    "JSON of a list": lambda name: json.dumps([{name: [1, {"x": SECRET}]}], indent=1),
    "pair": lambda name: json.dumps({"name": name, "value": SECRET}),
    "form": lambda name: f"a=1&{quote(name)}={SECRET}",
    "XML": lambda name: f"<a><b>1</b><{name}>{SECRET}</{name}></a>",
    "attribute": lambda name: f'<a {name}="{SECRET}"/>',
    "YAML": lambda name: f"a: 1\n{name}: {SECRET}\nb: 2",
    "INI": lambda name: f"[a]\n{name} = {SECRET}\n",
    "GraphQL": lambda name: f'mutation {{ login(a: 1, {name}: "{SECRET}") {{ ok }} }}',
    "address": lambda name: f"https://host/a?b=1&{quote(name)}={SECRET}#c",
}
NAMED = {"XML", "attribute", "YAML", "INI", "GraphQL"}

# Formats in which a text is wrapped.
WRAPS: dict[str, Callable[[str], str]] = {
    "JSON": lambda text: json.dumps({"id": 1, "body": text}),
    "JSON list": lambda text: json.dumps(["x", text], ensure_ascii=False),
    "form": lambda text: f"a=1&data={quote_plus(text)}",
    "XML": lambda text: f"<a><b>{html.escape(text)}</b></a>",
    "CDATA": lambda text: f"<a><![CDATA[{text}]]></a>",
    "attribute": lambda text: f'<a data="{html.escape(text)}"/>',
    "event": lambda text: f"event: x\ndata: {json.dumps({'d': text})}\n\n",
    "base64": lambda text: json.dumps({"b": b64encode(json.dumps({"c": text}).encode()).decode()}),
    "JSON lines": lambda text: json.dumps({"n": 1}) + "\n" + json.dumps({"d": text}),
}


def shown(text: str) -> str:
    """Return a text, and the decoded base64 in it."""
    found = [text]
    for piece in text.replace("\\", "").split('"'):
        try:
            found.append(b64decode(piece, validate=True).decode("utf-8", "replace"))
        except ValueError:
            continue
    return "\n".join(found)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(FIRST)), st.data(), st.lists(st.sampled_from(sorted(WRAPS)), max_size=3))
def test_wrapped_secrets(first: str, data: st.DataObject, wraps: list[str]) -> None:
    """The secret is hidden in any combination of formats."""
    text = FIRST[first](data.draw(PLAIN_NAMES if first in NAMED else NAMES))
    for wrap in wraps:
        text = WRAPS["XML" if wrap == "CDATA" and "]]>" in text else wrap](text)
    assert SECRET not in shown(payload(text, "", HIDDEN))


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(NOISE, NOISE | st.integers() | st.booleans(), max_size=5), st.sampled_from(["", "text/plain"]))
def test_what_holds_no_secret_stays(document: dict[str, object], content_type: str) -> None:
    """Text without a secret name is not changed."""
    text = json.dumps({f"k{number}": value for number, value in enumerate(document.values())}, ensure_ascii=False)
    assert payload(text, content_type, HIDDEN) == text or "%" in text or "://" in text or "&" in text


UNITS = [
    '"',
    "\\",
    '"a',
    '{"token":',
    "[",
    "{",
    '"token":"',
    "&a",
    "=",
    "<token>",
    "<a ",
    "<!--",
    "a='",
    "token=",
    "%70",
]
UNITS += [
    "token: ",
    "Bearer abcdefgh1 ",
    "://a:b@",
    "eyJhIjoxfQeyJh",
    "\ntoken:",
    ";pin=1",
    "&%7B",
    "<![CDATA[",
    "--x\r\n",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("before", ["", '{"token":', '{"body":"{\\"token\\":[', "<token>", "--x\r\n"])
def test_hostile_text_takes_linear_time(unit: str, before: str) -> None:
    """160 KB take tens of milliseconds, in which a quadratic search would take minutes."""
    started = time.process_time()
    for content_type in ("text/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        payload(before + unit * (160_000 // len(unit)), content_type, HIDDEN)
    assert time.process_time() - started < 3
