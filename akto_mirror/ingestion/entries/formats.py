"""Recognises the formats of strings, with JSON Schema's names: uuid, date-time, email and so on (pure)."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

MAX_CHARS = 2_048

# Each alternative is one format of JSON Schema 2020-12, section 7.3; an underscore in a group's name means a dash. Each
# can match in one way only, so that long strings take linear time.
FORMATS = re.compile(
    r"""
      (?P<uuid>[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})
    | (?P<date_time>\d{4}-(?:0[1-9]|1[0-2])-(?:[0-2]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d
        (?:\.\d{1,9})?(?:[Zz]|[+-]\d\d:\d\d))
    | (?P<date>\d{4}-(?:0[1-9]|1[0-2])-(?:[0-2]\d|3[01]))
    | (?P<ipv4>(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))
    | (?P<email>[\w.!\#$%&'*+/=?^`{|}~-]{1,64}@[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){1,8})
    | (?P<uri>[a-z][a-z0-9+.-]{1,20}://[^\s<>"{}|\\^`]+)
    | (?P<ipv6>[0-9a-f:]{2,39}(?:%[\w]{1,15})?)
    """,
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)


def format_of(text: str) -> str:
    """Return the name of a string's format; empty if none is recognised."""
    if len(text) < 2 or len(text) > MAX_CHARS or text.isalpha():
        return ""
    found = FORMATS.fullmatch(text)
    name = found.lastgroup if found else None
    if name is None or (name == "ipv6" and not _is_ipv6(text)):
        return ""
    return name.replace("_", "-")


def _is_ipv6(text: str) -> bool:
    if text.count(":") < 2:
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True
