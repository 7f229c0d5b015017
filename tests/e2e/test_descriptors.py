"""More clients at once than there are file descriptors: `akto-mirror run --processes` and plain mitmdump."""

from __future__ import annotations

import contextlib
import http.client
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import workers
from tests.faults.load import Api
from tests.faults.server import FaultServer
from tests.support.proxy import DEADLINE, PLAIN, Proxy, confdir, running

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="several processes are for Linux"),
]

# Runs a program with a low limit of descriptors, which it cannot raise.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
os.execv(sys.argv[1], sys.argv[1:])
"""

CLIENTS = 100

# Seconds that clients wait for plain mitmdump, which neither answers some of them nor closes their connections.
PATIENCE = 10


def answers(program: Sequence[str], seconds: float) -> tuple[Counter[int], Proxy]:
    """Connect all clients, then send one request each; returns the count of each status, 0 for no response."""
    with running([sys.executable, "-c", LIMITED, *program], ["127.0.0.1"]) as proxy:
        gate = threading.Barrier(CLIENTS)
        with ThreadPoolExecutor(CLIENTS) as clients:
            found = Counter(clients.map(lambda number: _held_open(proxy, number, gate, seconds), range(CLIENTS)))
    return found, proxy


def _held_open(proxy: Proxy, number: int, gate: threading.Barrier, seconds: float) -> int:
    """Connect together with all other clients, send a request, and close."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=seconds)) as connection:
        try:
            connection.connect()
            gate.wait(DEADLINE)
            connection.request("GET", f"/r/{number}")
            with connection.getresponse() as answer:
                answer.read()
                return answer.status
        except (OSError, http.client.HTTPException):
            return 0


def test_descriptors_that_run_out_slow_clients_down(tmp_path: Path) -> None:
    """All clients are answered, some later; plain mitmdump closes those that it cannot connect to the target."""
    with Api() as api, FaultServer() as akto:
        mode = f"reverse:{workers.url(api)}"
        plain, refusing = answers([*PLAIN, "--set", f"confdir={confdir()}", "--mode", f"{mode}@127.0.0.1:0"], PATIENCE)
        options = {"akto_url": akto.url, "akto_spool_dir": str(tmp_path / "spool")}
        ours, waiting = answers(workers.command([mode], options), DEADLINE)
    assert ours == {200: CLIENTS}
    assert workers.summary(waiting)["captured"] == CLIENTS
    assert any("akto: 160 files and connections may be open" in line for line in waiting.log)
    assert any("akto: new connections wait" in line for line in waiting.log)
    assert plain[200] < CLIENTS, plain
    assert any("Too many open files" in line for line in refusing.log), refusing.log
