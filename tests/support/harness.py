"""The addon in mitmproxy's test context, shipping to a file."""

from __future__ import annotations

import asyncio
import json
import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mitmproxy import eventsequence, hooks, http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.test import taddons

from akto_mirror.addon.host_header import HostReplacer
from akto_mirror.addon.mirror import AktoMirror
from akto_mirror.telemetry.marks import VERDICT

Entry = dict[str, Any]


@dataclass
class Harness:
    """An addon that ships to a file.

    Attributes:
        addon: the addon.
        context: mitmproxy's test context.
        out: the file that it ships to.
    """

    addon: AktoMirror
    context: taddons.context
    out: Path
    _finished: bool = False

    def pass_on(self, flow: http.HTTPFlow, chunk: int = 0) -> str:
        """Run a flow's hooks in mitmproxy's order, and return the flow's verdict.

        Args:
            flow: with its bodies in place; a live flow has no response until it arrives.
            chunk: size in bytes of the pieces of a streamed body.
        """
        response, events = flow.response, list(eventsequence.iterate(flow))
        flow.response = None if flow.live else response
        for event in events:
            if event.name == "responseheaders":
                flow.response = response
            for addon in (*self._first(), self.addon):
                self.context.master.addons.invoke_addon_sync(addon, event)
            message = {"requestheaders": flow.request, "responseheaders": flow.response}.get(event.name)
            if message is not None and chunk:
                stream(message, chunk)
        return str(flow.metadata.get(VERDICT))

    def hook(self, name: str, flow: http.HTTPFlow) -> None:
        """Call one hook of the addon for a flow."""
        event = hooks.all_hooks[name](flow)
        self.context.master.addons.invoke_addon_sync(self.addon, event)

    def _first(self) -> list[HostReplacer]:
        return [addon for addon in self.context.master.addons.chain if isinstance(addon, HostReplacer)]

    def configure(self, **changes: Any) -> None:
        """Change options, named without the prefix `akto_`."""
        self.context.configure(self.addon, **{f"akto_{name}": value for name, value in changes.items()})

    def finish(self) -> None:
        """End mitmproxy, and wait until the addon has flushed."""
        if not self._finished:
            self._finished = True
            asyncio.run(self.context.master.done())

    def lines(self) -> list[bytes]:
        """End the addon, and return the lines that it has shipped, one per entry."""
        self.finish()
        return self.out.read_bytes().splitlines() if self.out.exists() else []

    def entries(self) -> list[Entry]:
        """End the addon, and return the entries that it has shipped."""
        return [json.loads(line) for line in self.lines()]


def stream(message: http.Message, size: int) -> bytes:
    """Pass a message's body through its `stream` callable, as mitmproxy does; yields the output."""
    passes: object = message.stream
    if not callable(passes) or not bool(passes):
        return message.raw_content or b""
    body, message.raw_content = message.raw_content or b"", None
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    out: list[bytes] = []
    for piece in [*pieces, b""]:
        passed = passes(piece)
        out += [passed] if isinstance(passed, bytes) else list(passed)
    return b"".join(out)


class _Errors(logging.Handler):
    """Collects the errors of addons that mitmproxy catches."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(logging.Formatter().format(record))


@contextmanager
def _no_addon_errors() -> Iterator[None]:
    """Fail if an addon raised an error, which mitmproxy only logs."""
    errors = _Errors()
    watched = logging.getLogger("mitmproxy.addonmanager")
    watched.addHandler(errors)
    try:
        yield
    finally:
        watched.removeHandler(errors)
    assert errors.seen == []


@contextmanager
def mirroring(
    *,
    running: bool = True,
    mode: Sequence[str] = ("regular",),
    keeps_host: bool = False,
    screen: object = None,
    **changes: Any,
) -> Iterator[Harness]:
    """Load the addon until the block ends.

    Args:
        running: call the addon's hook `running`.
        mode: mitmproxy's option `mode`.
        screen: mitmproxy's list of flows, as in its interfaces.
        keeps_host: mitmproxy's `keep_host_header`, as set by the user.
        changes: options, named without the prefix `akto_`; `url` defaults to a file.
    """
    with (
        _no_addon_errors(),
        tempfile.TemporaryDirectory() as folder,
        taddons.context(Proxyserver(), *([screen] if screen is not None else [])) as context,
    ):
        out = Path(folder) / "out.ndjson"
        context.options.update(mode=list(mode), keep_host_header=keeps_host)
        given = {"url": f"file://{out}", "spool_dir": f"{folder}/spool"} | changes
        context.options.update_defer(**{f"akto_{name}": value for name, value in given.items()})
        harness = Harness(_load(context), context, out)
        if running:
            harness.addon.running()
        try:
            yield harness
        finally:
            harness.finish()


def _load(context: taddons.context) -> AktoMirror:
    """Load the addon as mitmproxy loads a script."""
    addon = AktoMirror()
    context.master.addons.add(addon)
    context.master.addons.invoke_addon_sync(addon, hooks.ConfigureHook(context.options.keys()))
    return addon
