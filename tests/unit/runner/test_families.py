"""What an addon of ours is asked for, and when the short way to it holds no longer."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

from akto_mirror.runner.families import Family, Lane


class Part:
    """A child with one hook."""

    def request(self, flow: object) -> None:
        """Take a flow."""


def family(*children: object) -> Family:
    """Make one as it is when it was asked."""
    return Family(SimpleNamespace(addons=list(children)), list(children), {})


def test_hooks_come_with_the_place_of_their_addon() -> None:
    """The addon itself stands before its children; one that cannot be called sends mitmproxy's own way."""
    parts = [Part(), SimpleNamespace(), Part()]
    made = family(*parts)
    assert [place for place, _ in made.of("request") or ()] == [0, 2]
    assert made.of("response") == ()
    assert family(SimpleNamespace(request=7)).of("request") is None


def test_a_way_that_has_changed_is_not_taken() -> None:
    """Another child on it, or a script that listens itself."""
    made = family(Part())
    script: Any = ModuleType("script")
    script.addons = [made.addon]
    lane = Lane(((script, made.addon, vars(script)),), made, ())
    assert lane.held("request") == [[made.addon]]
    made.addon.addons.append(Part())
    assert lane.held("request") is None
    made.addon.addons.pop()
    script.request = print
    assert lane.held("request") is None
    assert lane.held("response") is not None
    script.addons.append(Part())
    assert lane.held("response") is None
