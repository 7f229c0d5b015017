"""Delivery contract, line 9: errors of real disks."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from akto_mirror.accounts import Stats
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.spool.errors import SpoolError
from akto_mirror.outcomes import Dropped
from tests.faults.driver import Driver, always, ok
from tests.faults.load import Api, Clients
from tests.faults.server import OK, FaultServer, status, wait_for
from tests.support.proxy import ROOT, running_mitmdump
from tests.support.shipping import fill, policy, shipping

# The disk is not used for 30 s after an error.
AFTER_TROUBLE_S = 90.0

WRITING = pytest.mark.parametrize("durability", [Durability.SPILL, Durability.DISK])


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    mount(["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)])
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def mount(arguments: list[str]) -> None:
    """Mount, or skip the test where that is not permitted."""
    if not shutil.which("mount") or os.geteuid() != 0:
        pytest.skip("mounting a file system takes root and the mount command")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")


@WRITING
@pytest.mark.timeout(300)
def test_a_full_disk(tiny: Path, durability: Durability, caplog: pytest.LogCaptureFixture) -> None:
    """Line 9: a disk that fills up is logged once, entries wait in memory, and all arrive in the end."""
    with FaultServer(status(503)) as akto, shipping(akto.url, policy(tiny / "s", durability)) as shipper:
        shipper.offer(b'{"path":"/first"}')
        wait_for(lambda: akto.seen.requests > 1)
        fill(shipper, 300, 5000)
        wait_for(lambda: any("spool cannot be used" in record.getMessage() for record in caplog.records))
        counts = shipper.stats.snapshot()
        assert counts.missing == 0
        assert counts.pending + sum(counts.dropped.values()) == 301
        assert set(counts.dropped) <= {Dropped.QUEUE_FULL}
        kept = counts.pending
        assert kept > 100
        akto.script = OK
        wait_for(lambda: shipper.stats.snapshot().queued == 0, AFTER_TROUBLE_S)
        logged = [record for record in caplog.records if "spool cannot be used" in record.getMessage()]
        assert len(logged) == 1
        assert shipper.stats.snapshot().rejected == 0
    with shipping(akto.url, policy(tiny / "s", durability)) as later:
        with akto:
            later.start()
            wait_for(lambda: len(akto.taken) >= kept, AFTER_TROUBLE_S)
        assert later.stats.snapshot().missing == 0


def test_a_disk_that_was_always_full(tiny: Path) -> None:
    """Line 9: if there is no room even for an empty spool, everything goes through memory."""
    with contextlib.suppress(OSError), (tiny / "ballast").open("wb", buffering=0) as ballast:
        while True:
            ballast.write(b"x" * 4096)
    with FaultServer() as akto, shipping(akto.url, policy(tiny / "s", Durability.DISK)) as shipper:
        fill(shipper, 200)
        wait_for(lambda: shipper.stats.snapshot().shipped == 200)


@WRITING
@pytest.mark.parametrize("pause_s", [0.0, 40.0])
def test_another_server_during_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: Durability, pause_s: float
) -> None:
    """Line 9: if `akto_url` changes while the disk fails or is not used, stored entries go there later."""
    driver = Driver(tmp_path / "s", durability)
    driver.offer(b"one")
    driver.run(always(None), seconds=3)
    assert driver.spool
    driver.spool.close()
    with monkeypatch.context() as trouble:
        trouble.setattr(driver.spool, "_open", io_error)
        driver.run(always(None), seconds=3)
        driver.clock.now += pause_s
        driver.store.retarget("u", driver.clock.now)
        driver.run(always(None), seconds=3)
    driver.run(ok)
    assert driver.requests[-1] == [b"one"]
    assert (driver.counts.shipped, driver.counts.recovered, driver.counts.missing) == (1, 0, 0)


def io_error() -> NoReturn:
    """Fail as a broken disk does."""
    raise SpoolError("I/O error")


@WRITING
def test_a_read_only_disk(tiny: Path, durability: Durability) -> None:
    """Line 9: a disk that becomes read-only is not damage: nothing is renamed, and everything goes through memory."""
    driver = Driver(tiny / "s", durability)
    driver.offer(b"one")
    driver.run(always(None), seconds=3)
    assert driver.counts.spooled == 1
    assert driver.spool
    driver.spool.close()  # Files open for writing keep the file system from being remounted.
    mount(["-o", "remount,ro", str(tiny)])
    driver.offer(b"two")
    driver.run(ok, seconds=20)
    assert driver.counts.missing == 0
    assert [b"two"] in driver.requests
    mount(["-o", "remount,rw", str(tiny)])
    driver.run(ok)
    assert driver.counts.pending == 0
    assert {entry for request in driver.requests for entry in request} == {b"one", b"two"}
    driver.close()
    assert not list((tiny / "s").glob("damaged-*"))


def test_a_read_only_disk_from_the_start(tiny: Path) -> None:
    """Line 9: if the folder cannot be created, everything goes through memory."""
    mount(["-o", "remount,ro", str(tiny)])
    with FaultServer() as akto, shipping(akto.url, policy(tiny / "s", Durability.DISK)) as shipper:
        fill(shipper, 200)
        wait_for(lambda: shipper.stats.snapshot().shipped == 200)


LIMITED = """
import resource, signal, sys
from pathlib import Path
from tests.faults.driver import Driver, ok
from akto_mirror.delivery.retry import Durability
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
driver = Driver(Path(sys.argv[1]), Durability.DISK)
for number in range(2000):
    driver.offer(b"%0500d" % number)
    if number % 100 == 99:
        driver.clock.now += 2
        driver.tend()
