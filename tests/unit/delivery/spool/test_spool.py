"""Delivery contract, lines 2, 6, 8 and 9: the spool itself, on a real disk."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akto_mirror import private_files
from akto_mirror.accounts import Stats
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.spool import rows, schema
from akto_mirror.delivery.spool.access import BUSY_S
from akto_mirror.delivery.spool.errors import SpoolBusy, SpoolDamaged, SpoolError, SpoolFull
from akto_mirror.delivery.spool.journal import JOURNAL_BYTES, SYNCHRONOUS
from akto_mirror.delivery.spool.lock import LOCK_S
from akto_mirror.delivery.spool.spool import TIDY_PAGES, TIDY_TIMES, Spool
from akto_mirror.delivery.store import Store
from akto_mirror.outcomes import Rejected
from tests.faults.driver import Clock, Driver, ok

BATCH = [b'{"n":1}', b'{"n":2}', '{"n":"Grüße"}'.encode()]

FILE = next(schema.names())

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")


def spool(folder: Path, owner: str = "me", *, clock: Clock | None = None, limit: int = 10**6) -> Spool:
    """Return a spool in a folder."""
    clock = clock or Clock()
    return Spool(folder / "spool", target="t", limit=limit, owner=owner, clock=clock.wall, monotonic=clock.monotonic)


def test_a_batch_comes_back_as_it_was(tmp_path: Path) -> None:
    """What is put is what is returned, byte for byte, until it is removed."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    stored = mine.next([])
    assert stored
    assert stored.entries == BATCH
    mine.close()
    again = mine.next([])
    assert again == stored
    mine.remove([stored.id])
    assert mine.next([]) is None


def test_oldest_first_and_refused_last(tmp_path: Path) -> None:
    """Batches come in the order in which they were written, but one that was refused waits for the others."""
    mine = spool(tmp_path)
    for number in range(3):
        mine.put([b"%d" % number])
    first = mine.next([])
    assert first
    assert first.entries == [b"0"]
    mine.postpone(first.id)
    order = []
    while (stored := mine.next([])) is not None:
        order.append(stored.entries[0])
        mine.remove([stored.id])
    assert order == [b"1", b"2", b"0"]


def test_folder_and_files_are_private(tmp_path: Path) -> None:
    """Line 6: the folder has mode 0700 and every file in it 0600, while it is open, whatever the umask."""
    before = os.umask(0)
    try:
        mine = spool(tmp_path)
        mine.put(BATCH)
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "spool").iterdir()}
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700
    assert set(modes) == {FILE, f"{FILE}-journal", ".lock"}
    assert set(modes.values()) == {0o600}


def test_a_folder_of_ours_is_closed_to_others(tmp_path: Path) -> None:
    """Line 6: an empty folder, or one that holds a spool, gets mode 0700 if it had another."""
    (tmp_path / "spool").mkdir(mode=0o755)
    spool(tmp_path).put(BATCH)
    assert stat.S_IMODE((tmp_path / "spool").stat().st_mode) == 0o700


def test_a_shared_folder_is_refused(tmp_path: Path) -> None:
    """Line 6: a folder that others can read and that holds other files is left as it is."""
    (tmp_path / "spool").mkdir(mode=0o755)
    (tmp_path / "spool" / "other").touch()
    with pytest.raises(SpoolError, match="chmod 700"):
        spool(tmp_path).put(BATCH)
    assert [path.name for path in (tmp_path / "spool").iterdir()] == ["other"]


def test_a_symbolic_link_is_refused(tmp_path: Path) -> None:
    """Line 6: neither the folder nor the file may be a symbolic link; what it leads to stays as it was."""
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "spool").symlink_to(tmp_path / "real")
    with pytest.raises(SpoolError, match="symbolic link"):
        spool(tmp_path).put(BATCH)
    (tmp_path / "spool").unlink()
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / FILE).symlink_to(tmp_path / "victim")
    with pytest.raises(SpoolError, match="not a regular file"):
        spool(tmp_path).put(BATCH)
    assert not (tmp_path / "victim").exists()
    assert list((tmp_path / "real").iterdir()) == []


