"""Bodies that decode to 300 MB take memory in proportion to the limit, in any coding."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.coders import bomb, encode
from tests.support.proxy import ROOT

SIZE = 300 << 20
LIMIT = 65536

# Memory of the decoders that does not depend on the limit: windows of 8 MB in zstd and 16 MB in br, and tables.
FIXED = 20 << 20

# Decodes each file's prefix, and prints how far the peak of memory rose; Linux resets the peak on request.
MEASURE = """
import json, re, sys
from pathlib import Path
from akto_mirror.capture import body, sides
from akto_mirror.capture.payload import codings

def memory(which):
    return 1024 * int(re.search(which + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

def payloads(wire, coding, limit):
    headers = {"content-type": "application/json", "content-encoding": coding}
    return sides.akto(wire, headers, limit).payload.text, body.worker_payload(wire, coding, limit)

found = {}
for name, coding, limit in json.loads(sys.argv[1]):
    with open(name, "rb") as file:
        wire = body.Body(file.read(codings.prefix_bound(limit)), False)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    sizes = [len(payload) for payload in payloads(wire, coding, limit)]
    found[Path(name).name] = [memory("VmHWM") - before, *sizes]
print(json.dumps(found))
"""

BOMBS = {
    "gzip": "gzip",
    "deflate": "deflate",
    "raw": "deflate",
    "br": "br",
    "zstd": "zstd",
    "gzip in br": "gzip, br",
    "gzip in gzip": "gzip, gzip",
    "zstd in zstd": "zstd, zstd",
    "br in gzip in zstd": "br, gzip, zstd",
    "plain": "",
    "plain labelled gzip": "gzip",
    "plain labelled br": "br",
    "plain labelled zstd": "zstd",
}


@pytest.fixture(scope="session")
def bombs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write each bomb to a file; uncompressed ones are sparse."""
    folder = tmp_path_factory.mktemp("bombs")
    files = {}
    for name, coding in BOMBS.items():
        files[name] = folder / name.replace(" ", "-")
        with files[name].open("wb") as out:
            if name.startswith("plain"):
                out.truncate(SIZE)
            else:
                inner, _, outer = coding.partition(", ")
                out.write(encode(bomb("raw" if name == "raw" else inner, SIZE), outer))
    return files


def decode(bombs: dict[str, Path], limit: int) -> dict[str, list[int]]:
    """Decode all bombs in a separate process, and return the rise of memory in bytes and the length of each payload."""
    jobs = json.dumps([(str(bombs[name]), coding, limit) for name, coding in BOMBS.items()])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, jobs], cwd=ROOT, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux resets a peak")
@pytest.mark.parametrize("limit", [0, 1, LIMIT, 16 * LIMIT])
def test_memory_is_in_proportion_to_the_limit(bombs: dict[str, Path], limit: int) -> None:
    """The peak rises by at most a decoder's window and a multiple of the limit."""
    found = decode(bombs, limit)
    assert len(found) == len(BOMBS)
    assert max(rise for rise, *_ in found.values()) < FIXED + 64 * limit, found


def test_a_bomb_gives_its_first_bytes(bombs: dict[str, Path]) -> None:
    """Exactly the limit is kept of the decoded zeros, in each fidelity that decodes the coding."""
    found = decode(bombs, LIMIT)
    for name in ("gzip", "br", "deflate", "raw", "zstd", "gzip-in-br", "gzip-in-gzip", "zstd-in-zstd", "plain"):
        assert found[name][1] == LIMIT, name
    for name in ("gzip", "br", "plain"):
        assert found[name][2] == LIMIT, name
