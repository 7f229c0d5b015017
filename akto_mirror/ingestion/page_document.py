"""The inventory's page: a self-contained document, with headers that allow nothing else to load."""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple


class Page(NamedTuple):
    """The document, and the headers to send with it."""

    body: bytes
    headers: dict[str, str]


STYLES = ("style.css", "panel.css")
# In the order in which they run: each uses those above it.
SCRIPTS = ("text.js", "state.js", "filters.js", "list.js", "payloads.js", "samples.js", "panel.js", "actions.js")


@cache
def load() -> Page:
    """Build the page from the package's files.

    Its own script and style are allowed by their hashes; nothing else runs or is loaded, whatever entries contain.
    """
    text = _read("index.html")
    for tag, names in (("style", STYLES), ("script", SCRIPTS)):
        text = text.replace(f"<{tag}></{tag}>", f"<{tag}>\n{''.join(map(_read, names))}</{tag}>")
    policy = (
        "default-src 'none'",
        f"script-src {_hashes('script', text)}",
        f"style-src {_hashes('style', text)}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-cache",
    }
    return Page(text.encode(), headers)


def _read(name: str) -> str:
    return files("akto_mirror.ingestion").joinpath("page", name).read_text(encoding="utf-8")


def _hashes(tag: str, text: str) -> str:
    """Return the source expressions that allow the elements of this name (Content Security Policy 3, 2.3.1)."""
    found = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    return " ".join(f"'sha256-{b64encode(sha256(part.encode()).digest()).decode()}'" for part in found)
