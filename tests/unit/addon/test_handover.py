"""The handover of a shipper to the next instance, and waiting for a flush."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest

from akto_mirror.addon import handover
from akto_mirror.addon.handover import Flush, Room


class Closing:
    """Counts how often a flush begins; each one ends at once."""

    def __init__(self) -> None:
        self.begun = 0

    def __call__(self) -> Future[None]:
        """Begin."""
        self.begun += 1
        ended: Future[None] = Future()
        ended.set_result(None)
        return ended


def test_a_flush_begins_once() -> None:
    """A flush begins by `begin` or when it is awaited; waiting for one that has not begun returns at once."""
    close = Closing()
    flush = Flush(close)
    flush.wait()
    assert close.begun == 0

    async def end() -> None:
        await flush

    asyncio.run(end())
    flush.begin()
    flush.wait()
    assert close.begun == 1


@pytest.mark.parametrize("taken", [True, False])
def test_a_parked_shipper_is_closed_unless_it_is_taken_over(taken: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next instance, if there is one, takes the shipper over at once."""
    monkeypatch.setattr(handover, "PARK_S", 0.0)
    place, shipper, close = SimpleNamespace(parked=None), SimpleNamespace(), Closing()

    async def reload() -> None:
        assert handover.park(place, shipper, Flush(close))  # type: ignore[arg-type]
        assert place.parked is shipper
        if taken:
            place.parked = None
        await asyncio.sleep(0.01)

    asyncio.run(reload())
    assert close.begun == (not taken)


def test_nothing_is_parked_without_an_event_loop() -> None:
    """Without an event loop there is no next instance."""
    place = SimpleNamespace(parked=None)
    assert not handover.park(place, SimpleNamespace(), Flush(Closing()))  # type: ignore[arg-type]
    assert place.parked is None


def test_room_is_awaited_until_the_queue_has_some() -> None:
    """A replay of a file waits until the queue has room."""
    crowded = iter([True, True, False])
    shipper: Any = SimpleNamespace(is_crowded=lambda: next(crowded))

    async def read_on() -> None:
        await Room(shipper)

    asyncio.run(read_on())
    assert next(crowded, None) is None
