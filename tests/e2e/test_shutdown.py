"""Delivery contract, lines 7 and 8: how a real mitmdump ends and restarts, alone and beside another one."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from akto_mirror.delivery.spool.spool import Spool
from tests.faults.load import Api, Clients
from tests.faults.server import HANG, OK, FaultServer, status, wait_for
from tests.support.proxy import ADDON, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e

SUMMARY = (
    r"akto: captured (\d+)(?: \+ recovered (\d+))? = shipped (\d+).*? \+ spooled (\d+) \+ rejected 0 \+ dropped 0;"
)


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A target."""
    with Api() as running:
        yield running


def options(akto: FaultServer, folder: Path, **more: str) -> dict[str, str]:
    """Return the options of a proxy with a spool."""
    return {"akto_url": akto.url, "akto_spool_dir": str(folder / "spool"), "akto_linger_ms": "5000"} | more


def reverse(api: Api) -> str:
    """Return the mode."""
    return f"reverse:http://127.0.0.1:{api.port}"


def load(proxy: Proxy, count: int) -> set[str]:
    """Send requests through a proxy and return their paths."""
    with Clients(2) as clients:
        clients.port = proxy.port
        wait_for(lambda: len(clients.answered) >= count, 60)
    return set(clients.answered)


def summary(proxy: Proxy) -> tuple[int, int, int, int]:
    """Return captured, recovered, shipped and spooled from the only summary line."""
    proxy.process.wait(60)
    found = proxy.wait_for(SUMMARY)
    lines = [line for line in proxy.log if "akto: captured" in line and "cannot deliver" not in line]
    assert len(lines) == 1, lines
    captured, recovered, shipped, spooled = (int(number or 0) for number in found.groups())
    return captured, recovered, shipped, spooled


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("durability", ["memory", "spill", "disk"])
def test_a_signal_flushes(api: Api, tmp_path: Path, number: int, durability: str) -> None:
    """Line 7: captured entries that are not yet due are sent before the process ends, and one line summarises."""
    with (
        FaultServer() as akto,
        running_mitmdump(reverse(api), options=options(akto, tmp_path, akto_durability=durability)) as proxy,
    ):
        paths = load(proxy, 50)
        proxy.process.send_signal(number)
        captured, _, shipped, _ = summary(proxy)
        assert captured == shipped >= len(paths)
        assert paths <= set(akto.taken)
        assert proxy.process.returncode == 0


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("durability", ["spill", "disk"])
def test_the_rest_is_spooled_and_sent_by_the_next(api: Api, tmp_path: Path, durability: str) -> None:
    """Line 7: with Akto away the rest is on disk at the end, within the deadline; the next proxy sends it."""
    with FaultServer(HANG) as akto:
        given = options(akto, tmp_path, akto_durability=durability, akto_shutdown_s="1")
        with running_mitmdump(reverse(api), options=given) as proxy:
            paths = load(proxy, 50)
            began = time.monotonic()
            proxy.process.send_signal(signal.SIGTERM)
            captured, _, shipped, spooled = summary(proxy)
            assert (shipped, spooled) == (0, captured)
            assert time.monotonic() - began < 10
        akto.script = OK
        with running_mitmdump(reverse(api), options=given) as proxy:
            wait_for(lambda: paths <= set(akto.taken))
            proxy.stop()
            assert summary(proxy) == (0, captured, captured, 0)
        assert set(akto.taken.values()) == {1}


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_ends_at_once(api: Api, tmp_path: Path, number: int) -> None:
    """Line 7: a second signal cuts the flush short; captured entries are still on disk."""
    with FaultServer(HANG) as akto:
        # Nothing is sent before the flush has begun; a second signal has an effect only then.
        waits = {"akto_linger_ms": "60000", "akto_batch_entries": "10000"}
        given = options(akto, tmp_path, akto_shutdown_s="600", akto_timeout_s="600", **waits)
        with running_mitmdump(reverse(api), options=given) as proxy:
            load(proxy, 50)
            proxy.process.send_signal(number)
            wait_for(lambda: akto.seen.requests > 0)
            assert proxy.process.poll() is None
            proxy.process.send_signal(number)
            captured, _, _, spooled = summary(proxy)
            assert spooled == captured >= 50


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize(
    ("durability", "away"),
    [
        ("memory", True),
        ("spill", False),
        ("disk", True),
        pytest.param("memory", False, marks=pytest.mark.slow),
        pytest.param("spill", True, marks=pytest.mark.slow),
        pytest.param("disk", False, marks=pytest.mark.slow),
    ],
)
def test_a_reload_loses_nothing(api: Api, tmp_path: Path, durability: str, away: bool) -> None:
    """Line 7: after a reload under load, with Akto up or down, each entry arrives once, from one pair of threads."""
    script = tmp_path / "addon.py"
    shutil.copy(ADDON, script)
    message = tmp_path / "threads"
    (tmp_path / "spy.py").write_text(SPY.format(file=str(message)))
    with FaultServer(status(503) if away else OK) as akto, Clients(2, 0.005) as clients:
        given = options(akto, tmp_path, akto_durability=durability, akto_linger_ms="100")
        with running_mitmdump(reverse(api), options=given, scripts=[script, tmp_path / "spy.py"]) as proxy:
            clients.port = proxy.port
            for times in range(1, 4):
                wait_for(lambda times=times: len(clients.answered) >= 40 * times)  # type: ignore[misc]
                stamp = time.time() + 10 * times
                os.utime(script, (stamp, stamp))
                wait_for(lambda times=times: sum("Loading script" in line for line in proxy.log) > times)  # type: ignore[misc]
            clients.stop()
            wait_for(lambda: threads(proxy, message) == ["akto-sender", "akto-shipper"])
            akto.script = OK
            wait_for(lambda: set(clients.answered) <= set(akto.taken))
            proxy.stop()
            captured, recovered, shipped, _ = summary(proxy)
            assert captured + recovered == shipped
        assert set(akto.taken.values()) == {1}