assert driver.counts.missing == 0 and driver.counts.spooled and driver.counts.queued, driver.counts
kept = driver.counts.pending
driver.run(ok, seconds=20)
assert driver.counts.queued == driver.counts.in_flight == driver.counts.missing == 0, driver.counts
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
driver.run(ok)
assert driver.counts.shipped == kept and driver.counts.missing == 0, driver.counts
"""


@WRITING
def test_writes_that_fail(tmp_path: Path, durability: Durability) -> None:
    """Line 9: after an I/O error in a write, unwritten entries go through memory, and the rest follows later."""
    code = LIMITED.replace("Durability.DISK", f"Durability.{durability.name}")
    if durability is Durability.SPILL:
        code = code.replace("driver.tend()", "driver.queue.flush() or driver.tend()", 1)
        code = code.replace("for number", "driver.scheduler.health.failed(Kind.TRANSIENT, 1e9, 1)\nfor number", 1)
        code = code.replace("kept =", "driver.scheduler.health.reset()\nkept =")
        code = code.replace("import Durability", "import Durability, Kind")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "s")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("the spool cannot be used") <= 2


def test_a_folder_that_vanishes(tmp_path: Path) -> None:
    """Line 9: if the folder is deleted, the entries in it are counted as lost, and a new folder is created."""
    driver = Driver(tmp_path / "s", Durability.DISK)
    driver.offer(b"one")
    driver.clock.now += 2
    driver.tend()
    shutil.rmtree(tmp_path / "s")
    driver.offer(b"two")
    driver.run(ok)
    assert driver.counts.missing == 0
    assert driver.counts.dropped == {Dropped.DAMAGED: 1}
    assert driver.requests[-1] == [b"two"]


def test_a_refused_folder_degrades(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Line 9: a folder that becomes unusable after the start is not used; one line says so, with the remedy."""
    (tmp_path / "s").symlink_to(tmp_path)
    with FaultServer() as akto, shipping(akto.url, policy(tmp_path / "s", Durability.DISK)) as shipper:
        fill(shipper, 200)
        wait_for(lambda: shipper.stats.snapshot().shipped == 200)
    logged = [record.getMessage() for record in caplog.records if "spool cannot be used" in record.getMessage()]
    assert len(logged) == 1
    assert "symbolic link" in logged[0]


def test_at_the_end_with_a_full_disk(tiny: Path) -> None:
    """Line 9: at the exit entries that neither Akto nor the disk accepts are dropped with a reason; nothing hangs."""
    with FaultServer(status(503)) as akto:
        shipper = Shipper(policy(tiny / "s", Durability.SPILL, queue_bytes=10**7), HttpSink(akto.url), Stats())
        fill(shipper, 500, 5000)
        wait_for(lambda: akto.seen.requests > 0)
        shipper.close().result(30)
    counts = shipper.stats.snapshot()
    assert counts.missing == counts.queued == counts.in_flight == 0
    assert counts.spooled + counts.dropped[Dropped.SHUTDOWN] == 500
    assert counts.spooled > 20


@pytest.mark.e2e
def test_the_proxy_serves_on_with_a_full_disk(tiny: Path) -> None:
    """Line 9: with a full disk and Akto down, mitmdump answers every request, and entries in memory arrive later."""
    with Api() as api, FaultServer(status(503)) as akto, Clients(2) as clients:
        options = {
            "akto_url": akto.url,
            "akto_durability": "disk",
            "akto_spool_dir": str(tiny / "s"),
            "akto_linger_ms": "20",
        }
        with running_mitmdump(f"reverse:http://127.0.0.1:{api.port}", options=options) as proxy:
            clients.port = proxy.port
            proxy.wait_for("spool cannot be used", 60)
            answered = len(clients.answered)
            wait_for(lambda: len(clients.answered) > answered + 100, 60)
            clients.stop()
            akto.script = OK
            wait_for(lambda: set(clients.answered) <= set(akto.taken), 90)
            proxy.stop()
            assert sum("spool cannot be used" in line for line in proxy.log) == 1
            assert not any("Traceback" in line for line in proxy.log)


@pytest.mark.e2e
def test_a_damaged_spool_does_not_lead_to_end(tmp_path: Path) -> None:
    """Line 9: on a damaged spool a proxy starts, serves, delivers and logs it once; the next one finds no damage."""
    folder = tmp_path / "s"
    folder.mkdir(mode=0o700)
    (folder / "spool.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)
    with Api() as api, FaultServer() as akto:
        options = {"akto_url": akto.url, "akto_durability": "disk", "akto_spool_dir": str(folder)}
        for times in (1, 0):
            with running_mitmdump(f"reverse:http://127.0.0.1:{api.port}", options=options) as proxy, Clients(1) as load:
                load.port = proxy.port
                wait_for(lambda load=load: len(load.answered) > 20)  # type: ignore[misc]
                load.stop()
                assert proxy.stop() == 0
            assert len([line for line in proxy.log if "it was renamed to" in line]) == times
            assert not any("Traceback" in line for line in proxy.log)
            assert load.answered.keys() <= akto.taken.keys()
    assert [path.read_bytes()[:20] for path in folder.glob("damaged-*.db")] == [b"SQLite format 3\x00" + b"\xff" * 4]
