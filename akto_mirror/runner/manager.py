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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from types import ModuleType
from typing import Any, NamedTuple, cast

from mitmproxy import addonmanager, exceptions, flow, hooks

from akto_mirror.runner.families import Calls, Family, Lane

# The packages of mitmproxy's addons and of ours.
BUNDLED = "mitmproxy.addons."
OURS = "akto_mirror."

# mitmproxy's own traversal also ends this way if addons contain one another, at Python's recursion limit.
DEEPEST = sys.getrecursionlimit()

_NONE = object()


class Step(NamedTuple):
    """An addon that has, or may have, a hook for an event.

    Attributes:
        place: its index in the chain.
        addon: the addon.
        hook: the hook to call; None if the addon has to be checked at each event.
        lane: a shortcut for the check; None if there is none.
    """

    place: int
    addon: object
    hook: Callable[..., object] | None
    lane: Lane | None = None


class Plan(NamedTuple):
    """The steps of one type of event, in the chain's order, and the names of its arguments.

    There are no names if the event constructs its arguments itself.
    """

    arguments: tuple[str, ...] | None
    steps: tuple[Step, ...]


class TableManager(addonmanager.AddonManager):
    """Replaces mitmproxy's manager; see the module's docstring.

    `trigger`, for configure and for the log, works as before. A change of the chain, of addons or of options takes
    effect at once, also in the middle of an event. A hook that a script sets on one of mitmproxy's own addons while
    the proxy runs takes effect only after the next such change.
    """

    # On the class, because mitmproxy's master creates its manager itself: the instance gets this class later.
    _plans: dict[type[hooks.Hook], Plan] = {}  # noqa: RUF012 - never changed, only replaced
    _planned: list[object] = []  # noqa: RUF012 - as above
    _families: dict[int, Family] = {}  # noqa: RUF012 - as above

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

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Trigger an event and, after one of a flow, the update of the flow, as mitmproxy does."""
        plan = self._plans.get(type(event)) or self._plan(type(event))
        message = getattr(event, plan.arguments[0]) if plan.arguments else event.args()[0]
        await self.trigger_event(event)
        if isinstance(message, flow.Flow) and not self._is_unheard(hooks.UpdateHook):
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call the hooks of an event in all addons; an error is logged and ends those of one addon and its children."""
        chain = self.chain
        if chain != self._planned:
            self._forget()
        plans, planned = self._plans, self._planned
        arguments, steps = plans.get(type(event)) or self._plan(type(event))
        values = event.args() if arguments is None else [getattr(event, name) for name in arguments]
        for place, addon, hook, lane in steps:
            try:
                result = hook(*values) if hook is not None else self._ask(addon, lane, event.name, values)
                if result is not None and inspect.isawaitable(result):
                    await result
            except exceptions.AddonHalt:
                return None
            except exceptions.OptionsError:
                raise
            except Exception as error:  # noqa: BLE001 - as mitmproxy does
                _log(error, asked=hook is None)
            if plans is not self._plans or chain != planned:
                return await self._walk(islice(chain, place + 1, None), event)
        return None

    def _is_unheard(self, kind: type[hooks.Hook]) -> bool:
        """Return whether it is certain that no addon has a hook for an event."""
        if self.chain != self._planned:
            return False
        steps = (self._plans.get(kind) or self._plan(kind)).steps
        return all(step.lane is not None and step.lane.leads_nowhere(kind.name) for step in steps)

    async def invoke_addon(self, addon: object, event: hooks.Hook) -> None:
        """Call the hooks of an event in one addon and its children, checking each when its turn comes."""
        await self._invoke([iter((addon,))], event.name, event.args())

    def _ask(self, addon: object, lane: Lane | None, name: str, values: Sequence[object]) -> Awaitable[None] | None:
        """Return a function that calls the hooks of an addon and its children; None if there certainly are none."""
        lists = lane.held(name) if lane else None
        if lane is None or lists is None:
            return self._invoke([iter((addon,))], name, values)
        return self._take(lane, lists, name, values) if lane.calls else None

    async def _take(self, lane: Lane, lists: list[list[object]], name: str, values: Sequence[object]) -> None:
        """Call the hooks at the end of a lane; after a change, check the rest of the addons on it."""
        rest = await self._invoke_family(lane.family, lane.calls, values)
        if rest is not None:
            await self._invoke([*(islice(iter(each), 1, None) for each in lists), rest], name, values)

    async def _invoke(self, rows: list[Iterator[object]], name: str, values: Sequence[object]) -> None:
        while rows:
            for each in rows[-1]:
                if _is_ours(type(each)) and (family := self._family(each)) and (calls := family.of(name)) is not None:
                    if (rest := await self._invoke_family(family, calls, values)) is None:
                        continue
                    rows.append(rest)
                    break
                hook = getattr(each, name, None)
                if hook and _is_hook(hook, each, name):
                    result = hook(*values)
                    if result is not None and inspect.isawaitable(result):
                        await result
                children = getattr(each, "addons", _NONE)
                if children is not _NONE:
                    _push(rows, children)
                    break
            else:
                rows.pop()

    async def _invoke_family(self, family: Family, calls: Calls, values: Sequence[object]) -> Iterator[object] | None:
        """Call the hooks of a family; returns the children that have to be checked because something has changed."""
        families = self._families
        for place, hook in calls:
            result = hook(*values)
            if result is not None and inspect.isawaitable(result):
                await result
            if self._families is not families or not family.is_as_asked():
                return islice(iter(family.addon.addons), place + 1, None)
        return None

    def _family(self, addon: object) -> Family | None:
        """Return an addon of this package with its children; None if one of them has to be checked at each event."""
        known = self._families.get(id(addon))
        if known is None or not known.is_as_asked():
            children = getattr(addon, "addons", None)
            if type(children) is not list or not all(map(_is_leaf, children)):
                return None
            known = self._families[id(addon)] = Family(addon, list(children), {})
        return known

    def _forget(self) -> None:
        self._plans, self._planned, self._families = {}, list(self.chain), {}

    def _plan(self, kind: type[hooks.Hook]) -> Plan:
        is_plain = kind.args is hooks.Hook.args
        names = tuple(field.name for field in fields(cast(Any, kind))) if is_plain else None
        plan = self._plans[kind] = Plan(names, tuple(self._steps(kind)))
        return plan

    def _steps(self, kind: type[hooks.Hook]) -> Iterator[Step]:
        for place, addon in enumerate(self.chain):
            if not _is_fixed(addon):
                yield Step(place, addon, None, self._lane(addon, kind.name))
            elif hook := getattr(addon, kind.name, None):
                yield Step(place, addon, hook if callable(hook) else None)

    def _lane(self, addon: object, name: str) -> Lane | None:
        steps: list[tuple[Any, object, dict[str, object] | None]] = []
        while not _is_ours(type(addon)):
            is_script = type(addon) is ModuleType
            if not is_script and (not _is_bundled(addon) or getattr(addon, name, None)):
                return None
            children = vars(addon).get("addons") if is_script else getattr(addon, "addons", None)
            if type(children) is not list or len(children) != 1 or len(steps) >= DEEPEST:
                return None
            steps.append((addon, children[0], vars(addon) if is_script else None))
            addon = children[0]
        family = self._family(addon)
        calls = family.of(name) if family else None
        return None if family is None or calls is None else Lane(tuple(steps), family, calls)

    async def _walk(self, rest: Iterator[object], event: hooks.Hook) -> None:
        """Traverse the rest of the chain as mitmproxy does, after it has changed during an event."""
        for addon in rest:
            try:
                await self._invoke([iter((addon,))], event.name, event.args())
            except exceptions.AddonHalt:
                return
            except exceptions.OptionsError:
                raise
            except Exception as error:  # noqa: BLE001 - as mitmproxy does
                _log(error, asked=True)