def test_a_folder_that_cannot_be_looked_at_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 6: a folder whose mode keeps its own user out is an unfit value of the option, and no fault of the addon."""

    def refuse(_: Path) -> NoReturn:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    (tmp_path / "spool").mkdir(mode=0o711)
    with pytest.raises(ValueError, match=r"cannot be looked at \(Permission denied\)"):
        private_files.check_folder(tmp_path / "spool")


@needs_root
def test_another_users_folder_is_refused(tmp_path: Path) -> None:
    """Line 6: a folder or a file of another user is not used."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    os.chown(folder, 12345, 12345)
    with pytest.raises(SpoolError, match="another user"):
        spool(tmp_path).put(BATCH)
    os.chown(folder, 0, 0)
    (folder / FILE).touch(0o600)
    os.chown(folder / FILE, 12345, 12345)
    with pytest.raises(SpoolError, match="another user"):
        spool(tmp_path).put(BATCH)


@pytest.mark.parametrize("problem", ["symbolic link", "not a folder", "another user", "chmod 700"])
def test_an_unfit_folder_is_found_before_it_is_used(tmp_path: Path, problem: str) -> None:
    """Line 6: the option's value is checked when it is given, and the text says what is wrong."""
    folder = tmp_path / "spool"
    if problem == "symbolic link":
        folder.symlink_to(tmp_path)
    elif problem == "not a folder":
        folder.touch()
    else:
        folder.mkdir(mode=0o755)
        (folder / "other").touch()
    if problem == "another user":
        if os.geteuid() != 0:
            pytest.skip("only root can give files to other users")
        os.chown(folder, 12345, 12345)
    with pytest.raises(ValueError, match=problem):
        private_files.check_folder(folder)


@pytest.mark.parametrize("synchronous", [SYNCHRONOUS])
def test_what_is_confirmed_is_on_the_disk(tmp_path: Path) -> None:
    """Line 3: the settings that SQLite's guarantee for a power failure asks for, on every connection."""
    mine = spool(tmp_path)
    for _ in range(2):
        mine.put(BATCH)
        assert mine._db
        full = 2  # The journal and the file are synced at each commit.
        assert mine._db.execute("PRAGMA synchronous").fetchone() == (full,)
        assert mine._db.execute("PRAGMA journal_mode").fetchone() == ("persist",)
        mine.close()


def test_bound(tmp_path: Path) -> None:
    """Line 2: the spool takes what its bound allows, says that it is full, and takes more when there is room again."""
    mine = spool(tmp_path, limit=10_000)
    fill_up(mine, [b"x" * 1000])
    assert sum(share.size for share in mine.waiting()) <= 10_000
    stored = mine.next([])
    assert stored
    mine.remove([stored.id])
    mine.put([b"x" * 1000])


def test_the_file_stays_near_its_bound(tmp_path: Path) -> None:
    """Line 2: the bound holds for the disk, too, but for SQLite's own pages and log; an emptied spool is given back."""
    mine = spool(tmp_path, limit=20 * 1024 * 1024)
    fill_up(mine, [b"x" * 100_000] * 5)
    assert disk(tmp_path) < 20 * 1024 * 1024 * 1.1 + 8 * 1024 * 1024
    while (stored := mine.next([])) is not None:
        mine.remove([stored.id])
    mine.tidy()
    while mine.unfinished:
        mine.tidy()
    mine.close()
    assert disk(tmp_path) < 1024 * 1024


def test_a_large_spool_is_tidied_in_steps(tmp_path: Path) -> None:
    """Line 8: no step keeps the file locked for as long as others wait for it, and the steps follow each other soon."""
    clock = Clock()
    mine = spool(tmp_path, clock=clock, limit=10**8)
    store = Store(mine, Stats())
    mine.remove([mine.put([b"x" * 1_000_000]) for _ in range(12)])
    sizes = [pages(mine)]
    while store.beats_in(clock.now) < 1:
        clock.now += store.beats_in(clock.now)
        store.beat(clock.now)
        sizes.append(pages(mine))
    assert max(before - after for before, after in pairwise(sizes)) <= 2 * TIDY_PAGES * TIDY_TIMES
    assert (sizes[0] > 2900, sizes[-1] < 100) == (True, True)
    assert clock.now < 1002


def pages(mine: Spool) -> int:
    """Return the pages of the file."""
    with contextlib.closing(sqlite3.connect(mine.file)) as db:
        return int(db.execute("PRAGMA page_count").fetchone()[0])


def fill_up(mine: Spool, batch: list[bytes]) -> None:
    """Put batches until the spool says that it is full."""
    with contextlib.suppress(SpoolFull):
        for _ in range(1000):
            mine.put(batch)
        pytest.fail("the spool is never full")