# Appends the names of its process's threads to a file, a line per SIGUSR1. Standard output would not do:
# a handler that prints while the proxy does so raises an error, or mixes two lines.
SPY = """
import os, signal, threading
def tell(*_):
    names = sorted(each.name for each in threading.enumerate() if each.name.startswith("akto-"))
    file = os.open({file!r}, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600)
    os.write(file, (" ".join(names) + "\\n").encode())
    os.close(file)
def running():
    signal.signal(signal.SIGUSR1, tell)
    tell()
"""


def threads(proxy: Proxy, file: Path) -> list[str]:
    """Return the names of our threads in a proxy that runs the spy."""
    before = file.read_text()
    proxy.process.send_signal(signal.SIGUSR1)
    wait_for(lambda: len(file.read_text()) > len(before))
    return file.read_text().splitlines()[-1].split()


@pytest.mark.usefixtures("program")
def test_two_proxies_share_a_spool(api: Api, tmp_path: Path) -> None:
    """Line 8: with two live proxies on one spool, and Akto away and back, every entry arrives once."""
    with FaultServer(status(503)) as akto, Clients(2) as first, Clients(2, numbers=itertools.count(10**6)) as second:
        given = options(akto, tmp_path, akto_durability="disk", akto_linger_ms="100")
        with (
            running_mitmdump(reverse(api), options=given) as one,
            running_mitmdump(reverse(api), options=given) as two,
        ):
            first.port, second.port = one.port, two.port
            wait_for(lambda: min(len(first.answered), len(second.answered)) > 300, 60)
            first.stop()
            second.stop()
            akto.script = OK
            wait_for(lambda: first.answered.keys() | second.answered.keys() <= set(akto.taken), 90)
        assert set(akto.taken.values()) == {1}


@pytest.mark.usefixtures("program")
@pytest.mark.slow
def test_a_dead_proxys_batches_are_taken_over(api: Api, tmp_path: Path) -> None:
    """Line 8: batches of a killed proxy are sent once by the other proxy, after the lease."""
    with FaultServer(status(503)) as akto:
        given = options(akto, tmp_path, akto_durability="disk", akto_linger_ms="100")
        with running_mitmdump(reverse(api), options=given) as dead, running_mitmdump(reverse(api), options=given):
            paths = load(dead, 100)
            spool = Spool(tmp_path / "spool", target="", limit=1, owner="oracle")
            wait_for(lambda: sum(share.entries for share in spool.waiting()) >= len(paths))
            dead.process.kill()
            akto.script = OK
            wait_for(lambda: paths <= set(akto.taken), 90)
        assert set(akto.taken.values()) == {1}
