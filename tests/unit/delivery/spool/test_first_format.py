"""Delivery contract, lines 3, 6 and 8: versions that share a spool, and files of the first format."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.cli import program
from akto_mirror.config import declarations, options
from akto_mirror.config.option import Option
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import first_format, schema
from akto_mirror.delivery.spool.first_format import FirstFormat
from akto_mirror.delivery.spool.rows import Foreign
from akto_mirror.delivery.spool.schema import FIRST, VERSION
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Rejected
from akto_mirror.replay import entries, job
from akto_mirror.replay.job import Job
from tests.data.first_format import make
from tests.faults.driver import Clock, Driver, ok
from tests.faults.server import FaultServer, wait_for
from tests.support.shipping import policy, shipping

KINDS = {"released": "a", "killed": "a", "shared": "ac"}
each_kind = pytest.mark.parametrize("kind", KINDS)


def unpack(kind: str, folder: Path) -> Path:
    """Unpack a spool as the first version left it, and return its folder."""
    folder.mkdir(mode=0o700)
    for packed in (make.FOLDER / kind).iterdir():
        (folder / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
        (folder / packed.stem).chmod(0o600)
    (folder / "reserve").write_bytes(bytes(262_144))
    return folder


def left(names: str) -> list[list[bytes]]:
    """Return the batches that the processes left; each process is named by a letter."""
    return [batch for name in names for batch in make.batches(name)]


def spool(folder: Path, clock: Clock, owner: str = "me", target: str = make.TARGET) -> Spool:
    """Return a spool in a folder."""
    return Spool(folder, target=target, limit=10**9, owner=owner, clock=clock.wall, monotonic=clock.monotonic)


def inherit(mine: Spool, clock: Clock) -> int:
    """Take over what there is, within a lease and a heartbeat, and return the number of entries."""
    found = 0
    for _ in range(5):
        found += mine.adopt()
        while mine.unfinished:
            found += mine.adopt()
        clock.now += 10
    return found


def drain(mine: Spool) -> list[list[bytes]]:
    """Send everything, and return the batches in order."""
    sent = []
    while (stored := mine.next([])) is not None:
        sent.append(stored.entries)
        mine.remove([stored.id])
    return sent


@each_kind
def test_everything_is_delivered_once(tmp_path: Path, kind: str) -> None:
    """Line 3: each batch of the first format is delivered unchanged and once, even if it was only in SQLite's log."""
    folder, clock = unpack(kind, tmp_path / "s"), Clock()
    mine, expected = spool(folder, clock), left(KINDS[kind])
    assert inherit(mine, clock) == sum(map(len, expected))
    assert Counter(map(tuple, drain(mine))) == Counter(map(tuple, expected))
    letters = mine.dead_letters()
    count = 3 if kind == "shared" else 1
    assert Counter(letter.payload for letter in letters) == Counter(make.dead() * count)
    assert {letter.reason for letter in letters} == {make.REASON}
    assert mine.revive() == 3 * count
    if kind == "shared":
        other = spool(folder, clock, "other", make.OTHER)
        assert inherit(other, clock) == sum(map(len, left("b"))) + 3
    mine.close()
    with contextlib.closing(sqlite3.connect(folder / FIRST)) as old:
        assert old.execute("SELECT (SELECT COUNT(*) FROM batches) + (SELECT COUNT(*) FROM dead)").fetchone() == (0,)
        assert old.execute("PRAGMA user_version").fetchone() == (1,)
    assert (folder / FIRST).stat().st_size < 200_000, "its room was not given back to the disk"
    assert not (folder / "reserve").exists()


