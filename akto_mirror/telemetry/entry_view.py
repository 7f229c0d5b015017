"""The content view "Akto entry" of mitmproxy 12: shows the entry that is made of a flow."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from mitmproxy import contentviews, http

from akto_mirror.akto_api import Entry
from akto_mirror.escaping import as_json

NAME = "Akto entry"

# JSON that is nested deeper stays a string: indented, its size would grow with the square of its depth.
DEEPEST = 64

# Fields that hold JSON as a string; it is shown parsed and indented.
NESTED = ("requestHeaders", "responseHeaders", "requestPayload", "responsePayload", "tag")


def render(entry: Entry, outcome: str) -> str:
    """Return an entry as readable text: the outcome, then the fields, with JSON in strings parsed."""
    return f"# akto: {outcome}\n{json.dumps(_fields(entry), indent=2, ensure_ascii=False)}"


def rows(entry: Entry) -> list[list[str]]:
    """Return an entry as a table of two columns: each field's name and its value, one row for each line.

    Headers are shown one a line, and JSON indented; only the first line of a field has its name.
    """
    shown: list[list[str]] = []
    for name, value in _fields(entry).items():
        for number, line in enumerate(_lines(name, value)):
            shown.append(["" if number else name, as_json(line)])
    return shown


def _fields(entry: Entry) -> dict[str, Any]:
    fields = msgspec.to_builtins(entry)
    return {name: _parsed(value) if name in NESTED else value for name, value in fields.items()}


def _lines(name: str, value: Any) -> list[str]:
    if isinstance(value, str):
        return value.splitlines() or [""]
    if name.endswith("Headers") and isinstance(value, dict):
        return [f"{header}: {text}" for header, text in value.items()] or [""]
    return json.dumps(value, indent=2, ensure_ascii=False).splitlines()


def _parsed(text: str) -> Any:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return found if isinstance(found, dict | list) and not _is_deep(found) else text


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEEPEST):
        level = [child for item in level for child in _children(item)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


class EntryView:
    """A content view with mitmproxy's interface (mitmproxy.contentviews.Contentview).

    Attributes:
        explain: returns the text for a flow; None while there is no addon.
    """

    name = NAME
    syntax_highlight = "yaml"
    explain: Callable[[http.HTTPFlow], str] | None = None

    def prettify(self, data: bytes, metadata: Any) -> str:
        """Return the entry of the flow in `metadata`; the body is not used."""
        del data
        if self.explain is None:
            return "# akto: the addon is not running"
        if not isinstance(metadata.flow, http.HTTPFlow) or metadata.flow.response is None:
            return "# akto: there is an entry when there is a response"
        return self.explain(metadata.flow)

    def render_priority(self, data: bytes, metadata: Any) -> float:
        """Return a priority with which this view is never chosen by default."""
        del data, metadata
        return -1.0

    def __lt__(self, other: Any) -> bool:
        """Sort by name, as the interface requires."""
        return bool(self.name < other.name)


# One for the whole process: mitmproxy keeps it when the script is reloaded.
VIEW = EntryView()


def offer(explain: Callable[[http.HTTPFlow], str] | None) -> None:
    """Offer the view to users, if this mitmproxy supports such views.

    Args:
        explain: returns the text for a flow; None when the addon ends.
    """
    registry: Any = getattr(contentviews, "registry", None)
    if registry is not None and NAME.lower() not in registry:
        registry.register(VIEW)
    VIEW.explain = explain
