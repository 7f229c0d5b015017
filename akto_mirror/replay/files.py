"""Yields entries from files: those in files of entries, and those that the addon's rules make of recorded flows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from akto_mirror.config import options
from akto_mirror.escaping import isolated, printable
from akto_mirror.outcomes import Skip
from akto_mirror.replay import recording
from akto_mirror.replay.entries import ConfigError, Decider, parse_options

__all__ = ["ConfigError", "UnreadableError", "read"]

# Longer than any line that the file sink writes, because entries are bounded.
MAX_LINE_BYTES = 64 * 1024 * 1024


class UnreadableError(Exception):
    """A file cannot be read to its end; the text names it."""


def read(paths: Iterable[Path], specs: Sequence[str], skipped: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries of files, one after another.

    Args:
        paths: Files of entries, one JSON object per line; flow files and HAR files.
        specs: Options of the addon for flow files and HAR files, such as `akto_fidelity=worker`; queries are always
            read, because an inventory needs their parameters.
        skipped: Counts the skipped flows, by reason.

    Raises:
        ConfigError: If an option is misspelt or its value cannot be used.
        UnreadableError: Where a file cannot be read any further.
    """
    values = parse_options(specs, {})
    decider = Decider(options.read(values | {"akto_include_query": True}, {}))
    for path in paths:
        yield from _entries(path, decider, skipped)


def _entries(path: Path, decider: Decider, skipped: Counter[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries in a file, or those that would be shipped for its flows.

    Raises:
        UnreadableError: Where it cannot be read any further; it names the file.
    """
    try:
        if _holds_entries(path):
            yield from _lines(path, skipped)
            return
        for record in recording.read(path):
            skipped.update(record.notes)
            if record.error:
                skipped[record.error.partition(": ")[2] or record.error] += 1
            elif record.flow is not None:
                decision = decider.of(record.flow)
                if isinstance(decision, Skip):
                    skipped[str(decision)] += 1
                else:
                    yield msgspec.to_builtins(decision.entry)
    except recording.UnreadableError as error:
        raise UnreadableError(f"{isolated(printable(str(path)))}: {error}") from error
    except OSError as error:
        raise UnreadableError(
            f"{isolated(printable(str(path)))}: {error.strerror or error}; name a file that can be read"
        ) from error


def _holds_entries(path: Path) -> bool:
    """Return, by its first line, whether this is a file of entries and not a HAR file, which also begins with `{`."""
    with path.open("rb") as file:
        first = next((line for line in iter(lambda: file.readline(MAX_LINE_BYTES), b"") if line.strip()), b"")
    return first.lstrip()[:1] == b"{" and _entry(first) is not None


def _lines(path: Path, skipped: Counter[str]) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as file:
        for line in iter(lambda: file.readline(MAX_LINE_BYTES), b""):
            entry = _entry(line)
            if entry is not None:
                yield entry
            elif line.strip():
                skipped["not an entry: a line that is not a JSON object with path and method"] += 1


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = msgspec.json.decode(line)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and entry.get("path") and entry.get("method") else None