def _is_fixed(addon: object) -> bool:
    return (_is_ours(type(addon)) or _is_bundled(addon)) and not hasattr(addon, "addons")


def _is_bundled(addon: object) -> bool:
    return type(addon).__module__.startswith(BUNDLED)


def _is_leaf(addon: object) -> bool:
    return _is_ours(type(addon)) and not hasattr(addon, "addons")


def _defined_here(kind: type) -> bool:
    return kind.__module__.startswith(OURS)


_is_ours = cast(Callable[[type], bool], lru_cache(maxsize=1024)(_defined_here))


def _is_hook(found: object, addon: object, name: str) -> bool:
    """Return whether an attribute is a hook; a module of that name, as `log` once was, is not."""
    if callable(found):
        return True
    if isinstance(found, ModuleType):
        return False
    raise exceptions.AddonManagerError(f"Addon handler {name} ({addon}) not callable")


def _push(rows: list[Iterator[object]], children: Any) -> None:
    if len(rows) >= DEEPEST:
        raise RecursionError("maximum recursion depth exceeded: addons hold one another")
    rows.append(iter(children))


def _log(error: Exception, *, asked: bool) -> None:
    """Log an error in a hook as mitmproxy's `safecall` does: without the frames of its callers."""
    whole = error.__traceback__
    trace = addonmanager.cut_traceback(whole, "invoke_addon_sync")
    if asked or trace is not whole:
        for name in ("_take", "_invoke", "_invoke_family"):
            trace = addonmanager.cut_traceback(trace, name)
    else:
        trace = (whole.tb_next if whole else None) or whole
    addonmanager.logger.error(f"Addon error: {error}", exc_info=(type(error), error, trace))
