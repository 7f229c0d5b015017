"""Noise, pause and caps through a real mitmdump: what is skipped, what arrives, and the counts."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults.load import Api
from tests.support import keptalive
from tests.support.mirror import Mirror, mirroring
from tests.support.proxy import ADDON, Proxy, under_run

pytestmark = pytest.mark.e2e

# Runs a command as if typed at mitmproxy's `:` prompt, before the request that names it continues.
TYPING = """
from mitmproxy import ctx

def requestheaders(flow):
    if line := flow.request.headers.pop("x-type", None):
        ctx.master.commands.execute(line)
"""

PREFLIGHT = "origin: https://shop.example\r\naccess-control-request-method: PUT\r\n"
NOISE = (
    ("GET", "/v1/Healthz", ""),
    ("GET", "/orders?by=probe", "user-agent: kube-probe/1.30\r\n"),
    ("GET", "/app.JS?v=3", ""),
    ("OPTIONS", "/orders", PREFLIGHT),
)
NO_NOISE = (
    ("GET", "/healthz/orders", ""),
    ("POST", "/app.js", "content-length: 0\r\n"),
    ("OPTIONS", "/plain", "origin: https://shop.example\r\n"),
)

RATE = 10
LAST_LINE = re.compile(r"akto: captured (\d+) = shipped (\d+) .*; skipped (\d+) \((.*)\)")

Request = tuple[str, str, str]


async def _ask(proxy: Proxy, requests: Sequence[Request]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    for method, path, fields in requests:
        request = f"{method} {path} HTTP/1.1\r\nhost: api.example\r\n{fields}\r\n"
        await keptalive.ask(reader, writer, request.encode())
    writer.close()


def ask(proxy: Proxy, *requests: Request) -> float:
    """Send requests one after another on a new connection, and return the seconds taken."""
    started = time.monotonic()
    asyncio.run(_ask(proxy, requests))
    return time.monotonic() - started


def orders(count: int, line: str = "") -> list[Request]:
    """Return requests that show nothing new; the first one also runs a command."""
    typed = f"x-type: {line}\r\n" if line else ""
    return [("GET", "/orders", typed if number == 0 else "") for number in range(count)]


def skipped(mirror: Mirror) -> dict[str, int]:
    """Return the reasons with their counts from the last line, which must add up."""
    last = LAST_LINE.search("\n".join(mirror.proxy.log))
    assert last, "\n".join(mirror.proxy.log)
    reasons = {reason: int(count) for reason, count in re.findall(r"([a-z ]+?) (\d+)(?:, |$)", last[4])}
    assert int(last[1]) == int(last[2]) == len(mirror.akto.entries)
    assert sum(reasons.values()) == int(last[3])
    return reasons


def test_noise_and_pause(tmp_path: Path) -> None:
    """Noise is skipped by preset, and everything while paused; both are counted, and all else arrives."""
    typing = tmp_path / "typing.py"
    typing.write_text(TYPING)
    options = {"akto_skip": "health,static,options"}
    with (
        Api() as api,
        mirroring(f"reverse:http://127.0.0.1:{api.port}", options=options, scripts=(typing, ADDON)) as mirror,
    ):
        ask(mirror.proxy, *NOISE, *NO_NOISE)
        ask(mirror.proxy, *orders(5, "akto.pause"))
        ask(mirror.proxy, *orders(2, "akto.resume"))
        ask(mirror.proxy, *orders(3, "set akto_pause=true"))
    assert [entry["path"] for entry in mirror.akto.entries] == [*(path for _, path, _ in NO_NOISE), *["/orders"] * 2]
    assert skipped(mirror) == {"noise": len(NOISE), "paused": 8}


@pytest.mark.parametrize("option", ["akto_max_entries_s", "akto_max_bytes_s"])
def test_caps_let_what_is_new_go_first(option: str, tmp_path: Path) -> None:
    """With caps set at run time, known exchanges pass up to half the bucket and its refill, and all new ones pass."""
    typing = tmp_path / "typing.py"
    typing.write_text(TYPING)
    size = 1_000
    with Api() as api, mirroring(f"reverse:http://127.0.0.1:{api.port}", scripts=(typing, ADDON)) as mirror:
        rate = RATE * (size if option == "akto_max_bytes_s" else 1)
        took = ask(mirror.proxy, *orders(6 * RATE, f"set {option}={rate}"))
        ask(mirror.proxy, *(("GET", f"/orders?filter{name}=x", "") for name in "abcde"))
    entries = mirror.akto.entries
    assert {entry["path"] for entry in entries} == {"/orders", *(f"/orders?filter{name}=x" for name in "abcde")}
    passed = sum(entry["path"] == "/orders" for entry in entries)
    assert passed >= RATE
    assert passed <= (2 * RATE if option == "akto_max_bytes_s" else RATE) + RATE * took + 2
    assert skipped(mirror) == {"over the cap": 6 * RATE - passed}


@pytest.mark.slow
def test_processes_share_a_cap() -> None:
    """A cap applies to all workers together."""
    options = {"akto_max_entries_s": str(RATE)}
    with Api() as api, under_run(2), mirroring(f"reverse:http://127.0.0.1:{api.port}", options=options) as mirror:
        took = sum(ask(mirror.proxy, *orders(10)) for _ in range(8))
    passed = len(mirror.akto.entries)
    # Each worker judges by itself what is new: one entry from each, from the lower half of its bucket.
    assert passed <= RATE + RATE * took + 4
    assert skipped(mirror) == {"over the cap": 80 - passed}
