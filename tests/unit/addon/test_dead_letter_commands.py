"""Delivery contract, line 6: dead letters can be listed, sent again and deleted from mitmproxy's command lines."""

from __future__ import annotations

import functools
import logging
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions

from akto_mirror.config import options
from akto_mirror.delivery.policy import SpoolPlan
from akto_mirror.delivery.spool import schema, view
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.outcomes import Rejected
from tests.faults.server import OK, Entries, FaultServer, Reply, status, wait_for
from tests.support.commands import call, flow
from tests.support.harness import Harness, mirroring

TARGET = "http://akto.invalid:9091"


def entry(path: str) -> bytes:
    """Return an entry as it was sent."""
    return b'{"path":"%s","method":"GET"}' % path.encode()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A spool with three dead letters: two of one target, and a hostile one of another."""
    mine = Spool(tmp_path / "spool", target=TARGET, limit=10**6, owner="gone")
    mine.replace(None, [], [Rejected(entry("/a"), "422 bad"), Rejected(entry("/b"), "422 bad")])
    mine.target = "http://other"
    mine.replace(None, [], [Rejected(b"\xff{", "500 \x1b[31m\n")])
    mine.release()
    return tmp_path / "spool"


@pytest.fixture
def running(folder: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Harness]:
    """An addon with that spool, whose destination is the first one; its name does not resolve."""
    caplog.set_level(logging.INFO)
    with mirroring(running=False, url=TARGET, spool_dir=str(folder), shutdown_s=0) as harness:
        yield harness


def dead(folder: Path) -> list[int]:
    """Return the numbers of the dead letters."""
    spool = Spool(folder, target="", limit=0, owner="oracle")
    try:
        return list(spool.dead_targets())
    finally:
        spool.close()


def logged(caplog: pytest.LogCaptureFixture, text: str) -> None:
    """Wait until the event log holds a text."""
    wait_for(lambda: text in caplog.text)


def test_list(running: Harness) -> None:
    """Line 6: a row per dead letter, newest first, with number, age, target, answer and request, all escaped."""
    head, *rows = call(running, "akto.dead")
    assert head == ["number", "age", "destination", "reason", "request"]
    assert [row[0] for row in rows] == ["3", "2", "1"]
    assert all(row[1].removesuffix(" s").isdigit() for row in rows)
    assert rows[1][2:] == [TARGET, "422 bad", "GET /b"]
    assert rows[0][2] == "http://other"
    assert rows[0][4] == "(2 bytes that are not an entry)"
    assert all(cell.isprintable() for row in rows for cell in row)


def test_list_beside_a_writer(running: Harness, folder: Path) -> None:
    """Line 6: a list does not wait for a writer."""
    with closing(sqlite3.connect(folder / next(schema.names()), isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        assert len(call(running, "akto.dead")) == 4
        writer.execute("ROLLBACK")


def test_a_slow_disk_does_not_hold_the_loop(running: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 6: if the disk is slow, the answer is an error after a moment, and the proxy continues."""
    monkeypatch.setattr(view, "newest_dead", lambda *_: time.sleep(60))
    began = time.monotonic()
    with pytest.raises(exceptions.CommandError, match="the disk is slow"):
        call(running, "akto.dead")
    assert time.monotonic() - began < 30


