"""Delivery contract, line 2: memory during an outage."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.faults.load import Api, Clients
from tests.faults.server import HANG, FaultServer, wait_for
from tests.support.proxy import Proxy, running_mitmdump

MIB = 1024 * 1024

# What the contract allows in addition to the queue.
ALLOWED = 40 * MIB


def resident(proxy: Proxy) -> int:
    """Return the resident memory of a proxy in bytes."""
    text = Path(f"/proc/{proxy.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+)", text)
    assert found
    return int(found[1]) * 1024


@pytest.mark.e2e
@pytest.mark.parametrize("durability", ["memory", pytest.param("spill", marks=pytest.mark.slow), "disk"])
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the figures come from /proc")
def test_an_outage_is_bounded(tmp_path: Path, durability: str) -> None:
    """Line 2: with Akto hanging, the proxy holds at most what it held when idle, the queue and 40 MB more."""
    queue = 16 * MIB
    with Api(padding=60_000) as api, FaultServer(HANG) as akto, Clients(4) as clients:
        options = {
            "akto_url": akto.url,
            "akto_durability": durability,
            "akto_spool_dir": str(tmp_path / "spool"),
            "akto_queue_bytes": str(queue),
            "akto_shutdown_s": "0",
        }
        with running_mitmdump(
            f"reverse:http://127.0.0.1:{api.port}", options=options, arguments=["--set", "flow_detail=0"]
        ) as proxy:
            idle = resident(proxy)
            clients.port = proxy.port
            # Three times what the queue holds.
            wait_for(lambda: len(clients.answered) * 60_000 > 3 * queue, 100)
            clients.stop()
            held = resident(proxy)
            assert held <= idle + queue + ALLOWED, f"idle {idle / MIB:.0f} MiB, now {held / MIB:.0f} MiB"
            assert proxy.stop() == 0
            found = proxy.wait_for(r"akto: captured (\d+).*spooled (\d+).*dropped (\d+)")
            captured, spooled, dropped = (int(number) for number in found.groups())
            assert captured == spooled + dropped
            assert dropped > 0 if durability == "memory" else spooled > captured // 2
