"""Which addons have hooks for an event: those of mitmproxy and of this package are checked once, scripts each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from functools import lru_cache
from typing import Any, TypeAlias, cast

from mitmproxy import hooks
from mitmproxy.addons.onboarding import Onboarding

from akto_mirror.runner.families import Lane

# The packages of mitmproxy's addons and of ours.
BUNDLED = "mitmproxy.addons."
OURS = "akto_mirror."

# An addon that has, or may have, a hook for an event: its index in the chain, the addon, the hook to call, which is
# None if the addon has to be checked at each event, and a shortcut for that check. A plain tuple is unpacked faster.
Step: TypeAlias = tuple[int, object, Callable[..., object] | None, Lane | None]

# The steps of one type of event, in the chain's order, and the names of its arguments, or None if the event constructs
# its arguments itself.
Plan: TypeAlias = tuple[tuple[str, ...] | None, tuple[Step, ...]]

Plans: TypeAlias = dict[type[hooks.Hook], Plan]

# Finds a shortcut to the hooks of an addon for the event of a name.
Finder: TypeAlias = Callable[[object, str], Lane | None]


def plan(kind: type[hooks.Hook], chain: Sequence[object], lane: Finder) -> Plan:
    """Plan an event."""
    is_plain = kind.args is hooks.Hook.args
    names = tuple(field.name for field in fields(cast(Any, kind))) if is_plain else None
    return names, tuple(_steps(kind.name, chain, lane))


def _steps(name: str, chain: Sequence[object], lane: Finder) -> Iterator[Step]:
    for place, addon in enumerate(chain):
        if not _is_fixed(addon):
            yield place, addon, None, lane(addon, name)
        elif hook := getattr(addon, name, None):
            yield place, addon, _direct(addon, hook) if callable(hook) else None, None


def _direct(addon: object, hook: Callable[..., object]) -> Callable[..., object]:
    """Return a hook that makes no coroutine for requests to others than mitmproxy's web app for its certificates."""
    if not isinstance(addon, Onboarding) or getattr(hook, "__func__", None) is not Onboarding.request:
        return hook
    return lambda flow: hook(flow) if addon.should_serve(flow) else None


def _is_fixed(addon: object) -> bool:
    return (is_ours(type(addon)) or is_bundled(addon)) and not hasattr(addon, "addons")


def is_bundled(addon: object) -> bool:
    """Return whether an addon is one of mitmproxy's."""
    return type(addon).__module__.startswith(BUNDLED)


def is_leaf(addon: object) -> bool:
    """Return whether an addon is one of this package's, without children."""
    return is_ours(type(addon)) and not hasattr(addon, "addons")


def _defined_here(kind: type) -> bool:
    return kind.__module__.startswith(OURS)


# Whether a class is one of this package's.
is_ours = cast(Callable[[type], bool], lru_cache(maxsize=1024)(_defined_here))
