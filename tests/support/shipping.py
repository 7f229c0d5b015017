"""A shipper for tests, with entries and a policy; no thread outlives the test."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from akto_mirror.accounts import Stats
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.policy import Policy, SpoolPlan
from akto_mirror.delivery.retry import Durability, Pace
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.http import HttpSink
from tests.faults.server import wait_for

FAST = Pace(first_s=0.01, longest_s=0.1, slow_s=0.2)


def entry(number: int, size: int = 10) -> bytes:
    """Return an encoded entry with a unique path."""
    return msgspec.json.encode({"path": f"/{number}", "method": "GET", "time": "1", "requestPayload": "x" * size})


def policy(folder: Path | None = None, durability: Durability = Durability.MEMORY, **changes: object) -> Policy:
    """Return a policy for tests."""
    plan = SpoolPlan(folder, 10**8, "t", lease_s=3.0) if folder else None
    given: dict[str, object] = {
        "limits": Limits(10, 100_000, 0.02),
        "queue_bytes": 10**6,
        "timeout_s": 5.0,
        "shutdown_s": 5.0,
        "durability": durability,
        "spool": plan,
        "pace": FAST,
    }
    return Policy(**(given | changes))  # type: ignore[arg-type]


@contextmanager
def shipping(to: str, given: Policy) -> Iterator[Shipper]:
    """Run a shipper; at the end it is closed in any case, and its threads have ended."""
    before = set(ours())
    shipper = Shipper(given, HttpSink(to, token="secret"), Stats())
    try:
        yield shipper
    finally:
        shipper.hurry()
        shipper.close().result(30)
        wait_for(lambda: set(ours()) <= before)


def ours() -> list[threading.Thread]:
    """Return the threads of shippers."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("akto-")]


def fill(shipper: Shipper, count: int, size: int = 10) -> None:
    """Offer entries."""
    for number in range(count):
        shipper.offer(entry(number, size))
