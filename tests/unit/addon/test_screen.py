"""The content view, and the marks in mitmproxy's interfaces."""

from __future__ import annotations

import pytest

from akto_mirror.addon.screen import Screen, foresee
from tests.support.flows import flow, response
from tests.support.harness import Harness, mirroring


class View:
    """mitmproxy's list of flows, whose name shows that there is a screen."""

    name = "view"


def screen(mirror: Harness) -> Screen:
    """Return the addon's part for screens."""
    return next(part for part in mirror.addon.addons if isinstance(part, Screen))


@pytest.mark.parametrize("there", [True, False])
def test_marks_are_put_where_there_is_a_screen(there: bool) -> None:
    """Without a screen, as in mitmdump, flows are not marked."""
    with mirroring(screen=View() if there else None, url="") as mirror:
        made = flow()
        mirror.pass_on(made)
        assert (mirror.addon.session.lasting.marks is not None) is there
        assert bool(made.comment) is there
        assert bool(made.marked) is there


def test_a_flow_is_foreseen_whatever_became_of_it() -> None:
    """The preview has the verdict of the rules, and an entry in any case."""
    with mirroring() as mirror:
        assert mirror.addon.session.capture is not None
        verdict, made = foresee(flow(answer=response(404)), mirror.addon.session.capture)
    assert verdict == "skipped (status 404)"
    assert made.entry.statusCode == "404"


def test_the_view_shows_what_became_of_a_flow() -> None:
    """The view shows the verdict or, if the options are wrong, where to look."""
    with mirroring() as mirror:
        made = flow()
        mirror.pass_on(made)
        assert screen(mirror).explain(made).startswith("# akto: captured")
        mirror.addon.session.capture = None
        assert "an akto_ option is invalid" in screen(mirror).explain(made)
