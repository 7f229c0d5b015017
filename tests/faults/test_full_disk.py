"""Delivery contract, line 9: disks that are full to the last block, of each kind that can be mounted here."""

from __future__ import annotations

import shutil
import urllib.request
from pathlib import Path

import pytest

from tests.faults import disks, fulldisk
from tests.faults.load import Api, Clients
from tests.faults.server import OK, FaultServer, status, wait_for
from tests.support.proxy import running_mitmdump


@pytest.mark.e2e
@pytest.mark.slow  # .ci/run does the same by `make fulldisk`.
@pytest.mark.parametrize("kind", disks.KINDS)
@pytest.mark.timeout(600)
def test_what_is_on_a_full_disk_arrives(kind: str) -> None:
    """Line 9: filled, scraped, killed and restarted: nothing is lost, no space is freed, and all counts agree."""
    try:
        tally = fulldisk.run(kind, 0, seed=5)
    except disks.NotPermittedError as error:
        pytest.skip(str(error))
    assert tally.is_good, tally
    assert tally.stored > 50, tally
    assert tally.looks > 10, tally


@pytest.mark.e2e
@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind == "ext4-1k" else pytest.mark.slow) for kind in disks.KINDS]
)
@pytest.mark.timeout(600)
def test_mitmdump_outlives_a_full_disk(kind: str) -> None:
    """Line 9: a proxy whose disk fills up, while it is scraped, keeps serving, and delivers what it has stored."""
    try:
        with disks.mounted(kind) as disk:
            _outlive(disk)
    except disks.NotPermittedError as error:
        pytest.skip(str(error))


def _outlive(disk: Path) -> None:
    options = {
        "akto_durability": "spill",
        "akto_spool_dir": str(disk / "s"),
        "akto_linger_ms": "50",
        "akto_metrics": "127.0.0.1:0",
    }
    with Api(padding=20_000) as api, FaultServer(status(503)) as akto, Clients(4) as clients:
        mode = f"reverse:http://127.0.0.1:{api.port}"
        with running_mitmdump(mode, options={"akto_url": akto.url} | options) as proxy:
            metrics = proxy.wait_for(r"metrics at (http://\S+)")[1]
            clients.port = proxy.port
            while shutil.disk_usage(disk).free > 3_000_000:
                _scrape(metrics)
            with disks.full(disk):
                answered = len(clients.answered)
                wait_for(lambda: bool(_scrape(metrics)) and len(clients.answered) > answered + 500, 90)
                clients.stop()
                kept = fulldisk.stored(disk / "s")
                assert len(kept) > 100
                akto.script = OK
                wait_for(lambda: kept <= set(akto.taken), 90)
                wait_for(lambda: 'place="spooled"} 0.0' in _scrape(metrics), 30)
                assert fulldisk.status_entries(disk / "s") == 0
                assert proxy.stop() == 0
            assert not any("Traceback" in line for line in proxy.log)


def _scrape(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())
