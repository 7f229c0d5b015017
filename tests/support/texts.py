"""Texts of each format for hypothesis, and parsers that are strict about it."""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl
from xml.etree import ElementTree as ET

from hypothesis import strategies as st

from akto_mirror.capture.payload.leaves import Place

BLANKS = st.sampled_from(["", "", " ", "\n", "\r\n\t"])
CHARACTERS = st.text(
    st.one_of(st.sampled_from('"\\{}[],: \n<>&='), st.characters(exclude_categories=["Cs"])), max_size=8
)
NUMBERS = ["0", "-0", "1.0e5", "1E+2", "-12.50", "12345678901234567890123", "1e-7", "7"]
STRINGS = st.builds(lambda text, plain: json.dumps(text, ensure_ascii=not plain), CHARACTERS, st.booleans())
SCALARS = st.one_of(st.sampled_from([*NUMBERS, "true", "false", "null"]), STRINGS)


def _array(items: list[str], blank: str) -> str:
    return "[" + blank + f"{blank},{blank}".join(items) + blank + "]"


def _object(members: list[tuple[str, str]], blank: str) -> str:
    return "{" + blank + f"{blank},".join(f"{name}{blank}:{blank}{value}" for name, value in members) + blank + "}"


# Any JSON, including duplicate names and odd spellings.
json_texts = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.builds(_array, st.lists(inner, max_size=5), BLANKS),
        st.builds(_object, st.lists(st.tuples(STRINGS, inner), max_size=5), BLANKS),
    ),
    max_leaves=40,
)

XML_CHARACTERS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=8
)
COMMENTS = XML_CHARACTERS.filter(lambda text: "--" not in text and not text.endswith("-"))
NAMES = st.sampled_from(["a", "item", "s:Body", "é", "x-y.z"])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&#62;").replace('"', "&quot;")


def _element(name: str, attribute: str, inner: list[str]) -> str:
    head = f"{name} k=\"{_escaped(attribute)}\" l = '>'" if attribute else name
    head += ' xmlns:s="urn:s"' if name.startswith("s:") else ""
    return f"<{head}>{''.join(inner)}</{name}>" if inner else f"<{head}/>"


XML_INNER = st.recursive(
    st.one_of(
        XML_CHARACTERS.map(_escaped),
        COMMENTS.map(lambda text: f"<!--{text}-->"),
        XML_CHARACTERS.filter(lambda text: "]]>" not in text).map(lambda text: f"<![CDATA[{text}<x>&]]>"),
        st.just("<?go on > here?>"),
    ),
    lambda inner: st.builds(_element, NAMES, XML_CHARACTERS, st.lists(inner, max_size=4)),
    max_leaves=30,
)
xml_texts = st.builds(
    lambda head, name, inner: head + _element(name, "", inner),
    st.sampled_from(["", '<?xml version="1.0" encoding="UTF-8"?>\n', "<!-- first -->"]),
    NAMES,
    st.lists(XML_INNER, max_size=6),
)


def _no_constant(name: str) -> None:
    raise ValueError(name)


def read_json(text: str) -> object:
    """Parse strictly."""
    return json.loads(text, parse_constant=_no_constant)


def read_json_values(text: str) -> list[object]:
    """Parse several values that follow one another."""
    values, position, decoder = list[object](), 0, json.JSONDecoder(parse_constant=_no_constant)
    while position < len(text):
        value, position = decoder.raw_decode(text, position)
        values.append(value)
        position += len(text[position:]) - len(text[position:].lstrip("\x1e \t\r\n"))
    return values


def read_xml(text: str) -> ET.Element:
    """Parse strictly."""
    return ET.fromstring(text.encode())


def read_form(text: str) -> list[tuple[str, str]]:
    """Parse strictly: each pair has a name and a value, and the escapes are valid UTF-8."""
    return parse_qsl(text, strict_parsing=True, keep_blank_values=True, errors="strict")


def read_multipart(text: bytes, content_type: str) -> list[tuple[str, bytes]]:
    """Parse strictly with the standard library's mail parser: a missing boundary is an error."""
    policy = HTTP.clone(raise_on_defect=True)
    message = BytesParser(policy=policy).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + text)
    parts = message.get_payload()
    assert isinstance(parts, list)
    found = list[tuple[str, bytes]]()
    for part in parts:
        assert isinstance(part, EmailMessage)
        name = part.get_param("name", header="content-disposition")
        body = part.get_payload(decode=True)
        assert isinstance(body, bytes)
        found.append((str(name), body))
    return found


def is_cut_of(kept: str, whole: str, ending: str) -> bool:
    """Return whether a text is a prefix of another, followed only by what the regular expression matches."""
    same = next((at for at, (one, other) in enumerate(zip(kept, whole, strict=False)) if one != other), None)
    same = min(len(kept), len(whole)) if same is None else same
    # An ending may begin with the characters with which the text continues.
    return any(re.fullmatch(ending, kept[at:]) for at in range(same, max(-1, same - 80), -1))


def form(parts: list[tuple[str, bytes]], newline: bytes = b"\r\n") -> bytes:
    """Write a form as browsers do."""
    out = bytearray()
    for name, content in parts:
        head = f'Content-Disposition: form-data; name="{name}"'.encode()
        out += b"--XbX" + newline + head + newline + newline + content + newline
    return bytes(out + b"--XbX--" + newline)


def path(place: Place | None) -> tuple[str, ...]:
    """Return the names from the root on."""
    return () if place is None or place.parent is None else (*path(place.parent), place.name)
