"""Escapes untrusted text for a line of a log or a terminal, and hides secrets in text."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable
from functools import reduce

ELLIPSIS = "…"


def printable(text: str, limit: int = 200) -> str:
    """Return at most `limit` characters of `text` on one line; escapes of unprintable ones can make it longer.

    Line breaks, ANSI sequences, bidirectional controls and lone surrogates become backslash escapes, and a backslash
    is doubled, so that no request can forge a log line.
    """
    shown = text if len(text) <= limit else text[: limit - 1] + ELLIPSIS
    if shown.isprintable() and "\\" not in shown:
        return shown
    return "".join(map(_escape, shown))


def host_and_port(host: str, port: int) -> str:
    """Return an address as in a URL: an IPv6 address stands in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def isolated(text: str) -> str:
    """Return `text` so that it does not change the direction of other text in the same line of a terminal.

    Text with right-to-left letters is enclosed in U+2068 and U+2069, which have no width (Unicode Standard Annex 9,
    section 2.4.2); other text is unchanged.
    """
    if text.isascii() or not any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text):
        return text
    return f"\u2068{text}\u2069"


def hide(text: str, secret: str) -> str:
    """Replace a secret in a response, also if it is escaped as in JSON, URLs or HTML."""
    if not secret:
        return text
    return re.sub("".join(map(_quoted, secret)), "(token)", text)


def hide_each(text: str, secrets: Iterable[str]) -> str:
    """Replace several secrets, the longest first because one may be part of another."""
    return reduce(hide, sorted(secrets, key=len, reverse=True), text)


def _quoted(char: str) -> str:
    """Return a pattern that matches an ASCII character, escaped or not, the longest form first."""
    code = ord(char)
    ways = [rf"\\u(?i:{code:04x})", f"%(?i:{code:02x})", f"&#(?i:x0*{code:x}|0*{code});", re.escape(html.escape(char))]
    ways += [rf"\\{re.escape(char)}", re.escape(char)] + [r"\+"] * (char == " ")
    return f"(?:{'|'.join(ways)})"


def as_json(text: str) -> str:
    """Return JSON on one line, with everything unprintable escaped as in JSON, so that its meaning is unchanged."""
    return text if text.isprintable() else "".join(char if char.isprintable() else _json(char) for char in text)


def _json(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def _escape(char: str) -> str:
    if char == "\\":
        return "\\\\"
    return char if char.isprintable() else ascii(char)[1:-1]
