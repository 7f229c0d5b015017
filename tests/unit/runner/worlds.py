"""Trees of addons that record their calls, and stories of changes and events, drawn as plain data.

A story is played once with each manager, each time with new addons.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
import types
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from mitmproxy import addonmanager, command, exceptions, hooks, options
from mitmproxy.proxy.layers import tls
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import tflow

EVENTS = ("request", "update", "running", "done", "configure", "load", "tls_start_server")

# Forms of a hook: what it is and what it does.
FORMS = (
    "returns",
    "raises",
    "halts",
    "refuses",
    "awaits",
    "awaits and raises",
    "awaits and halts",
    "returns an awaitable",
    "takes two arguments",
    "is a text",
    "is a module",
    "is None",
)

# Kinds of addons: from mitmproxy, from this package or from a script, and the way in which they hold their children.
FIXED = ("bundled", "bundled list", "bundled fresh list", "ours", "ours list")
KINDS = (*FIXED, "bare", "module", "list", "fresh list", "shy list", "tuple", "broken")

ACTS = (
    "add",
    "remove",
    "register below",
    "let go of children",
    "turn children",
    "turn children in a new list",
    "set a hook",
    "take a hook",
    "replace a hook of its class",
    "raise for children",
    "insert into the chain",
    "turn the chain",
    "change an option",
    "clear",
)


@dataclass(frozen=True)
class Act:
    """A change to the addons; `who` and `where` are numbers of addons, modulo their count."""

    what: str
    who: int = 0
    where: int = 0
    event: str = "request"
    form: str = "returns"


@dataclass(frozen=True)
class Hook:
    """A hook: its form, and the change that it makes when it is first called."""

    form: str
    act: Act | None = None


@dataclass(frozen=True)
class Spec:
    """An addon: its kind, its hooks, its parent among the earlier addons, and whether it is present from the start."""

    kind: str
    hooks: dict[str, Hook]
    parent: int | None
    is_there: bool


@dataclass(frozen=True)
class Story:
    """The addons, and the steps: changes and names of events."""

    addons: Sequence[Spec]
    steps: Sequence[Act | str]


class Notes(logging.Handler):
    """Records the managers' log."""

    def __init__(self, seen: list[object]) -> None:
        super().__init__()
        self._seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        """Record the message, and the traceback's frames if a hook raised an error."""
        frames = traceback.extract_tb(record.exc_info[2]) if record.exc_info else []
        is_hooks = bool(frames) and frames[-1].filename == __file__ and frames[-1].name != _shown.__name__
        shown = [frame.name for frame in frames] if is_hooks else None
        self._seen.append(("log", record.levelname, record.getMessage(), shown))


