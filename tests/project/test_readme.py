"""The README matches the repository."""

from __future__ import annotations

import re

from tests.support.constraints import locked
from tests.support.proxy import ROOT

README = ROOT / "README.md"


def test_links() -> None:
    """Every file that the README links to exists."""
    missing = [link for link in re.findall(r"\]\(([^):#]+)\)", README.read_text()) if not (ROOT / link).exists()]
    assert missing == []


def test_recipes() -> None:
    """Every recipe is in the list of recipes."""
    text = (ROOT / "docs" / "recipes.md").read_text()
    assert [path.name for path in (ROOT / "examples").iterdir() if path.is_file() and path.name not in text] == []


def test_the_vulnerable_releases_are_those_of_python_3_11() -> None:
    """The warning names the releases that Python 3.11 gets; newer Pythons get other ones."""
    warning = README.read_text().partition("chooses another interpreter")[2].partition("\n\n")[0]
    named = dict(re.findall(r"(h11|h2|tornado) (\d[\d.]*\d)", warning))
    assert named.keys() == {"h11", "h2", "tornado"}
    assert named.items() <= locked("3.11").items()
    assert named.items() & locked("3.12").items() == set()


def test_size() -> None:
    """The README is short: it links to the docs instead of repeating them."""
    assert len(README.read_bytes()) <= 6_000
