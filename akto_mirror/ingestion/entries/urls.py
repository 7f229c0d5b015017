"""Builds the URL of an entry (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from akto_mirror.ingestion.entries.reading import clean, read_headers

# Characters that a URL may contain unencoded (RFC 3986, section 2), and `%`.
SAFE = "/:?#[]@!$&'()*+,;=-._~%"
LOCAL = ("localhost", "127.0.0.1", "[")


def url_of(entry: Mapping[str, Any]) -> str:
    """Return an entry's URL; its scheme is a guess, and its host `localhost` if the entry has none."""
    host = read_headers(entry.get("requestHeaders")).get("host", "").strip()
    path = clean(entry.get("path"))
    target = quote(path if path.startswith("/") else f"/{path}", safe=SAFE)
    return f"{scheme_of(host)}://{quote(host, safe='[]:.-_') or 'localhost'}{target}"


def scheme_of(host: str) -> str:
    """Guess the scheme, which entries do not contain: HTTP for this machine and for port 80, else HTTPS."""
    name, _, port = host.lower().partition(":")
    local = not name or name.startswith(LOCAL) or name.endswith(".localhost")
    return "http" if local or port == "80" else "https"
