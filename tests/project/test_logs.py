"""Every command that sends the log to a file or a pipe turns off Python's buffering, which would delay 8 KiB of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environment import bare
from tests.support.proxy import ROOT
from tests.support.recipes import EXAMPLES

SETTING = "PYTHONUNBUFFERED"
PROGRAMS = r"""(?:\b(?:mitmdump|mitmweb|mitmproxy)(?=\s)|\bakto-mirror[\s"',]+run\b)"""

# A service manager, or a shell that redirects to a file or a pipe, or runs in the background.
ELSEWHERE = re.compile(rf"\b(?:nohup|systemd-run|docker run)\b.*{PROGRAMS}|{PROGRAMS}.*(?:>|\||&\s*$)")
QUOTED = re.compile(r"""'[^']*'|"[^"]*"|&&|\|\|""")
DOCS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def recipes() -> dict[str, str]:
    """Return the recipes that run a program of mitmproxy, without their comments."""
    files = [path for path in EXAMPLES.iterdir() if path.is_file() and path.suffix != ".py"]
    texts = {path.name: re.sub(r"(?m)^\s*#.*$", "", path.read_text()) for path in files}
    return {name: text for name, text in texts.items() if re.search(PROGRAMS, text)}


def test_every_recipe_has_its_log_written_at_once() -> None:
    """The scripts, the unit and the image set it; containers of compose.yaml and kubernetes.yaml run the image."""
    found = recipes()
    assert found.keys() >= {"reverse.sh", "akto-mirror.service", "Dockerfile"}
    assert [name for name, text in found.items() if f"{SETTING}=1" not in text] == []


@pytest.mark.parametrize("path", DOCS, ids=lambda path: path.name)
def test_docs_that_send_the_log_elsewhere_set_it(path: Path) -> None:
    """The variable is set in the same paragraph."""
    assert [text for text, commands in paragraphs(path.read_text()) if any(commands) and SETTING not in text] == []


def test_such_a_line_is_found() -> None:
    """Such a line is found in a block and in running text; a pipe in quotes does not count."""
    text = "    mitmdump -s x.py > log\n\nUse `mitmweb | tee`.\n\n    mitmdump --set 'akto_filter=~u a | ~u b'\n"
    assert [any(commands) for _, commands in paragraphs(text)] == [True, True, False]
    assert any(any(commands) for path in DOCS for _, commands in paragraphs(path.read_text()))


def paragraphs(text: str) -> Iterator[tuple[str, list[str]]]:
    """Return each paragraph or row of a table, and its commands that send a log elsewhere."""
    for part in re.split(r"\n\s*\n|\n(?=\|)", text):
        commands = [*re.findall(r"`([^`]+)`", part), *re.findall(r"(?m)^    (.*)$", part)]
        yield part, [each for each in commands if ELSEWHERE.search(QUOTED.sub("", each))]


def test_tests_inherit_nothing_that_hides_a_held_back_log() -> None:
    """Neither the tests' own process nor its children inherit the variable."""
    assert SETTING not in os.environ
    assert SETTING not in bare()
