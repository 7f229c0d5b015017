"""Instructions per request, counted by callgrind, which a busy machine does not change."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from benchmarks import load, peers, proxies, table
from benchmarks.proxies import LISTENING, PLAIN, Mode, Proxy

# Requests of the warm-up, which are not counted.
WARM_UP = 60

# Under callgrind a batch would be due by its age, because everything is slow; under load it is due by its size.
FULL_BATCHES = ("--set", "akto_linger_ms=60000")

HEAD = ("", "instructions a request, thousands", "times plain")

SKIPPED = "### Instructions\n\nNot counted: valgrind is not installed."


def report(requests: int) -> str:
    """Count instructions and return the section.

    Args:
        requests: counted requests of each mode.
    """
    if not shutil.which("valgrind"):
        sys.stderr.write("instructions are not counted: valgrind is not installed\n")
        return SKIPPED
    with (
        tempfile.TemporaryDirectory() as folder,
        peers.running_ingestion() as ingestion,
        peers.running_json_target(Path(folder)) as (port, target),
    ):
        mirroring = [proxies.with_addon(ingestion.url), proxies.under_run(ingestion.url)]
        modes = [PLAIN, LISTENING, *(replace(mode, args=(*mode.args, *FULL_BATCHES)) for mode in mirroring)]
        counts = [_count(mode, port, ingestion.url, requests, Path(folder) / str(n)) for n, mode in enumerate(modes)]
    return _section(modes, counts, requests, target)


def _count(mode: Mode, target_port: int, ingestion_url: str, requests: int, folder: Path) -> float:
    """Return the instructions per request, including delivery."""
    folder.mkdir()
    with ExitStack() as stack:
        callgrind = ("valgrind", "-q", "--tool=callgrind", "--instr-atstart=no", f"--callgrind-out-file={folder}/out")
        proxy = stack.enter_context(proxies.running_proxy(mode, target_port, ingestion_url, callgrind))
        load.run(proxy.port, WARM_UP, 1)
        _control(proxy, "--instr=on")
        load.run(proxy.port, WARM_UP, 1)
        _control(proxy, "--zero")
        load.run(proxy.port, requests, 1)
        _control(proxy, "--dump")
    return _total(folder) / requests


def _control(proxy: Proxy, act: str) -> None:
    command = ["callgrind_control", act, str(proxy.pid)]
    subprocess.run(command, check=True, capture_output=True)  # noqa: S603 - our own arguments


def _total(folder: Path) -> int:
    found = [re.search(r"^(?:totals|summary): (\d+)", path.read_text(), re.MULTILINE) for path in folder.iterdir()]
    return max(int(each[1]) for each in found if each)


def _section(modes: Sequence[Mode], counts: Sequence[float], requests: int, target: str) -> str:
    rows = [
        [mode.name, f"{count / 1000:.0f}", "1" if mode is PLAIN else f"{count / counts[0]:.3f}"]
        for mode, count in zip(modes, counts, strict=True)
    ]
    return "\n\n".join(
        [
            "### Instructions",
            f"{table.machine()}, valgrind's callgrind. Target: {target}, {len(peers.JSON_BODY)} bytes of JSON; "
            f"{requests} requests on one connection after {2 * WARM_UP} others. The kernel's are not among them.",
            table.render(HEAD, rows),
        ]
    )