def disk(folder: Path) -> int:
    """Return the bytes of all files of the spool."""
    return sum(path.stat().st_size for path in (folder / "spool").iterdir())


def test_a_living_owner_keeps_its_batches(tmp_path: Path) -> None:
    """Line 8: while its owner gives signs of life no other process gets a batch, however long it takes."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    for _ in range(100):
        clock.now += 9
        assert other.adopt() == 0
        assert other.next([]) is None
        mine.adopt()
    assert mine.next([])


def test_a_dead_owners_batches_are_taken_over(tmp_path: Path) -> None:
    """Line 8: a lease after one of them has first seen it, and not before, exactly one of the others gets them."""
    clock = Clock()
    dead, second, third = (spool(tmp_path, name, clock=clock) for name in ("dead", "second", "third"))
    dead.put(BATCH)
    for _ in range(3):
        assert (second.adopt(), third.adopt()) == (0, 0)
        clock.now += 9
    clock.now += 4
    assert (second.adopt(), third.adopt()) == (3, 0)
    assert second.next([])
    assert third.next([]) is None
    assert dead.next([]) is None


@pytest.mark.parametrize("inherits", [True, False])
def test_however_much_is_taken_over_at_once(tmp_path: Path, caplog: pytest.LogCaptureFixture, inherits: bool) -> None:
    """Line 8: what another process has left, or is to go elsewhere, changes hands as a whole; it is logged once."""
    caplog.set_level("INFO")
    clock = Clock()
    first, second = spool(tmp_path, "first", clock=clock), spool(tmp_path, "second", clock=clock)
    mine = second if inherits else first
    store = Store(mine, Stats())
    for _ in range(2000):
        first.put([b"x" * 100])
    store.beat(clock.now)
    if inherits:
        first.release()
        clock.now += 10
    else:
        store.retarget("u", clock.now)
    before = written(mine)
    store.beat(clock.now)
    assert written(mine) - before < 30 * 4096
    assert mine.owned() == 2000
    assert store._stats.snapshot().recovered == 2000
    logged = [record.getMessage() for record in caplog.records if "took over" in record.getMessage()]
    assert logged == ["akto: took over 2000 entries from the spool"] * inherits


def written(mine: Spool) -> int:
    """Return the bytes that this thread has had written so far."""
    mine.owned()
    found = re.search(r"^wchar: (\d+)", Path("/proc/thread-self/io").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


@pytest.mark.parametrize("lets", ["waiting", "dead"])
def test_a_person_deletes_much_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lets: str) -> None:
    """Line 8: while a user deletes waiting or refused entries, a proxy can write between two of the steps."""
    monkeypatch.setattr("akto_mirror.delivery.spool.by_hand.STEP_ROWS", 2)
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.LOCK_S", 0.01)
    proxy, user = spool(tmp_path, "proxy"), spool(tmp_path, "user")
    pauses = list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        proxy.put([b"x"])

    for _ in range(7):
        proxy.put([b"x" * 1000] * 2)
    proxy.replace(None, [], [Rejected(b"bad", "422")] * 7)
    monkeypatch.setattr("akto_mirror.delivery.spool.by_hand.time", SimpleNamespace(sleep=pause))
    assert (user.drop_waiting("t") if lets == "waiting" else user.drop_dead()) == (14 if lets == "waiting" else 7)
    assert len(pauses) == 3
    assert proxy.owned() == (3 if lets == "waiting" else 17)
    assert len(user.dead_letters()) == (7 if lets == "waiting" else 0)


JUMPS = pytest.mark.parametrize("jump", [3600.0, -3600.0, 10.0**9, -(10.0**9)])


@JUMPS
def test_a_clock_that_jumps_ends_no_lease(tmp_path: Path, jump: float) -> None:
    """Line 8: however far the clock is set, either way, nothing of a living process is taken over."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    for beat in range(30):
        clock.now += 9
        clock.set_by += jump if beat % 3 == 1 else 0
        assert other.adopt() == 0
        assert mine.adopt() == 0
    assert mine.next([])
    assert other.next([]) is None


@JUMPS
def test_a_clock_that_jumps_strands_nothing(tmp_path: Path, jump: float) -> None:
    """Line 8: what a dead process has left is taken over a lease later, wherever the clock was set meanwhile."""
    clock = Clock()
    dead, other = spool(tmp_path, "dead", clock=clock), spool(tmp_path, "other", clock=clock)
    dead.put(BATCH)
    assert other.adopt() == 0
    for _ in range(2):
        clock.set_by += jump
        clock.now += 14
        assert other.adopt() == 0
    clock.now += 2
    assert other.adopt() == 3


