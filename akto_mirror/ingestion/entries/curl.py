"""Formats an entry as a curl command that sends the same request again (pure)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from akto_mirror.ingestion.entries.fields import is_grpc
from akto_mirror.ingestion.entries.reading import clean, read_headers
from akto_mirror.ingestion.entries.urls import url_of

# A header name (RFC 9110, 5.6.2). curl gives other text a meaning: `@x` is a file, `x;` an empty header.
NAME = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
# Headers that curl sets itself, or that would not match the request.
MADE = frozenset({"host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect"})
GLOB = re.compile(r"[\[\]{}]")
BARE = re.compile(r"[\w./:@%+=,-]+", re.ASCII)


def curl(entry: Mapping[str, Any]) -> str:
    """Return the command, for bash and zsh, with a line for each header."""
    headers = read_headers(entry.get("requestHeaders"))
    payload = clean(entry.get("requestPayload"))
    binary = bool(payload) and is_grpc(headers.get("content-type", ""))
    start = f"printf %s {quoted(payload)} | base64 -d | " if binary else ""
    return start + " \\\n  ".join([" ".join(_target(entry)), *_headers(headers), *_data(payload, binary=binary)])


def _target(entry: Mapping[str, Any]) -> Iterator[str]:
    url, method = url_of(entry), clean(entry.get("method")).upper()
    yield "curl"
    if GLOB.search(url):
        yield "--globoff"
    if "/." in url:
        yield "--path-as-is"
    if method == "HEAD":
        yield "--head"
    elif method != "GET" or entry.get("requestPayload"):
        yield f"-X {quoted(method or 'GET')}"
    yield quoted(url)


def _headers(headers: Mapping[str, str]) -> Iterator[str]:
    for name, value in headers.items():
        if NAME.fullmatch(name) and name not in MADE:
            text = " ".join(clean(value).split("\n")).replace("\r", " ").strip()
            yield f"-H {quoted(f'{name}: {text}' if text else f'{name};')}"


def _data(payload: str, *, binary: bool) -> Iterator[str]:
    if binary:
        yield "--data-binary @-"
    elif payload:
        yield f"--data-raw {quoted(payload)}"


def quoted(text: str) -> str:
    """Quote a text for bash or zsh; unprintable characters are escaped as in C."""
    if BARE.fullmatch(text):
        return text
    if text.isprintable() or all(char.isprintable() or char == "\n" for char in text):
        return "'" + text.replace("'", "'\\''") + "'"
    return "$'" + "".join(map(_escape, text)) + "'"


def _escape(char: str) -> str:
    if char in "\\'":
        return f"\\{char}"
    if char == "\n":
        return "\\n"
    if char.isprintable():
        return char
    # Octal, byte by byte: three digits, so that a following digit is not part of it.
    return "".join(f"\\{byte:03o}" for byte in char.encode())
