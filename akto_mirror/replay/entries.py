"""Makes the entries that the addon would ship for recorded flows, without a proxy and without sending them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from mitmproxy import exceptions, http
from mitmproxy.optmanager import OptManager

from akto_mirror.capture.capture import Capture
from akto_mirror.capture.encoding import Captured
from akto_mirror.config import declarations, mistakes, options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.options import Settings
from akto_mirror.delivery import Durability
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Skip
from akto_mirror.replay import recording
from akto_mirror.replay.recording import Record, UnreadableError

__all__ = ["ConfigError", "Decider", "Entries", "Skipped", "UnreadableError", "entries", "parse_options"]


def parse_options(specs: Sequence[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all options, parsed as by mitmproxy's `--set`; the spool is always off.

    Args:
        specs: strings such as `akto_fidelity=worker`.
        given: values by option name.

    Raises:
        ConfigError: for the first option that is misspelt or has a value of a wrong type.
    """
    texts = _texts(specs)
    for name in texts:
        if not name.startswith("akto_"):
            raise ConfigError(name, ", ".join(texts[name]), "a replay takes options of this addon only, akto_…")
        if name in given:
            raise ConfigError(name, ", ".join(texts[name]), "it is given more than once")
    for mistake in mistakes.find(texts, given):
        raise mistake
    manager = OptManager()
    for option in OPTIONS:
        manager.add_option(option.name, option.type, option.default, option.help)
    try:
        manager.set(*specs)
        manager.update(**given)
    except (exceptions.OptionsError, TypeError) as error:
        raise ConfigError(*_culprit(texts), printable(str(error))) from error
    return {name: getattr(manager, name) for name in declarations.names()} | {
        "akto_durability": Durability.MEMORY.value
    }


def _texts(specs: Sequence[str]) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = {}
    for spec in specs:
        name, mark, value = spec.partition("=")
        texts.setdefault(name, []).extend([value] if mark else [])
    return texts


def _culprit(texts: Mapping[str, list[str]]) -> tuple[str, str]:
    name = next(iter(texts), "akto_url")
    return name, ", ".join(texts.get(name, []))


class Decider:
    """Decides about recorded flows as the addon does about live ones.

    Args:
        settings: all options.
    """

    def __init__(self, settings: Settings) -> None:
        self.marker = secrets.token_hex(8)
        self._capture = Capture(settings.capture, self.marker)

    def of(self, flow: http.HTTPFlow) -> Captured | Skip:
        """Return a flow's entry, or why it is skipped."""
        decision = self._capture.of(flow)
        if isinstance(decision, Captured):
            self._capture.sent(decision)
        return decision


class Skipped(NamedTuple):
    """A recorded flow that is skipped: its method, its URL, and the addon's reason."""

    method: str
    url: str
    reason: str


class Entries(list[dict[str, str]]):
    """The entries of recorded flows, in their order.

    Attributes:
        skipped: the skipped flows, in their order.
        missing_bodies: how many bodies of these entries existed but are not in the recording.
        notes: other parts of the recording that could not be read, such as a body in a missing file.
    """

    def __init__(self, entries: Iterable[dict[str, str]] = (), skipped: Iterable[Skipped] = ()) -> None:
        super().__init__(entries)
        self.skipped = list(skipped)
        self.missing_bodies = 0
        self.notes: list[str] = []


def entries(paths: Iterable[Path], given: Mapping[str, Any]) -> Entries:
    """Return the entries that would be shipped for recorded files; environment variables are ignored.

    Args:
        paths: flow files and HAR files.
        given: values by option name.

    Raises:
        ConfigError: an option is misspelt or its value cannot be used.
        UnreadableError: a file cannot be read to its end; the text names it.
        OSError: a file cannot be opened.
    """
    decider = Decider(options.read(parse_options([], given), {}))
    found = Entries()
    for path in paths:
        for record in _whole(path):
            found.notes.extend(f"{path}: {note}" for note in record.notes)
            if record.flow is not None:
                _add(found, record, record.flow, decider.of(record.flow))
    return found


def _add(found: Entries, record: Record, flow: http.HTTPFlow, decision: Captured | Skip) -> None:
    if isinstance(decision, Skip):
        found.skipped.append(Skipped(flow.request.method, flow.request.pretty_url, str(decision)))
    else:
        found.append(msgspec.to_builtins(decision.entry))
        found.missing_bodies += len(record.missing_bodies)


def _whole(path: Path) -> Iterable[Record]:
    try:
        for record in recording.read(path):
            if record.error:
                raise UnreadableError(record.error)
            yield record
    except UnreadableError as error:
        raise UnreadableError(f"{path}: {error}") from error
