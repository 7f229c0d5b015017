"""`akto-mirror run` reads its arguments as mitmdump does."""

from __future__ import annotations

import argparse
import asyncio
import io
from typing import Any, cast
from unittest import mock

import pytest
from mitmproxy import options
from mitmproxy.tools import cmdline, main

from akto_mirror.runner import command
from akto_mirror.runner.master import RunMaster
from tests.support.proxy import ADDON


@pytest.mark.parametrize("words", [[], ["~m", "GET"], ["-n", "~u /a b"]])
def test_filters_become_the_options_that_mitmdump_makes_of_them(words: list[str]) -> None:
    """The options equal those that mitmdump's own function makes of the same filters."""
    with mock.patch.object(main, "run") as run:
        cast("Any", main.mitmdump)(words)
    (_, make_parser, given_words, extra), _ = run.call_args
    assert (make_parser,) == (cmdline.mitmdump,)
    given = asyncio.run(_options())
    args: argparse.Namespace = make_parser(given).parse_args(given_words)
    assert command.filters(args) == extra(args)


async def _options() -> options.Options:
    given = options.Options()
    RunMaster(given, ADDON)._legacy_log_events.uninstall()
    return given


def test_the_log_appears_in_a_file_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each line is written at once; another object in place of standard output, as in an embedding program, is kept."""
    file = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(file))
    command.write_at_once()
    print("akto: all is well")  # noqa: T201 - what mitmproxy does
    assert file.getvalue() == b"akto: all is well\n"
    monkeypatch.setattr("sys.stdout", io.StringIO())
    command.write_at_once()
