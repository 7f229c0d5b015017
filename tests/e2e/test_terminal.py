"""The terminal program mitmproxy with the addon, on a real terminal: verdicts, commands, and shutdown."""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from akto_mirror.ingestion.service import Receiver
from tests.faults.server import HANG, FaultServer
from tests.support.api import serving_api
from tests.support.proxy import ADDON, confdir
from tests.support.terminal import Terminal, needs_tmux, on_terminal

MITMPROXY = Path(sysconfig.get_path("scripts")) / "mitmproxy"
pytestmark = [needs_tmux, pytest.mark.e2e]


@dataclass(frozen=True)
class Program:
    """mitmproxy on a terminal, its proxy, and the ingestion service.

    Attributes:
        terminal: its screen and keyboard.
        url: the address of its proxy.
        akto: the ingestion service that gets the entries.
    """

    terminal: Terminal
    url: str
    akto: Receiver

    def command(self, line: str) -> None:
        """Type a command."""
        self.terminal.type(f":{line}")
        self.terminal.press("Enter")


@contextmanager
def mitmproxy(**options: str) -> Iterator[Program]:
    """Run mitmproxy with the addon in front of a small API."""
    with serving_api() as api, Receiver() as akto:
        values = {"confdir": str(confdir()), "akto_url": akto.url} | options
        words = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
        command = [str(MITMPROXY), "--mode", f"reverse:{api.url}@127.0.0.1:0", "-s", str(ADDON), *words]
        with on_terminal(command) as terminal:
            found = terminal.wait_for(r"\[127\.0\.0\.1:(\d+)\]")
            yield Program(terminal, f"http://127.0.0.1:{found[1]}", akto)


def test_mitmproxy_shows_the_verdict() -> None:
    """Each flow shows its mark in the list, and its verdict in its details."""
    with mitmproxy(akto_linger_ms="10") as program:
        httpx.get(f"{program.url}/lamps")
        program.terminal.wait_for(r"/lamps.*✔")
        program.terminal.press("Enter", "Left")
        program.terminal.wait_for(r"Comment: shipped")


def test_mitmproxy_answers_commands() -> None:
    """The answers of commands, counts and entries, are shown on the screen."""
    with mitmproxy(akto_linger_ms="10") as program:
        httpx.get(f"{program.url}/lamps")
        program.terminal.wait_for(r"/lamps.*✔")
        program.command("akto.stats")
        program.terminal.wait_for(r"captured 1 = shipped 1 \+ spooled 0 \+ rejected 0 \+ dropped 0")
        program.terminal.press("q")
        program.command("akto.preview @focus")
        program.terminal.wait_for(r"outcome\s+captured")
        program.terminal.wait_for(r"path\s+/lamps")


def test_mitmproxy_completes_commands() -> None:
    """Tab completes a command's name, then cycles through those with the same prefix."""
    with mitmproxy() as program:
        program.terminal.type(":akto.s")
        for name in ("akto.ship", "akto.stats", "akto.ship"):
            program.terminal.press("Tab")
            program.terminal.wait_for(rf": {re.escape(name)}")


def test_mitmproxy_lists_commands_with_help() -> None:
    """The list of commands has the addon's, with their arguments, results and help."""
    with mitmproxy() as program:
        program.command("console.view.commands")
        for line in (
            "akto.check",
            r"akto.preview flows -> data\[\]\[\]",
            "akto.ship flows -> str",
            "akto.stats -> str",
        ):
            program.terminal.wait_for(line)
        program.terminal.wait_for(r"Command Help\s+Check the connection to Akto step by step")


def test_mitmproxy_quits_and_flushes() -> None:
    """Line 7: the key q ends the terminal program after the waiting entries are sent."""
    with mitmproxy(akto_linger_ms="600000") as program:
        httpx.get(f"{program.url}/lamps")
        program.terminal.wait_for("/lamps")
        program.terminal.type("qy")
        assert program.terminal.exit_code() == 0
        assert [entry["path"] for entry in program.akto.entries] == ["/lamps"]
        program.terminal.wait_for(r"(?m)^akto: captured 1 = shipped 1 \+ spooled 0 \+ rejected 0")


def test_mitmproxy_quits_although_akto_hangs() -> None:
    """After q the program waits for Akto at most akto_shutdown_s, and counts unsent entries as spooled."""
    patience = {"akto_shutdown_s": "1", "akto_timeout_s": "600", "akto_linger_ms": "10"}
    with FaultServer(HANG) as hanging, mitmproxy(akto_url=hanging.url, **patience) as program:
        httpx.get(f"{program.url}/lamps")
        hanging.wait_for(lambda: hanging.seen.requests > 0)
        program.terminal.type("qy")
        assert program.terminal.exit_code() == 0
        program.terminal.wait_for(r"(?m)^akto: captured 1 = shipped 0 \+ spooled 1 ")
