"""Shows the outcomes of flows in mitmproxy and mitmweb, as marks and comments.

The outcome of an entry is known on the shipper's thread, long after its flow has passed; here it is matched with the
flow.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple
from weakref import ref

from mitmproxy import flow, http

from akto_mirror.outcomes import UNDER_WAY, Mark, Outcome, remark, verdict

# Key of a flow's outcome in `flow.metadata`, which mitmproxy's filter `~meta` searches and flow files keep.
VERDICT = "akto"

# Key of the mark and the comment that were last set here: different ones are the user's or another addon's.
SHOWN = "akto_shown"

# Names of mitmproxy's flow markers (mitmproxy.utils.emoji).
SIGNS = {
    Outcome.SKIPPED: ":heavy_minus_sign:",
    Outcome.DRY_RUN: ":hourglass:",
    Outcome.CAPTURED: ":hourglass:",
    Outcome.QUEUED: ":hourglass:",
    Outcome.IN_FLIGHT: ":hourglass:",
    Outcome.SPOOLED: ":floppy_disk:",
    Outcome.SHIPPED: ":heavy_check_mark:",
    Outcome.REJECTED: ":x:",
    Outcome.DROPPED: ":warning:",
    Outcome.HANDED_OVER: ":outbox_tray:",
}

# How many flows may wait for a further outcome; beyond this the oldest keep the one that they have.
MOST = 50_000

# How many flows are redrawn in one turn of the event loop, and the seconds between turns: each costs a redraw.
TURN = 100
PAUSE_S = 0.05


class News(NamedTuple):
    """The outcome of one entry."""

    key: int
    outcome: Outcome
    reason: str


def put(each: flow.Flow, outcome: Outcome, reason: str, mark: Mark) -> None:
    """Show an outcome on a flow, but never replace a mark or comment that the user or another addon has set or removed.

    Args:
        each: the flow.
        outcome: the outcome.
        reason: the reason for it.
        mark: what to set.
    """
    if mark is Mark.NEVER:
        return
    old_sign, old_comment = _last_shown(each)
    sign, comment = SIGNS[outcome] if mark is Mark.AUTO else "", remark(outcome, reason)
    if each.marked == old_sign:
        each.marked = old_sign = sign
    if each.comment == old_comment:
        each.comment = old_comment = comment
    each.metadata[SHOWN] = [old_sign, old_comment]


def _last_shown(each: flow.Flow) -> tuple[str, str]:
    """Return the mark and the comment that were last set on a flow, which may come from an untrusted file."""
    match each.metadata.get(SHOWN):
        case [str(sign), str(comment)]:
            return sign, comment
    return "", ""


class Marks:
    """Shows each flow's outcome as it changes.

    Flows are identified by their encoded entries, so that an entry that is read from the disk finds its flow; equal
    entries are interchangeable.

    Args:
        soon: calls a function on the event loop after a number of seconds; used from any thread.
        refresh: makes the user interface redraw changed flows; called on the event loop.
    """

    def __init__(
        self, soon: Callable[[float, Callable[[], None]], None], refresh: Callable[[Sequence[flow.Flow]], None]
    ) -> None:
        self.mark = Mark.AUTO
        self._soon = soon
        self._refresh = refresh
        self._lock = threading.Lock()
        self._followed: dict[int, list[ref[http.HTTPFlow]]] = {}
        self._keys: dict[str, int] = {}
        self._news: deque[News] = deque()
        self._awake = False

    def show(self, each: flow.Flow, outcome: Outcome, reason: str = "") -> None:
        """Show an outcome on a flow that is being processed; mitmproxy redraws it by itself."""
        put(each, outcome, reason, self.mark)

    def follow(self, each: http.HTTPFlow, entry: bytes) -> None:
        """Follow the entry that was made of a flow, instead of an earlier entry of the same flow."""
        self._forget(each.id)
        key = hash(entry)
        self._followed.setdefault(key, []).append(ref(each))
        self._keys[each.id] = key
        if len(self._keys) > MOST:
            self._forget(next(iter(self._keys)))

    def update(self, entries: Sequence[bytes | int], outcome: Outcome, reason: str = "") -> None:
        """Record the outcome of entries, or of those with these hashes; may be called on any thread and never waits."""
        keys = (entry if isinstance(entry, int) else hash(entry) for entry in entries)
        with self._lock:
            self._news.extend(News(key, outcome, reason) for key in keys)
            asleep, self._awake = not self._awake, True
        if asleep:
            self._soon(PAUSE_S, self._turn)

    def _turn(self) -> None:
        with self._lock:
            news = [self._news.popleft() for _ in range(min(TURN, len(self._news)))]
            self._awake = bool(self._news)
            more = self._awake
        changed = {each.id: each for item in news for each in self._apply(item)}
        if changed:
            self._refresh(list(changed.values()))
        if more:
            self._soon(PAUSE_S, self._turn)

    def _apply(self, item: News) -> list[http.HTTPFlow]:
        flows = [found for each in self._followed.get(item.key, ()) if (found := each()) is not None]
        if not flows:
            self._followed.pop(item.key, None)
        if item.outcome not in UNDER_WAY:
            flows = flows[:1]
            for each in flows:
                self._forget(each.id)
        for each in flows:
            each.metadata[VERDICT] = verdict(item.outcome, item.reason)
            put(each, item.outcome, item.reason, self.mark)
        return flows

    def _forget(self, flow_id: str) -> None:
        key = self._keys.pop(flow_id, None)
        if key is None:
            return
        left = [each for each in self._followed.pop(key, []) if (found := each()) is not None and found.id != flow_id]
        if left:
            self._followed[key] = left
