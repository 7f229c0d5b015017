r"""Escapes of JSON and URLs: a value may begin right after the `n` of `\n`, or after the `0` of `%20`."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode

NO_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

# What is decoded before it is looked at needs no blanks: `%40`, of which the rule for mail knows, stays.
IN_STRINGS = re.compile(rb"\\[bfnrt]")
IN_STRINGS_BY_NUMBER = re.compile(rb"\\u[0-9A-Fa-f]{4}")
IN_ADDRESSES = re.compile(rb"%(?!40|25)[0-9A-Fa-f]{2}")
IN_ADDRESSES_TWICE = re.compile(rb"%25(?!40)[0-9A-Fa-f]{2}")


def blanked(data: bytes) -> bytes:
    """Return a text of the same length in which blanks stand in the places of escapes."""
    if b"\\" in data:
        data = IN_STRINGS_BY_NUMBER.sub(b" " * 6, IN_STRINGS.sub(b"  ", data))
    if b"%" in data:
        data = IN_ADDRESSES.sub(b" " * 3, IN_ADDRESSES_TWICE.sub(b" " * 5, data))
    return data


def unquoted(text: bytes) -> bytes:
    """Return a text of a form or an address without its percent-encoding."""
    text = text.replace(b"+", b" ")
    if b"%" not in text:
        return text
    # Python's own function takes two calls for each escape.
    escaped = text.replace(b"\\", b"%5C").replace(b"%%", b"%25%").replace(b"%%", b"%25%")
    escaped = NO_ESCAPE.sub(b"%25", escaped)
    return escaped.replace(b"%", b"\\x").decode("unicode_escape").encode("latin-1")


# A form: pairs, of which the first has a name.
FORM = re.compile(rb"[\w.$%+\[\]-]{1,64}=[^\x00-\x20\x7f]*")


def decoded(text: bytes) -> bytes | None:
    """Return what is JSON, XML or a form in base64; None if it is not."""
    body = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    body = body[: len(body) - (len(body) % 4 == 1)]
    try:
        plain = b64decode(body + b"=" * (-len(body) % 4))
    except (binascii.Error, ValueError):
        return None
    return plain if plain.lstrip()[:1] in (b"{", b"[", b"<") or FORM.fullmatch(plain) else None
