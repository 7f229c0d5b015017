"""What the content view shows, and when it is there."""

from __future__ import annotations

import pytest

from akto_mirror.addon.screen import Screen, foresee
from tests.support.flows import flow, response
from tests.support.harness import Harness, mirroring


class View:
    """mitmproxy's list of flows, by whose name a screen is known."""

    name = "view"


def screen(mirror: Harness) -> Screen:
    """Return the part of the addon."""
    return next(part for part in mirror.addon.addons if isinstance(part, Screen))


@pytest.mark.parametrize("there", [True, False])
def test_marks_are_put_where_there_is_a_screen(there: bool) -> None:
    """Mitmdump has none, and its flows are left as they are."""
    with mirroring(screen=View() if there else None, url="") as mirror:
        made = flow()
        mirror.pass_on(made)
        assert (mirror.addon.session.lasting.marks is not None) is there
        assert bool(made.comment) is there
        assert bool(made.marked) is there


def test_a_flow_is_foreseen_whatever_became_of_it() -> None:
    """The verdict of the rules, and an entry all the same."""
    with mirroring() as mirror:
        assert mirror.addon.session.capture is not None
        verdict, made = foresee(flow(answer=response(404)), mirror.addon.session.capture)
    assert verdict == "skipped (status 404)"
    assert made.entry.statusCode == "404"


def test_the_view_shows_what_became_of_a_flow() -> None:
    """First the verdict, and once the options are wrong, where to look."""
    with mirroring() as mirror:
        made = flow()
        mirror.pass_on(made)
        assert screen(mirror).explain(made).startswith("# akto: captured")
        mirror.addon.session.capture = None
        assert "options are not in order" in screen(mirror).explain(made)