@pytest.mark.parametrize("durability", [Durability.SPILL, Durability.DISK])
def test_a_proxy_delivers_it_over_the_network(
    tmp_path: Path, durability: Durability, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line 3: a shipper delivers them to a real server, after a user has redirected them; `status` shows all."""
    folder = unpack("released", tmp_path / "s")
    assert program.main(["spool", "--dir", str(folder), "status"]) == 0
    shown = capsys.readouterr().out
    assert "waiting: 3,107 entries in 5 batches" in shown
    assert f"for {make.TARGET}\n" in shown
    assert "dead letters: 3 entries" in shown
    assert sorted(path.name for path in folder.iterdir()) == ["reserve", FIRST], "to look has created files"
    assert program.main(["spool", "--dir", str(folder), "retry", "--from", make.TARGET, "--to", "http://t"]) == 0
    assert capsys.readouterr().out == "3,107 entries now wait for http://t\n"
    given = policy(folder, durability)
    assert given.spool
    with FaultServer() as akto, shipping(akto.url, policy(folder, durability, spool=_for_t(given.spool))) as shipper:
        shipper.start()
        wait_for(lambda: len(akto.taken) == 3107, 60)
        wait_for(lambda: shipper.stats.snapshot().shipped == 3107)
        assert set(akto.taken.values()) == {1}
    assert program.main(["spool", "--dir", str(folder), "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def _for_t(plan: object) -> object:
    from dataclasses import replace  # noqa: PLC0415 - for one line

    return replace(plan, target="http://t")  # type: ignore[type-var]


def test_what_was_stored_before_a_kill_is_not_stored_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 8: a process that is killed between storing a batch and deleting the original duplicates nothing."""
    folder, clock = unpack("released", tmp_path / "s"), Clock()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as killed:
        killed.setattr(first_format, "_delete", die)
        with pytest.raises(KeyboardInterrupt):
            spool(folder, clock, "killed").adopt()
    mine = spool(folder, clock)
    inherit(mine, clock)
    assert Counter(map(tuple, drain(mine))) == Counter(map(tuple, left("a")))
    assert len(mine.dead_letters()) == 3


def test_a_living_process_of_the_first_version_keeps_what_it_has(tmp_path: Path) -> None:
    """Line 8: a file that a process of the first version has open is not touched; then all is taken over."""
    folder, clock = unpack("released", tmp_path / "s"), Clock()
    mine = spool(folder, clock)
    with contextlib.closing(sqlite3.connect(folder / FIRST, isolation_level=None)) as old:
        assert old.execute("SELECT COUNT(*) FROM batches").fetchone() == (5,)
        assert inherit(mine, clock) == 0
        mine.put([b"new"])
        old.execute("DELETE FROM batches WHERE id = 1")
        assert inherit(mine, clock) == 0
        assert drain(mine) == [[b"new"]]
    assert inherit(mine, clock) == 3106


def test_leases_of_the_first_version_are_kept(tmp_path: Path) -> None:
    """Line 8: batches of a process of the first version stay its own for a lease, even if it closes the file."""
    folder, clock = unpack("killed", tmp_path / "s"), Clock()
    mine = spool(folder, clock)
    assert mine.adopt() == 0
    with contextlib.closing(sqlite3.connect(folder / FIRST, isolation_level=None)) as old:
        for _ in range(6):
            clock.now += 10
            old.execute("UPDATE owners SET expires = expires + 10")
            old.close()
            old = sqlite3.connect(folder / FIRST, isolation_level=None)  # noqa: PLW2901 - as a process does
            old.close()
            assert mine.adopt() == 0
            old = sqlite3.connect(folder / FIRST, isolation_level=None)  # noqa: PLW2901 - as a process does
    assert inherit(mine, clock) == 3107


def contents(folder: Path) -> dict[str, bytes]:
    """Return the contents of the files that are not this version's."""
    own = (".lock", f"spool-{VERSION}.1.db", f"spool-{VERSION}.1.db-journal")
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name not in own}


