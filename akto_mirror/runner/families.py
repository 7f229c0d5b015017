"""An addon of this package with its children, and the shortcut to it from mitmproxy's script loader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

# Hooks of a family, each with the child's index; -1 is the addon itself.
Calls: TypeAlias = tuple[tuple[int, Callable[..., object]], ...]


class Family(NamedTuple):
    """An addon of this package with its children.

    Attributes:
        addon: the addon.
        children: the addons in it when their hooks were looked up.
        hooks: the hooks to call, by an event's name.
    """

    addon: Any
    children: list[object]
    hooks: dict[str, Calls | None]

    def is_as_asked(self) -> bool:
        """Return whether it still has the same children in the same order."""
        return bool(self.addon.addons == self.children)

    def of(self, name: str) -> Calls | None:
        """Return the hooks to call for an event; None if one of them cannot be called."""
        if name not in self.hooks:
            asked = [(place, getattr(each, name, None)) for place, each in enumerate([self.addon, *self.children], -1)]
            found = [(place, hook) for place, hook in asked if hook]
            self.hooks[name] = tuple(found) if all(callable(hook) for _, hook in found) else None
        return self.hooks[name]


class Lane(NamedTuple):
    """The path from mitmproxy's script loader, through a script that holds no other addon, to a family.

    Attributes:
        steps: each addon on the path with its only child, and the script's names if it is a script.
        family: the end of the path.
        calls: the hooks to call there.
    """

    steps: tuple[tuple[Any, object, dict[str, object] | None], ...]
    family: Family
    calls: Calls

    def held(self, name: str) -> list[list[object]] | None:
        """Return the current children of each addon on the path; None if it has changed or a script has hooks."""
        lists = []
        for holder, below, names in self.steps:
            children = getattr(holder, "addons", None)
            if type(children) is not list or len(children) != 1 or children[0] is not below:
                return None
            if names is not None and (name in names or "__getattr__" in names):
                return None
            lists.append(children)
        return lists if self.family.is_as_asked() else None

    def leads_nowhere(self, name: str) -> bool:
        """Return whether nothing on the way and nothing at its end listens to an event."""
        return not self.calls and self.held(name) is not None