def test_retry_takes_those_of_the_present_target(
    running: Harness, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Line 6: without numbers, dead letters for another akto_url are kept, and the answer says so."""
    call(running, "akto.dead.retry")
    logged(caplog, "akto: 2 dead letters will be sent again; 1 more is for a destination other than akto_url")
    assert dead(folder) == [3]


def test_retry_by_number(running: Harness, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 6: exactly the given ones are requeued; one for another target waits for that target."""
    call(running, "akto.dead.retry", "1", "3")
    logged(caplog, "akto: 2 dead letters will be sent again; 1 of them waits for a destination other than akto_url")
    assert dead(folder) == [2]


@pytest.mark.parametrize("given", ["x", "-1", "all", "1.5", "9" * 40])
def test_retry_of_what_is_not_a_number(running: Harness, folder: Path, given: str) -> None:
    """Line 6: the answer says what to write instead, and nothing is requeued."""
    with pytest.raises(exceptions.CommandError, match="send again by their numbers in akto"):
        running.context.master.commands.execute(f"akto.dead.retry 1 {given}")
    assert dead(folder) == [1, 2, 3]


def test_drop(running: Harness, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 6: only the given ones are deleted, or all of them if that is explicitly requested."""
    for given in ([], ["all", "1"], ["-1"], ["x"]):
        with pytest.raises(exceptions.CommandError, match="or write all"):
            call(running, "akto.dead.drop", *given)
    call(running, "akto.dead.drop", "2")
    logged(caplog, "akto: deleted 1 dead letter")
    assert dead(folder) == [1, 3]
    call(running, "akto.dead.drop", "all")
    logged(caplog, "akto: deleted 2 dead letters")
    assert dead(folder) == []


@pytest.mark.parametrize("name", ["akto.dead.retry", "akto.dead.drop"])
def test_an_unknown_number(running: Harness, folder: Path, caplog: pytest.LogCaptureFixture, name: str) -> None:
    """Line 6: an unknown number is reported, and none of the other given ones is touched."""
    call(running, name, "1", "99")
    logged(caplog, "there is no dead letter 99; see akto.dead")
    assert dead(folder) == [1, 2, 3]


def test_nothing_was_refused(running: Harness, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 6: having no dead letters is not an error, with an empty spool or none."""
    call(running, "akto.dead.drop", "all")
    logged(caplog, "akto: deleted 3 dead letters")
    assert call(running, "akto.dead") == [["there are no dead letters"]]
    with mirroring(spool_dir=str(folder / "none")) as other:
        assert call(other, "akto.dead") == [["there are no dead letters"]]


@pytest.mark.parametrize(
    ("arguments", "durability", "why"),
    [
        (["akto.dead"], "memory", "akto_durability=memory"),
        (["akto.dead.retry"], "memory", "akto_durability=memory"),
        (["akto.dead.retry"], "spill", "nothing is on disk"),
        (["akto.dead.drop", "all"], "memory", "akto_durability=memory"),
        (["akto.dead.drop", "all"], "spill", "nothing is on disk"),
    ],
)
def test_no_spool(arguments: list[str], durability: str, why: str) -> None:
    """Line 6: without a spool the commands say why there is none, and do not create one."""
    with mirroring(durability=durability) as running, pytest.raises(exceptions.CommandError, match=why):
        call(running, *arguments)


def test_options_out_of_order() -> None:
    """Line 6: while the options are invalid there is no spool to read, and the answer says so."""
    with (
        mirroring(running=False, queue_bytes=-1) as running,
        pytest.raises(exceptions.CommandError, match="is invalid"),
    ):
        call(running, "akto.dead")


def test_a_retried_dead_letter_is_delivered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines 1 and 6: refused for good, then sent again by command, an entry arrives, and the counts add up."""
    caplog.set_level(logging.INFO)
    # A heartbeat every tenth of a second, at which free batches on disk are found.
    monkeypatch.setattr(options, "SpoolPlan", functools.partial(SpoolPlan, lease_s=0.3))

    def picky(entries: Entries) -> Reply:
        return status(422) if any(each["path"] == "/bad" for each in entries) else OK

    given: dict[str, Any] = {"durability": "disk", "spool_dir": str(tmp_path / "spool"), "linger_ms": 10}
    with FaultServer(picky) as akto, mirroring(url=akto.url, **given) as running:
        stats = running.addon.session.stats
        running.pass_on(flow("/bad"))
        others = iter(range(10**6))

        def rejected() -> bool:
            """Send accepted entries, which show that the refused one is to blame, as fast as they arrive."""
            if stats.snapshot().pending < 5:
                running.pass_on(flow(f"/good/{next(others)}"))
            return stats.snapshot().rejected == 1

        wait_for(rejected, 60)
        shown = '422 {"success":false} (the service could not process it)'
        assert call(running, "akto.dead")[1][3:] == [shown, "GET /bad"]
        akto.script = OK
        call(running, "akto.dead.retry")
        wait_for(lambda: akto.taken["/bad"] == 1)
        wait_for(lambda: stats.snapshot().pending == 0)
        counts = stats.snapshot()
    assert (counts.missing, counts.recovered, counts.rejected) == (0, 1, 1)
    assert counts.shipped == counts.captured
    assert set(akto.taken.values()) == {1}
