"""An addon of ours with its children, and the short way to it from an addon of mitmproxy's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

# Hooks of a family, each with the child's index, which for the addon itself is -1.
Calls: TypeAlias = tuple[tuple[int, Callable[..., object]], ...]


class Family(NamedTuple):
    """An addon of ours with its children.

    Attributes:
        addon: the addon.
        children: what it held when they were asked.
        hooks: what to call, by an event's name.
    """

    addon: Any
    children: list[object]
    hooks: dict[str, Calls | None]

    def is_as_asked(self) -> bool:
        """Return whether it still holds the same addons in the same order."""
        return bool(self.addon.addons == self.children)

    def of(self, name: str) -> Calls | None:
        """Return what to call for an event; None if one of them has a hook that cannot be called."""
        if name not in self.hooks:
            asked = [(place, getattr(each, name, None)) for place, each in enumerate([self.addon, *self.children], -1)]
            found = [(place, hook) for place, hook in asked if hook]
            self.hooks[name] = tuple(found) if all(callable(hook) for _, hook in found) else None
        return self.hooks[name]


class Lane(NamedTuple):
    """The way from an addon of mitmproxy's, by way of a script that holds nothing else, to a family of ours.

    Attributes:
        steps: each one on the way with the only addon that it held, and the script's names if it is one.
        family: where the way ends.
        calls: what to call there.
    """

    steps: tuple[tuple[Any, object, dict[str, object] | None], ...]
    family: Family
    calls: Calls

    def held(self, name: str) -> list[list[object]] | None:
        """Return what each on the way holds now; None if the way has changed, or a script listens itself."""
        lists = []
        for holder, below, names in self.steps:
            children = getattr(holder, "addons", None)
            if type(children) is not list or len(children) != 1 or children[0] is not below:
                return None
            if names is not None and (name in names or "__getattr__" in names):
                return None
            lists.append(children)
        return lists if self.family.is_as_asked() else None
