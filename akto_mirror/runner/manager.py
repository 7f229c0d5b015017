"""An addon manager that calls the same hooks in the same order as mitmproxy's, at a fraction of the cost.

At every event, mitmproxy checks each of its addons for a hook (`AddonManager.trigger_event` in
mitmproxy/addonmanager.py): three dozen attribute look-ups, each in a context manager and two generators, eight times a
request. Here the addons of mitmproxy and of this package are checked once, because their hooks do not change. Those of
scripts may change at any time, so they are checked at every event, as in mitmproxy; a script that holds nothing but
this package's addon is only checked for changes.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Generator, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from types import ModuleType
from typing import Any, ClassVar, TypeAlias
from weakref import WeakKeyDictionary

from mitmproxy import addonmanager, exceptions, flow, hooks

from akto_mirror.runner import plans
from akto_mirror.runner.families import Calls, Family, Lane
from akto_mirror.runner.plans import Plan, Plans, Step, is_bundled, is_leaf, is_ours

# mitmproxy's own traversal also ends this way if addons contain one another, at Python's recursion limit.
DEEPEST = sys.getrecursionlimit()

# The arguments of an event's hooks.
Values: TypeAlias = tuple[Any, ...]

# Calls hooks, and yields what has to be awaited before it goes on; it is given the errors.
Running: TypeAlias = Generator[Awaitable[object], None, None]

_NONE = object()


class TableManager(addonmanager.AddonManager):
    """Replaces mitmproxy's manager; see the module's docstring.

    `trigger`, for configure and for the log, works as before. A change of the chain, of addons or of options takes
    effect at once, also in the middle of an event. A hook that a script sets on one of mitmproxy's own addons while
    the proxy runs takes effect only after the next such change.
    """

    # On the class, because mitmproxy's master creates its manager itself: the instance gets this class later.
    _plans: Plans = {}  # noqa: RUF012 - never changed, only replaced
    _planned: list[object] = []  # noqa: RUF012 - as above
    _families: dict[int, Family] = {}  # noqa: RUF012 - as above

    # What is left of events that have begun, for `handle_lifecycle`; no two events are equal.
    _begun: ClassVar[WeakKeyDictionary[hooks.Hook, Awaitable[None] | None]] = WeakKeyDictionary()

    def register(self, addon: Any) -> Any:
        """Register an addon, as mitmproxy does."""
        try:
            return super().register(addon)  # type: ignore[no-untyped-call]
        finally:
            self._forget()

    def remove(self, addon: Any) -> None:
        """Remove an addon, as mitmproxy does."""
        try:
            super().remove(addon)  # type: ignore[no-untyped-call]
        finally:
            self._forget()

    def clear(self) -> None:
        """Remove all addons, as mitmproxy does."""
        try:
            super().clear()  # type: ignore[no-untyped-call]
        finally:
            self._forget()

    def trigger(self, event: hooks.Hook) -> None:
        """Trigger an event, as mitmproxy does."""
        try:
            super().trigger(event)
        finally:
            if isinstance(event, hooks.ConfigureHook):
                self._forget()

    def ends_at_once(self, event: hooks.Hook) -> bool:
        """Call the hooks of an event; return whether that is all, otherwise `handle_lifecycle` has to do the rest."""
        values = self._values(event)
        try:
            rest = _begin(self._lifecycle(event, values))
        except Exception as error:  # noqa: BLE001 - to be raised where mitmproxy raises it
            rest = _raise(error)
        if rest is None and not (isinstance(values[0], flow.Flow) and values[0].intercepted):
            return True
        self._begun[event] = rest
        return False

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Trigger an event and, after one of a flow, the update of the flow, as mitmproxy does."""
        is_begun = event in self._begun
        rest = self._begun.pop(event) if is_begun else _begin(self._lifecycle(event, self._values(event)))
        if rest is not None:
            await rest

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call the hooks of an event in all addons; an error is logged and ends those of one addon and its children."""
        rest = _begin(self._run(event, self._values(event)))
        if rest is not None:
            await rest

    async def invoke_addon(self, addon: object, event: hooks.Hook) -> None:
        """Call the hooks of an event in one addon and its children, checking each when its turn comes."""
        rest = _begin(self._visit([iter((addon,))], event.name, event.args()))
        if rest is not None:
            await rest

    def _values(self, event: hooks.Hook) -> Values:
        """Return the arguments of an event's hooks."""
        names, _ = self._plans.get(type(event)) or self._plan(type(event))
        if names is None:
            return tuple(event.args())
        return (getattr(event, names[0]),) if len(names) == 1 else tuple(getattr(event, name) for name in names)

    def _lifecycle(self, event: hooks.Hook, values: Values) -> Running:
        yield from self._run(event, values)
        if isinstance(values[0], flow.Flow) and not self._is_unheard(hooks.UpdateHook):
            changed = [values[0]]
            yield from self._run(hooks.UpdateHook(changed), (changed,))

    def _run(self, event: hooks.Hook, values: Values) -> Running:
        for _, addon, hook, lane in self._steps(type(event)):
            try:
                if hook is None:
                    yield from self._ask(addon, lane, event.name, values)
                elif (result := hook(*values)) is not None and inspect.isawaitable(result):
                    yield result
            except exceptions.AddonHalt:
                return
            except exceptions.OptionsError:
                raise
            except Exception as error:  # noqa: BLE001 - as mitmproxy does
                _log(error)

    def _steps(self, kind: type[hooks.Hook]) -> Iterator[Step]:
        """Yield the planned steps; after a change during the event, the rest of the chain as mitmproxy traverses it."""
        chain = self.chain
        if chain != self._planned:
            self._forget()
        plans, planned = self._plans, self._planned
        _, steps = plans.get(kind) or self._plan(kind)
        for step in steps:
            yield step
            if plans is not self._plans or chain != planned:
                yield from ((0, addon, None, None) for addon in islice(chain, step[0] + 1, None))
                return

    def _is_unheard(self, kind: type[hooks.Hook]) -> bool:
        """Return whether it is certain that no addon has a hook for an event."""
        if self.chain != self._planned:
            return False
        _, steps = self._plans.get(kind) or self._plan(kind)
        for *_, lane in steps:  # noqa: SIM110 - a generator costs more than what it would wait for
            if lane is None or not lane.leads_nowhere(kind.name):
                return False
        return True

    def _ask(self, addon: object, lane: Lane | None, name: str, values: Sequence[object]) -> Running:
        """Call the hooks of an addon and its children."""
        lists = lane.held(name) if lane else None
        if lane is None or lists is None:
            yield from self._visit([iter((addon,))], name, values)
        elif rest := (yield from self._call(lane.family, lane.calls, values)):
            yield from self._visit([*(islice(iter(each), 1, None) for each in lists), rest], name, values)

    def _visit(self, rows: list[Iterator[object]], name: str, values: Sequence[object]) -> Running:
        """Call the hooks of addons and their children, checking each when its turn comes."""
        while rows:
            for each in rows[-1]:
                if is_ours(type(each)) and (family := self._family(each)) and (calls := family.of(name)) is not None:
                    if (rest := (yield from self._call(family, calls, values))) is None:
                        continue
                    rows.append(rest)
                    break
                hook = getattr(each, name, None)
                if hook and _is_hook(hook, each, name):
                    result = hook(*values)
                    if result is not None and inspect.isawaitable(result):
                        yield result
                children = getattr(each, "addons", _NONE)
                if children is not _NONE:
                    _push(rows, children)
                    break
            else:
                rows.pop()

    def _call(
        self, family: Family, calls: Calls, values: Sequence[object]
    ) -> Generator[Awaitable[object], None, Iterator[object] | None]:
        """Call the hooks of a family; returns the children that have to be checked because something has changed."""
        families = self._families
        for place, hook in calls:
            result = hook(*values)
            if result is not None and inspect.isawaitable(result):
                yield result
            if self._families is not families or not family.is_as_asked():
                return islice(iter(family.addon.addons), place + 1, None)
        return None

    def _family(self, addon: object) -> Family | None:
        """Return an addon of this package with its children; None if one of them has to be checked at each event."""
        known = self._families.get(id(addon))
        if known is None or not known.is_as_asked():
            children = getattr(addon, "addons", None)
            if type(children) is not list or not all(map(is_leaf, children)):
                return None
            known = self._families[id(addon)] = Family(addon, list(children), {})
        return known

    def _forget(self) -> None:
        self._plans, self._planned, self._families = {}, list(self.chain), {}

    def _plan(self, kind: type[hooks.Hook]) -> Plan:
        made = self._plans[kind] = plans.plan(kind, self.chain, self._lane)
        return made

    def _lane(self, addon: object, name: str) -> Lane | None:
        steps: list[tuple[Any, object, dict[str, object] | None]] = []
        while not is_ours(type(addon)):
            is_script = type(addon) is ModuleType
            if not is_script and (not is_bundled(addon) or getattr(addon, name, None)):
                return None
            children = vars(addon).get("addons") if is_script else getattr(addon, "addons", None)
            if type(children) is not list or len(children) != 1 or len(steps) >= DEEPEST:
                return None
            steps.append((addon, children[0], vars(addon) if is_script else None))
            addon = children[0]
        family = self._family(addon)
        calls = family.of(name) if family else None
        return None if family is None or calls is None else Lane(tuple(steps), family, calls)