@pytest.mark.parametrize("name", [f"spool-{VERSION}.db", f"spool-{VERSION + 1}.db", FIRST])
def test_a_newer_format_is_left_alone(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Line 8: files of a newer version, whatever their names, are not damaged; they are left alone and logged once."""
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    with contextlib.closing(sqlite3.connect(folder / name)) as db:
        db.executescript(
            f"CREATE TABLE entries (x); INSERT INTO entries VALUES (1); PRAGMA user_version = {VERSION + 1}"
        )
    before = (folder / name).read_bytes()
    driver = Driver(folder, Durability.DISK)
    for entry in (b"one", b"two"):
        driver.offer(entry)
        driver.run(ok)
        driver.wait(30)
    driver.close()
    assert driver.counts.shipped == 2
    assert (folder / name).read_bytes() == before
    assert not list(folder.glob("damaged-*"))
    logged = [record.getMessage() for record in caplog.records if "newer version" in record.getMessage()]
    assert logged == [f"akto: {folder / name} is of a newer version, and is left alone"]


def test_the_status_names_newer_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line 6: `status` names files of a newer version, which may have entries."""
    mine = Spool(tmp_path / "s", target="t", limit=10**6, owner="me")
    mine.put([b"x"])
    mine.close()
    newer = tmp_path / "s" / f"spool-{VERSION + 1}.db"
    newer.touch(0o600)
    assert program.main(["spool", "--dir", str(tmp_path / "s"), "status"]) == 0
    assert f"of a newer version: {newer}\n" in capsys.readouterr().out


def test_a_damaged_file_of_the_first_format_is_set_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 9: the damaged file is kept and logged once, and does not stop the delivery."""
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    (folder / FIRST).write_bytes(b"my diary" * 1000)
    driver = Driver(folder, Durability.DISK)
    driver.offer(b"new")
    driver.run(ok)
    driver.wait(30)
    assert driver.requests == [[b"new"]]
    assert [path.read_bytes() for path in folder.glob("damaged-*.db")] == [b"my diary" * 1000]
    assert len([record for record in caplog.records if "it was renamed to" in record.getMessage()]) == 1


def test_an_empty_file_makes_no_work(tmp_path: Path) -> None:
    """Line 3: for a file of the first version without entries, no new file is created."""
    folder, clock = unpack("released", tmp_path / "s"), Clock()
    with contextlib.closing(sqlite3.connect(folder / FIRST)) as old:
        old.executescript("DELETE FROM batches; DELETE FROM dead")
    store = Store(spool(folder, clock), Stats())
    for _ in range(200):
        clock.now += store.beats_in(clock.now)
        store.beat(clock.now)
    assert {path.name for path in folder.iterdir()} <= {FIRST, ".lock"}
    first = FirstFormat(folder, 30, clock.wall, clock.monotonic)
    assert not first.move(_none)
    assert not first.is_news()


def _none(rows: Sequence[Foreign]) -> None:
    assert rows == []


def test_a_replay_goes_on_from_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 3: a replay that the first version left unfinished is resumed."""
    flows = tmp_path / "flows.mitm"
    shutil.copy(make.FLOWS, flows)
    os.utime(flows, ns=(make.MTIME_NS, make.MTIME_NS))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    folder = tmp_path / "akto-mirror" / "replay"
    folder.mkdir(parents=True, mode=0o700)
    folder.parent.chmod(0o700)
    with FaultServer() as akto:
        key = hashlib.sha256(f"{flows.resolve()}\0{akto.url}/api/ingestData ".encode()).hexdigest()[:32]
        (folder / f"{key}.json").write_bytes((make.FOLDER / "bookmark.json").read_bytes())
        assert json.loads((make.FOLDER / "bookmark.json").read_bytes())["missing"] == [3]
        assert program.main(["replay", str(flows), "--to", akto.url, "--resume", "--quiet"]) == 0
        # Queries are read by default now, so that the entries differ: it starts over, and loses nothing.
        assert list(akto.taken) == ["/api/items?x=1", "/live"]


Act = Callable[[Spool], object]


@pytest.mark.parametrize(
    "act",
    [lambda mine: mine.revive(), lambda mine: mine.redirect("t", "u"), lambda mine: mine.replace(None, [], [])],
    ids=["revive", "redirect", "replace"],
)
def test_users_change_nothing_of_other_versions(tmp_path: Path, act: Act) -> None:
    """Line 8: commands on this version's entries do not change files of a newer version."""
    mine = Spool(tmp_path / "s", target="t", limit=10**6, owner="me")
    mine.put([b"x"])
    mine.replace(None, [], [Rejected(b"y", "422")])
    newer = tmp_path / "s" / f"spool-{VERSION + 1}.db"
    newer.write_bytes(b"whatever a newer version writes")
    act(mine)
    assert newer.read_bytes() == b"whatever a newer version writes"
    assert next(schema.names()) == mine.file.name


def test_options_that_come_later_void_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 3: a new option at its default does not change the fingerprint; another value does."""
    later = Option("akto_later", bool, False, "An option of a later version.")
    values = entries.parse_options([], {})
    settings = options.read(values, {})
    before = Job([], values, settings).fingerprint()
    monkeypatch.setattr(job, "OPTIONS", (*declarations.OPTIONS, later))
    assert Job([], values | {"akto_later": False}, settings).fingerprint() == before
    assert Job([], values | {"akto_later": True}, settings).fingerprint() != before
    assert Job([], values | {"akto_host": "x"}, settings).fingerprint() != before
