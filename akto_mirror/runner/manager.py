"""An addon manager that makes mitmproxy's calls in mitmproxy's order, at a fraction of the cost.

For every event, mitmproxy asks all of its addons whether they listen (`AddonManager.trigger_event` in
mitmproxy/addonmanager.py): three dozen attribute look-ups, each in a context manager and two generators, eight times a
request. Here the addons that come with mitmproxy are asked once: they hold no other addons, and what they listen to
does not change. Those of scripts may change at any time, so they are asked at every event, as mitmproxy does.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from itertools import islice
from types import ModuleType
from typing import Any, NamedTuple, cast

from mitmproxy import addonmanager, exceptions, flow, hooks

# Where the addons that come with mitmproxy are defined.
BUNDLED = "mitmproxy.addons."

# mitmproxy's own walk ends so as well where addons hold one another, by Python's limit.
DEEPEST = sys.getrecursionlimit()

_NONE = object()


class Step(NamedTuple):
    """An addon that an event concerns.

    Attributes:
        place: its index in the chain.
        addon: the addon.
        hook: what to call; None if the addon is to be asked at each event.
    """

    place: int
    addon: object
    hook: Callable[..., object] | None


class Plan(NamedTuple):
    """What an event of one type takes: the names of its arguments, and the steps in the chain's order."""

    arguments: tuple[str, ...]
    steps: tuple[Step, ...]


class TableManager(addonmanager.AddonManager):
    """Takes the place of mitmproxy's manager; see the module's docstring.

    `trigger`, for configure and for the log, works as before. A change of the chain, of addons or of options is seen at
    once, also in the middle of an event. Not seen before the next such change is a hook that a script puts on one of
    mitmproxy's own addons while the proxy runs.
    """

    # On the class, for mitmproxy's master makes its manager itself: an instance gets this class later.
    _plans: dict[type[hooks.Hook], Plan] = {}  # noqa: RUF012 - never changed, only replaced
    _planned: list[object] = []  # noqa: RUF012 - as above

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
        super().trigger(event)
        if isinstance(event, hooks.ConfigureHook):
            self._forget()

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Trigger an event, and after one of a flow, that the flow has been updated; as mitmproxy does."""
        message = event.args()[0]
        await self.trigger_event(event)
        if isinstance(message, flow.Flow):
            await self.trigger_event(hooks.UpdateHook([message]))

    async def trigger_event(self, event: hooks.Hook) -> None:
        """Call the hooks of an event in all addons; an error is logged and ends those of one addon and its children."""
        chain = self.chain
        if chain != self._planned:
            self._forget()
        plans, planned = self._plans, self._planned
        arguments, steps = plans.get(type(event)) or self._plan(type(event))
        values = [getattr(event, name) for name in arguments]
        for place, addon, hook in steps:
            try:
                if hook is None:
                    await self.invoke_addon(addon, event)
                else:
                    result = hook(*values)
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

    async def invoke_addon(self, addon: object, event: hooks.Hook) -> None:
        """Call the hooks of an event in one addon and its children, each asked when its turn comes."""
        name = event.name
        rows: list[Iterator[object]] = [iter((addon,))]
        while rows:
            for each in rows[-1]:
                hook = getattr(each, name, None)
                if hook and _is_hook(hook, each, name):
                    result = hook(*event.args())
                    if result is not None and inspect.isawaitable(result):
                        await result
                children = getattr(each, "addons", _NONE)
                if children is not _NONE:
                    _push(rows, children)
                    break
            else:
                rows.pop()

    def _forget(self) -> None:
        self._plans, self._planned = {}, list(self.chain)

    def _plan(self, kind: type[hooks.Hook]) -> Plan:
        names = tuple(field.name for field in fields(cast(Any, kind)))
        plan = self._plans[kind] = Plan(names, tuple(self._steps(kind)))
        return plan

    def _steps(self, kind: type[hooks.Hook]) -> Iterator[Step]:
        plain = kind.args is hooks.Hook.args
        for place, addon in enumerate(self.chain):
            if not (plain and _is_fixed(addon)):
                yield Step(place, addon, None)
            elif hook := getattr(addon, kind.name, None):
                yield Step(place, addon, hook if callable(hook) else None)

    async def _walk(self, rest: Iterator[object], event: hooks.Hook) -> None:
        """Go through the rest of the chain as mitmproxy does, after it has changed under way."""
        for addon in rest:
            try:
                with addonmanager.safecall():
                    await self.invoke_addon(addon, event)
            except exceptions.AddonHalt:
                return


def _is_fixed(addon: object) -> bool:
    return type(addon).__module__.startswith(BUNDLED) and not hasattr(addon, "addons")


def _is_hook(found: object, addon: object, name: str) -> bool:
    """Return whether an attribute is a hook; a module of that name, as `log` once was, is passed over."""
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
    """Log an error of a hook as mitmproxy's `safecall` does: without the frames of what called it."""
    whole = error.__traceback__
    trace = addonmanager.cut_traceback(whole, "invoke_addon_sync")
    if asked or trace is not whole:
        trace = addonmanager.cut_traceback(trace, "invoke_addon")
    else:
        trace = (whole.tb_next if whole else None) or whole
    addonmanager.logger.error(f"Addon error: {error}", exc_info=(type(error), error, trace))