def _is_hook(found: object, addon: object, name: str) -> bool:
    """Return whether an attribute is a hook; a module of that name, as `log` once was, is not."""
    if callable(found):
        return True
    if isinstance(found, ModuleType):
        return False
    raise exceptions.AddonManagerError(f"Addon handler {name} ({addon}) not callable")


def _push(rows: list[Iterator[object]], children: Any) -> None:
    if len(rows) >= DEEPEST:
        raise RecursionError("maximum recursion depth exceeded: addons contain one another")
    rows.append(iter(children))


def _begin(running: Running) -> Awaitable[None] | None:
    """Call hooks up to the first that has to be awaited; return what does the rest, or None if nothing is left."""
    for awaited in running:
        return _finish(awaited, running)
    return None


async def _finish(awaited: Awaitable[object], running: Running) -> None:
    with suppress(StopIteration):
        while True:
            try:
                await awaited
            except Exception as error:  # noqa: BLE001 - handled where the hook was called
                awaited = running.throw(error)
            else:
                awaited = next(running)


async def _raise(error: Exception) -> None:
    raise error


def _log(error: Exception) -> None:
    """Log an error in a hook as mitmproxy's `safecall` does: without the frames of its callers."""
    whole = error.__traceback__
    trace = addonmanager.cut_traceback(whole, "invoke_addon_sync")
    while trace is not None and trace.tb_frame.f_globals is globals():
        trace = trace.tb_next
    addonmanager.logger.error(f"Addon error: {error}", exc_info=(type(error), error, trace or whole))
