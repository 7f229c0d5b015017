"""Writes what the first format of the spool and of replays leaves on disk: python -m tests.data.first_format.make.

It was run with the code of commit b112d1a, whose package it needs: later ones write another format.
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.server import FaultServer, Reply, status
from tests.support.proxy import ROOT

FOLDER = Path(__file__).parent
FLOWS = FOLDER.parent / "flows.mitm"
MTIME_NS = 1_700_000_000_123_456_789

TARGET = "http://akto.test:9091"
OTHER = "http://other.test:9091 by /run/akto.sock"
REASON = '422 {"success":false} \x1b[31mGrüße'


def entry(name: str, size: int = 10) -> bytes:
    """Return an encoded entry with a path of its own."""
    return json.dumps({"path": f"/{name}", "method": "GET", "time": "1", "requestPayload": "ü" * size}).encode()


def batches(name: str) -> list[list[bytes]]:
    """Return what one process left: a single entry, an ordinary batch, very many small ones, and very large ones."""
    return [
        [entry(f"{name}/one")],
        [entry(f"{name}/hundred/{number}", 200) for number in range(100)],
        [entry(f"{name}/many/{number}") for number in range(3000)],
        [entry(f"{name}/large", 650_000)],
        [entry(f"{name}/large/{number}", 200_000) for number in range(5)],
    ]


def dead() -> list[bytes]:
    """Return what was refused for good, one of it no JSON."""
    return [entry("dead/1"), entry("dead/2", 50_000), b"\xff{"]


LEAVE = """
import os, sys, time
from pathlib import Path
from akto_mirror.delivery.spool.spool import Dead, Spool
from tests.data.first_format import make

folder, name, target, ends = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
spool = Spool(folder, target=target, limit=10**9, owner=f"host:{os.getpid()}:{name}")
for batch in make.batches(name):
    spool.put(batch)
refused = spool.next([])
assert refused
spool.blame(refused.id)
spool.settle(None, [], [Dead(entry, make.REASON) for entry in make.dead()])
if ends == "released":
    spool.release()
os._exit(0)
"""


def leave(folder: Path, name: str, target: str, ends: str) -> None:
    """Let a process write, and end as requested."""
    subprocess.run([sys.executable, "-c", LEAVE, folder, name, target, ends], cwd=ROOT, check=True)


def keep(folder: Path, name: str) -> None:
    """Keep the files of a spool, but for what SQLite makes again."""
    (FOLDER / name).mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name.startswith("spool.db") and not path.name.endswith("-shm"):
            (FOLDER / name / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def spools(folder: Path) -> Iterator[tuple[str, Path]]:
    """Make each kind: of processes that ended, of one that was killed, and of both for two servers."""
    for name, lives in {
        "released": [("a", TARGET, "released")],
        "killed": [("a", TARGET, "killed")],
        "shared": [("a", TARGET, "released"), ("b", OTHER, "released"), ("c", TARGET, "killed")],
    }.items():
        for life in lives:
            leave(folder / name, *life)
        yield name, folder / name


def bookmark(folder: Path) -> None:
    """Let a replay of all flows find a server that takes the first entry and then no token any more."""
    flows = folder / "flows.mitm"
    shutil.copy(FLOWS, flows)
    os.utime(flows, ns=(MTIME_NS, MTIME_NS))
    answers = iter([Reply()])
    with FaultServer(lambda _: next(answers, status(401))) as akto:
        line = [sys.executable, "-m", "akto_mirror", "replay", str(flows), "--to", akto.url, "--quiet"]
        line += ["--set", "akto_batch_entries=1"]
        done = subprocess.run(line, env=os.environ | {"XDG_STATE_HOME": str(folder)}, cwd=ROOT, check=False)
        assert done.returncode == 1
    (file,) = (folder / "akto-mirror" / "replay").iterdir()
    (FOLDER / "bookmark.json").write_bytes(file.read_bytes().replace(str(flows).encode(), b"flows.mitm"))


def main() -> None:
    """Write everything."""
    with tempfile.TemporaryDirectory() as folder:
        for name, made in spools(Path(folder)):
            keep(made, name)
        bookmark(Path(folder))


if __name__ == "__main__":
    main()
