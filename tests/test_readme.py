"""The README says what is so."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys

import pytest

from akto_mirror.config.declarations import OPTIONS, Option
from tests.support.proxy import ROOT
from tests.test_packaging import locked

README = ROOT / "README.md"
BETWEEN = re.compile(r"(?<=<!-- options -->\n).*?(?=<!-- /options -->)", re.DOTALL)


def row(option: Option) -> str:
    """Return an option's line of the table."""
    default = option.default if isinstance(option.default, str) else str(option.default).lower()
    shown = f"`{default}`" if default and default != "[]" else "empty"
    return f"| `{option.name}` | {shown} | {option.help} |\n"


def table() -> str:
    """Return the table of all options."""
    return "| option | default | meaning |\n|---|---|---|\n" + "".join(map(row, OPTIONS))


def test_options_table() -> None:
    """The table of options is what the declarations say; `python -m tests.test_readme` writes it."""
    found = BETWEEN.search(README.read_text())
    assert found
    assert found[0] == table()


def test_links() -> None:
    """Every file that the README links to is there."""
    missing = [link for link in re.findall(r"\]\(([^):#]+)\)", README.read_text()) if not (ROOT / link).exists()]
    assert missing == []


def test_recipes() -> None:
    """Every recipe is in the README."""
    text = README.read_text()
    assert [path.name for path in (ROOT / "examples").iterdir() if path.is_file() and path.name not in text] == []


def test_the_vulnerable_releases_are_those_of_python_3_11() -> None:
    """What the warning names is what Python 3.11 gets; newer Pythons get other releases."""
    warning = README.read_text().partition("chooses another interpreter")[2].partition("\n\n")[0]
    named = dict(re.findall(r"(h11|h2|tornado) (\d[\d.]*\d)", warning))
    assert named.keys() == {"h11", "h2", "tornado"}
    assert named.items() <= locked("3.11").items()
    assert named.items() & locked("3.12").items() == set()


@pytest.mark.parametrize("command", ["sink", "check", "replay", "demo", "doctor", "addon-path"])
def test_commands(command: str) -> None:
    """Every command that the README names has a help text."""
    shown = subprocess.run(
        [sys.executable, "-m", "akto_mirror", command, "--help"], capture_output=True, text=True, check=True
    )
    assert f"akto-mirror {command}" in shown.stdout
    assert f"akto-mirror {command}" in README.read_text() or f"make {command}" in README.read_text()


if __name__ == "__main__":
    argparse.ArgumentParser(description="Write the README's table of options.").parse_args()
    README.write_text(BETWEEN.sub(lambda _: table(), README.read_text()))