@dataclass
class World:
    """The addons of a story with one manager, and everything that was observed."""

    story: Story
    kind: type[addonmanager.AddonManager]
    seen: list[object] = field(default_factory=list)
    addons: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Create the addons; the world serves as the master that a manager needs."""
        self.options = options.Options()
        self.commands = command.CommandManager(self)
        self.manager: Any = self.kind(self)
        self._done: set[Act] = set()
        for number, spec in enumerate(self.story.addons):
            self.addons.append(self._make(number, spec))

    async def play(self) -> list[object]:
        """Play the story, and return everything that was observed."""
        notes = Notes(self.seen)
        addonmanager.logger.addHandler(notes)
        try:
            for number, spec in enumerate(self.story.addons):
                if spec.parent is None and spec.is_there:
                    self.act(Act("add", number))
            for step in self.story.steps:
                await self._step(step)
        finally:
            addonmanager.logger.removeHandler(notes)
        return self.seen

    async def _step(self, step: Act | str) -> None:
        if isinstance(step, Act):
            self.act(step)
        else:
            await self._event(step)
        names = [each.name for each in self.manager.chain]
        self.seen.append(("now", names, sorted(self.manager.lookup)))

    async def _event(self, name: str) -> None:
        self.seen.append(("event", name))
        try:
            await self._trigger(name)
        except (exceptions.MitmproxyException, ValueError, TypeError) as error:
            self.seen.append(("raised", type(error), str(error)))

    async def _trigger(self, name: str) -> None:
        manager = self.manager
        if name == "request":
            await manager.handle_lifecycle(HttpRequestHook(tflow.tflow()))
        elif name == "tls_start_server":
            await manager.handle_lifecycle(tls.TlsStartServerHook(object()))  # type: ignore[arg-type]
        elif name == "update":
            manager.trigger(hooks.UpdateHook([]))
        elif name == "configure":
            manager.trigger(hooks.ConfigureHook(set()))
        else:
            await manager.trigger_event(hooks.RunningHook() if name == "running" else hooks.DoneHook())

    def act(self, act: Act) -> None:
        """Make a change, and record its error."""
        self.seen.append(("act", act))
        try:
            self._do(act, act.who % len(self.addons), self.addons[act.where % len(self.addons)])
        except (exceptions.MitmproxyException, ValueError, TypeError, AttributeError) as error:
            self.seen.append(("refused", type(error), str(error)))

    def _do(self, act: Act, number: int, other: Any) -> None:  # noqa: C901, PLR0912 - a table of what can happen
        manager, addon = self.manager, self.addons[number]
        children: Any = addon.held
        is_known = addon.name in manager.lookup
        match act.what:
            case "add":
                manager.add(addon)
            case "remove":
                manager.remove(addon)
            case "register below" if not is_known and getattr(other, "held", None) is not None:
                if not _holds(addon, other):
                    other.held.append(addon)
                    manager.register(addon)
            case "let go of children" if children is not None:
                children.clear()
            case "turn children" if children is not None:
                children.reverse()
            case "turn children in a new list" if isinstance(addon, types.ModuleType):
                vars(addon).update(dict.fromkeys(("addons", "held"), children[::-1]))
            case "set a hook" if self._kind(number) not in FIXED:
                setattr(addon, act.event, self._hook(number, act.event, Hook(act.form)))
            case "take a hook" if self._kind(number) not in FIXED:
                delattr(addon, act.event)
            case "replace a hook of its class" if not isinstance(addon, types.ModuleType):
                # For the fixed kinds this takes effect at the next change of options.
                setattr(type(addon), act.event, _method(self._hook(number, act.event, Hook(act.form))))
                manager.trigger(hooks.ConfigureHook(set()))
            case "raise for children" if self._kind(number) == "shy list":
                addon.is_shy = True
            case "insert into the chain" if not is_known:
                manager.chain.insert(0, addon)
            case "turn the chain":
                manager.chain.reverse()
            case "change an option":
                self.options.update(anticache=not self.options.anticache)
            case "clear":
                manager.clear()

    def _kind(self, number: int) -> str:
        return self.story.addons[number].kind

    def _make(self, number: int, spec: Spec) -> Any:
        found = {event: self._hook(number, event, hook) for event, hook in spec.hooks.items()}
        held: list[object] = []
        content: dict[str, Any] = {"name": f"addon {number}", "held": held}
        if spec.kind in ("bundled", "ours", "bare"):
            content["held"] = None
        elif spec.kind.endswith("fresh list"):
            content["addons"] = property(lambda addon: list(addon.held))
        elif spec.kind == "shy list":
            content |= {"addons": property(_shown), "is_shy": False}
        elif spec.kind == "tuple":
            content["addons"] = property(lambda addon: tuple(addon.held))
        else:
            content["addons"] = None if spec.kind == "broken" else held
        if spec.parent is not None and self.addons[spec.parent].held is not None:
            self.addons[spec.parent].held.append(addon := _addon(spec.kind, content, found))
            return addon
        return _addon(spec.kind, content, found)

    def _hook(self, number: int, event: str, hook: Hook) -> Any:
        if hook.form.startswith("is "):
            return {"is a text": "text", "is a module": asyncio, "is None": None}[hook.form]

        def begin(*arguments: object) -> None:
            self.seen.append((number, event, hook.form, [type(each) for each in arguments]))
            if hook.act is not None and hook.act not in self._done:
                self._done.add(hook.act)
                self.act(hook.act)

        return _callable(hook.form, begin, f"{event} of {number}")


def _addon(kind: str, content: dict[str, Any], found: dict[str, Any]) -> Any:
    if kind == "module":
        module = types.ModuleType(content["name"])
        vars(module).update(content | found)
        return module
    place = {"bundled": "mitmproxy.addons.made_up", "ours": "akto_mirror.made_up"}.get(kind.partition(" ")[0], __name__)
    methods = {event: _method(each) for event, each in found.items()}
    return type("Made", (), {"__module__": place, "__repr__": lambda addon: addon.name, **content, **methods})()


def _shown(addon: Any) -> list[object]:
    if addon.is_shy:
        raise ValueError("shy")
    return list(addon.held)


def _method(found: Any) -> Any:
    return staticmethod(found) if callable(found) else found


def _holds(addon: Any, other: Any) -> bool:
    """Return whether an addon is the other one or an ancestor of it: with a cycle, no manager would end."""
    return addon is other or any(_holds(child, other) for child in addon.held or ())


def _callable(form: str, begin: Callable[..., None], text: str) -> Any:
    def end() -> None:
        if form.endswith("raises"):
            raise ValueError(text)
        if form.endswith("halts"):
            raise exceptions.AddonHalt
        if form == "refuses":
            raise exceptions.OptionsError(text)

    async def slow(*arguments: object) -> None:
        await asyncio.sleep(0)
        begin(*arguments)
        end()

    def quick(*arguments: object) -> Coroutine[Any, Any, None] | None:
        if form == "returns an awaitable":
            return slow(*arguments)
        begin(*arguments)
        end()
        return None

    def other(one: object, two: object) -> None:
        raise AssertionError(f"no event has two arguments: {one}, {two}")

    if form == "takes two arguments":
        return other
    return slow if form.startswith("awaits") else quick
