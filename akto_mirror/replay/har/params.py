"""Rebuilds the bodies of requests that a HAR file contains only as parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from akto_mirror.replay.har import values

Pair = tuple[str, Any, Mapping[str, Any]]

BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]+)"|([^\s;,]+))', re.IGNORECASE)
OWN_BOUNDARY = "----akto-mirror-form"


def body(given: Any, content_type: str) -> bytes | None:
    """Return the body for parameters; None if the content type is not one that can be rebuilt.

    Args:
        given: the list `postData.params`, not empty.
        content_type: the request's content type, with the boundary if it is multipart; empty means a form.
    """
    found = list(values.pairs(given))
    kind = content_type.partition(";")[0].strip().lower()
    if "json" in kind:
        return values.encoded(_json(found))
    if kind.startswith("multipart/"):
        return _multipart(found, boundary(content_type))
    if kind == "text/plain":
        return b"".join(values.encoded(f"{name}={values.text(value)}\r\n") for name, value, _ in found)
    if "urlencoded" in kind or not kind:
        return urlencode([(name, values.text(value)) for name, value, _ in found], errors="replace").encode()
    return None


def boundary(content_type: str) -> str:
    """Return the boundary that a content type names (RFC 2046, section 5.1.1); empty if it names none."""
    found = BOUNDARY.search(content_type)
    return (found[1] or found[2]) if found else ""


def _json(found: list[Pair]) -> str:
    """Rebuild JSON that sitespeed.io's chrome-har has split into parameters.

    Each member is a parameter, and each item of a list is a parameter with the list's name; the items of a top-level
    list have their indices as names.
    """
    members: dict[str, Any] = {}
    for name, value, _ in found:
        if name in members:
            several = members[name]
            members[name] = _Several([*several, value] if isinstance(several, _Several) else [several, value])
        else:
            members[name] = value
    is_list = list(members) == [str(number) for number in range(len(members))]
    whole: Any = list(members.values()) if is_list else members
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":"))


class _Several(list[Any]):
    """Several values of one name, as opposed to one value that is a list."""


def _multipart(found: list[Pair], mark: str) -> bytes:
    """Write a form as browsers do (HTML standard, multipart/form-data encoding algorithm)."""
    parts = [f"--{mark}\r\n{_part_head(name, whole)}\r\n\r\n{values.text(value)}\r\n" for name, value, whole in found]
    return values.encoded("".join([*parts, f"--{mark}--\r\n"]))


def _part_head(name: str, whole: Mapping[str, Any]) -> str:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if (file := values.text(whole.get("fileName"))) or "fileName" in whole:
        head += f'; filename="{_quoted(file)}"'
    kind = values.line(whole.get("contentType"))
    return head + (f"\r\nContent-Type: {kind}" if kind else "")


def _quoted(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