def test_one_that_slept_takes_nothing_from_the_living(tmp_path: Path) -> None:
    """Line 8: where the whole machine slept, the first to wake gives the others the time to show that they live."""
    clock = Clock()
    mine, other = spool(tmp_path, "me", clock=clock), spool(tmp_path, "other", clock=clock)
    mine.put(BATCH)
    assert other.adopt() == 0
    clock.now += 36_000
    assert other.adopt() == 0
    mine.adopt()
    for _ in range(5):
        clock.now += 10
        assert other.adopt() == 0
        mine.adopt()


def test_a_released_batch_is_free_at_once(tmp_path: Path) -> None:
    """Line 8: a process that ends in good order does not keep the next one waiting."""
    mine, other = spool(tmp_path, "me"), spool(tmp_path, "other")
    mine.put(BATCH)
    mine.release()
    assert other.adopt() == 3


def test_another_targets_batches_are_left_alone(tmp_path: Path) -> None:
    """Line 8: what was captured for one Akto does not go to another."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    mine.release()
    other = Spool(tmp_path / "spool", target="elsewhere", limit=10**6, owner="other")
    assert other.adopt() == 0
    assert [(share.target, share.entries) for share in other.waiting()] == [("t", 3)]


def test_a_stalled_owner_learns_of_it(tmp_path: Path) -> None:
    """Line 8: what was taken over from a process that only slept is no longer its own, and is counted as that."""
    clock = Clock()
    first = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    first.offer(b"entry")
    clock.now += 2
    first.tend()
    second = Driver(tmp_path / "spool", Durability.DISK, clock=clock)
    second.wait(60)
    second.run(ok)
    first.run(ok)
    assert (second.counts.recovered, second.counts.shipped) == (1, 1)
    assert (first.counts.handed_over, first.counts.shipped, first.counts.missing) == (1, 0, 0)
    assert first.requests == []


def test_dead_letters(tmp_path: Path) -> None:
    """Line 6: they are kept with reason and answer, can be sent again, and can be deleted."""
    mine = spool(tmp_path)
    assert mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH]) == 3
    letters = mine.dead_letters()
    assert [letter.payload for letter in letters] == BATCH
    assert {letter.reason for letter in letters} == {"422 bad"}
    assert mine.revive([letters[0].id]) == 1
    assert mine.adopt() == 1
    stored = mine.next([])
    assert stored
    assert stored.entries == BATCH[:1]
    assert mine.drop_dead([letters[1].id, 999]) == 1
    assert mine.drop_dead() == 1
    assert mine.dead_letters() == []


@pytest.mark.parametrize("damage", ["'text'", "42"])
def test_a_damaged_dead_letter_is_not_in_the_way(tmp_path: Path, damage: str) -> None:
    """Line 9: what has become of a letter on disk does not keep the others from being sent again."""
    mine = spool(tmp_path)
    assert mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH]) == 3
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None)) as db:
        db.execute(f"UPDATE dead SET payload = {damage} WHERE id = 1")
    assert mine.revive() == 3
    assert mine.adopt() == 3
    assert mine.dead_letters() == []


def test_a_damaged_size_keeps_nothing_from_being_taken_over(tmp_path: Path) -> None:
    """Line 9: a batch whose entries are as they were is taken over and sent, whatever became of its size."""
    first, second = spool(tmp_path, "first"), spool(tmp_path, "second")
    first.put(BATCH)
    first.release()
    with contextlib.closing(sqlite3.connect(first.file, isolation_level=None)) as db:
        db.execute("UPDATE batches SET size = 'much'")
    assert second.adopt() == 3
    assert second.redirect("t", "u") == 3


def test_a_damaged_batch_is_kept_apart(tmp_path: Path) -> None:
    """Line 9: a batch whose bytes have changed on disk is not sent; it is kept, and the others go on."""
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    with sqlite3.connect(driver.spool.file) as db:
        db.execute("UPDATE batches SET payload = 'onf'")
    db.close()
    driver.offer(b"two")
    driver.run(ok)
    counts = driver.counts
    assert driver.requests == [[b"two"]]
    assert (counts.shipped, sum(counts.dropped.values()), counts.missing) == (1, 1, 0)
    assert [letter.reason for letter in driver.spool.dead_letters()] == ["damaged on disk"]


@contextmanager
def filled(folder: Path) -> Iterator[Path]:
    """Leave the file of a spool with thirty batches and three dead letters, as a process does that ended."""
    mine = spool(folder)
    for number in range(30):
        mine.put([b"%d-%d" % (number, part) + b"x" * 400 for part in range(5)])
    mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH])
    mine.release()
    yield mine.file


def survives(folder: Path) -> None:
    """Check that a process works with what is in the folder: raises nothing, counts, delivers, deletes nothing."""
    driver = Driver(folder / "spool", Durability.DISK)
    driver.offer(b"new")
    driver.run(ok)
    assert driver.counts.missing == 0
    assert driver.counts.pending == 0
    assert [b"new"] in driver.requests
    sent = [entry for request in driver.requests for entry in request]
    assert all(entry == b"new" or entry.endswith(b"x" * 400) for entry in sent), "damaged entries were sent"
    driver.close()
    kept = [path for path in (folder / "spool").iterdir() if path.suffix == ".db"]
    assert len(kept) == 2 or driver.counts.recovered or driver.spool.dead_letters()  # type: ignore[union-attr]


@settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255))
def test_any_byte_flipped(tmp_path_factory: pytest.TempPathFactory, where: float, value: int) -> None:
    """Line 9: whichever byte of the file is changed, delivery goes on; the file is used or set aside, not deleted."""
    folder = tmp_path_factory.mktemp("flip")
    with filled(folder) as file:
        data = bytearray(file.read_bytes())
        data[int(where * len(data))] ^= value
        file.write_bytes(data)
    survives(folder)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(offset=st.integers(0, 100), value=st.integers(1, 255))
def test_any_byte_of_the_header_flipped(tmp_path_factory: pytest.TempPathFactory, offset: int, value: int) -> None:
    """Line 9: the same for the first hundred bytes, on which everything depends."""
    folder = tmp_path_factory.mktemp("head")
    with filled(folder) as file:
        data = bytearray(file.read_bytes())
        data[offset] ^= value
        file.write_bytes(data)
    survives(folder)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0.0001, 1))
def test_truncated_anywhere(tmp_path_factory: pytest.TempPathFactory, where: float) -> None:
    """Line 9: the same for a file that ends too early."""
    folder = tmp_path_factory.mktemp("cut")
    with filled(folder) as file:
        os.truncate(file, int(where * file.stat().st_size))
    survives(folder)


def killed(folder: Path) -> Path:
    """Leave what a process leaves that was killed in the middle of writing; returns its journal."""
    (folder / "spool").mkdir(mode=0o700)
    with contextlib.closing(spool(folder / "running", "killed")) as mine:
        for number in range(20):
            mine.put([b"%d-%d" % (number, part) + b"x" * 400 for part in range(5)])
        with mine._transaction() as db:
            db.execute("PRAGMA cache_size = 1")
            assert sum(rows.delete(db, number) for number in range(3, 12)) == 9
            for path in (mine.file, mine._journal):
                shutil.copy(path, folder / "spool")
    return folder / "spool" / f"{FILE}-journal"


def test_what_a_killed_process_has_half_done_is_undone(tmp_path: Path) -> None:
    """Line 9: the next to open the file finds it as it was, and leaves the journal its room."""
    journal = killed(tmp_path)
    with contextlib.closing(sqlite3.connect(f"file:{journal.with_name(FILE)}?immutable=1", uri=True)) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() != ("ok",), "nothing was half done"
    mine = spool(tmp_path)
    assert sum(share.entries for share in mine.waiting()) == 100
    mine.close()
    assert (journal.stat().st_size, journal.read_bytes()[:8]) == (JOURNAL_BYTES, bytes(8))


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(where=st.floats(0, 1, exclude_max=True), value=st.integers(1, 255), cut=st.booleans())
def test_any_byte_of_the_journal_flipped(
    tmp_path_factory: pytest.TempPathFactory, where: float, value: int, cut: bool
) -> None:
    """Line 9: the same for SQLite's journal, which a killed process leaves: what is damaged by it is not sent."""
    folder = tmp_path_factory.mktemp("journal")
    journal = killed(folder)
    data = bytearray(journal.read_bytes())
    used = len(data.rstrip(b"\0"))
    data[int(where * used)] ^= value
    journal.write_bytes(data[: int(where * used)] if cut else data)
    driver = Driver(folder / "spool", Durability.DISK)
    driver.offer(b"new")
    driver.wait(60)  # The killed one's lease is over.
    driver.run(ok)
    sent = [entry for request in driver.requests for entry in request]
    assert b"new" in sent
    assert all(entry == b"new" or entry.endswith(b"x" * 400) for entry in sent), "damaged entries were sent"
    assert (driver.counts.missing, driver.counts.pending) == (0, 0)
    driver.close()


