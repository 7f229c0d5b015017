"""The steps of a check: their order and their time-outs."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from akto_mirror.delivery.sinks import destination
from akto_mirror.delivery.sinks.choose import SinkConfig
from akto_mirror.diagnostics import checks
from akto_mirror.ingestion.service import Receiver
from tests.support.checking import Check, talking


def test_a_service_that_is_well_passes_every_step(check: Check) -> None:
    """Each step is a line with ✓, the exit code is 0, and no entry is sent without --send."""
    with Receiver() as server:
        outcome = check(server.url)
        assert (outcome.code, server.entries) == (0, [])
    assert outcome.marks == ["✓ resolve", "✓ connect", "✓ /healthCheck", "✓ /api/auth-check"]
    assert "→" not in outcome.out


def test_a_silent_server_is_given_up(check: Check) -> None:
    """A server that accepts and never answers fails the step within the time-out."""

    def wait(_: socket.socket, ended: threading.Event) -> None:
        ended.wait()

    with talking(wait) as url:
        outcome = check(url, "--timeout", "0.3")
    assert outcome.marks == ["✓ resolve", "✓ connect", "✗ /healthCheck", "✗ /api/auth-check"]
    assert "no answer within 0.3 s" in outcome.out


def drip(connection: socket.socket, ended: threading.Event) -> None:
    """Send one byte at a time, endlessly."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-")
    while not ended.wait(0.05):
        connection.sendall(b"a")


def test_a_server_that_drips_is_given_up(check: Check) -> None:
    """The time-out limits the whole step, not the wait for the next byte."""
    with talking(drip) as url:
        assert "no answer within 0.5 s" in check(url, "--timeout", "0.5").out


def test_a_sink_that_is_a_file_has_nothing_to_check() -> None:
    """A file cannot be checked here; a server over HTTP can."""
    with pytest.raises(ValueError, match="only http"):
        checks.target_of(SinkConfig(destination.parse("file:///tmp/x.ndjson")))
    assert isinstance(checks.target_of(SinkConfig(destination.parse("http://h"))), checks.Target)


def test_the_spool_s_folder_is_looked_at(tmp_path: Path) -> None:
    """The option's folder or else the default one is checked, and a hint says what to do."""
    assert checks.spool_step(str(tmp_path / "new"), {}).ok
    found = checks.spool_step("", {"XDG_STATE_HOME": str(tmp_path)})
    assert (found.ok, found.detail) == (True, f"{tmp_path}/akto-mirror")
    failed = checks.spool_step("relative", {})
    assert (failed.ok, failed.detail, failed.hint) == (
        False,
        "akto_spool_dir=relative cannot be used",
        "write an absolute path",
    )


def test_a_failed_step_has_a_second_line() -> None:
    """The second line says what to do."""
    lines = list[str]()
    checks.show(checks.Step("connect", ok=True, detail="1.2.3.4:5"), lines.append)
    checks.show(checks.Step("topic", ok=False, detail="none", hint="create it"), lines.append)
    assert lines == ["✓ connect          1.2.3.4:5", "✗ topic            none", f"{'':<18} → create it"]
