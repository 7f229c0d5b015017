"""Families, addons with their children, and the checks that they have not changed."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any

from akto_mirror.runner.families import Family, Lane


class Part:
    """A child with a request hook."""

    def request(self, flow: object) -> None:
        """Do nothing."""


def family(*children: object) -> Family:
    """Return a family with these children, which has just been looked up."""
    return Family(SimpleNamespace(addons=list(children)), list(children), {})


def test_hooks_come_with_the_place_of_their_addon() -> None:
    """Hooks have the position of their child; if a hook cannot be called, mitmproxy's own code is used."""
    parts = [Part(), SimpleNamespace(), Part()]
    made = family(*parts)
    assert [place for place, _ in made.of("request") or ()] == [0, 2]
    assert made.of("response") == ()
    assert family(SimpleNamespace(request=7)).of("request") is None


def test_a_way_that_has_changed_is_not_taken() -> None:
    """After a change of the children, or of the script, the family is not used."""
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