def test_no_database_at_all(tmp_path: Path) -> None:
    """Line 9: a file of something else is set aside, whole."""
    (tmp_path / "spool").mkdir(mode=0o700)
    (tmp_path / "spool" / "spool.db").write_bytes(b"my diary" * 1000)
    survives(tmp_path)
    aside = [path for path in (tmp_path / "spool").iterdir() if path.name.startswith("damaged-")]
    assert [path.read_bytes() for path in aside if path.suffix == ".db"] == [b"my diary" * 1000]


def test_two_processes_set_aside_once(tmp_path: Path) -> None:
    """Line 9: of two that find the same damage one renames the file, and neither touches the new one."""
    first, second = spool(tmp_path, "first"), spool(tmp_path, "second")
    first.put(BATCH)
    assert second.next([]) is None
    assert first.set_aside()
    first.put(BATCH)
    with pytest.raises(SpoolDamaged):
        second.next([])
    assert second.set_aside() is None
    assert first.next([])
    assert len([path for path in (tmp_path / "spool").iterdir() if path.suffix == ".db"]) == 2


def test_a_locked_file(tmp_path: Path) -> None:
    """Line 9: a file that another process keeps locked is trouble for now, and not damage."""
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    blocker = sqlite3.connect(driver.spool.file, isolation_level=None)
    blocker.execute("BEGIN EXCLUSIVE")
    driver.offer(b"two")
    driver.clock.now += 2
    driver.tend()
    assert (driver.counts.spooled, driver.counts.queued) == (1, 1)
    driver.run(ok, seconds=20)
    assert driver.requests == [[b"two"]]
    blocker.execute("ROLLBACK")
    blocker.close()
    driver.run(ok)
    assert driver.requests == [[b"two"], [b"one"]]
    assert driver.counts.missing == 0


def test_a_spool_is_opened_beside_a_writer(tmp_path: Path) -> None:
    """Line 9: opening writes nothing, so a process in the middle of a change neither stops it nor is stopped by it."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None, timeout=0)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("DELETE FROM payloads")
        started = time.monotonic()
        with contextlib.closing(spool(tmp_path, "looker")) as looker:
            assert [share.entries for share in looker.waiting()] == [3]
        assert time.monotonic() - started < LOCK_S
        writer.execute("COMMIT")


def test_opening_waits_for_a_lock_within_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 9: longer than a change takes, and not without end."""
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.OPEN_S", 0.01)
    mine = spool(tmp_path)
    mine.put(BATCH)
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SpoolBusy):
            spool(tmp_path, "looker").waiting()
    monkeypatch.undo()
    with contextlib.closing(sqlite3.connect(mine.file, isolation_level=None, check_same_thread=False)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        threading.Timer(LOCK_S / 10, lambda: writer.execute("COMMIT")).start()
        with contextlib.closing(spool(tmp_path, "looker")) as looker:
            assert [share.entries for share in looker.waiting()] == [3]


@pytest.mark.parametrize("waits", [1, 4])
def test_a_short_lock_is_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, waits: int
) -> None:
    """Line 9: after another process's lock the disk is tried again within seconds; it is logged, once, if it lasts."""
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.LOCK_S", 0.01)
    driver = Driver(tmp_path / "spool", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    assert driver.spool
    with contextlib.closing(sqlite3.connect(driver.spool.file, isolation_level=None)) as blocker:
        blocker.execute("BEGIN IMMEDIATE")
        driver.offer(b"two")
        driver.clock.now += 2
        for _ in range(waits):
            assert driver.store.can_keep(driver.clock.now)
            driver.tend()
            driver.clock.now += driver.store.keeps_in(driver.clock.now)
    assert driver.clock.now <= 1004 + BUSY_S * (2**waits - 1)
    driver.tend()
    assert (driver.counts.spooled, driver.counts.missing) == (2, 0)
    logged = [record.getMessage() for record in caplog.records if "cannot be used" in record.getMessage()]
    assert ["locked" in text for text in logged] == [True] * (waits > 1)
    driver.run(ok)
    assert sorted(entry for request in driver.requests for entry in request) == [b"one", b"two"]
