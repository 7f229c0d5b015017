"""The number of connections that one client connection may hold open."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace

import pytest

from akto_mirror.addon.uploads import allow


def handler() -> SimpleNamespace:
    """Make a stand-in for mitmproxy's connection handler."""
    return SimpleNamespace(max_conns=defaultdict(lambda: asyncio.Semaphore(5)))


@pytest.mark.parametrize(("most", "allowed"), [(256, 256), (1, 1), (0, 5)])
def test_as_many_as_asked_for(most: int, allowed: int) -> None:
    """The option sets the number for each target; 0 leaves it to mitmproxy."""
    made = handler()
    allow(made, most)
    free = made.max_conns["target", 80]._value
    assert free == allowed


@pytest.mark.parametrize("made", [None, SimpleNamespace()])
def test_a_handler_without_such_a_bound_is_left_alone(made: object) -> None:
    """A handler without such a bound, as in another release of mitmproxy, is left alone."""
    allow(made, 256)
    assert not hasattr(made, "max_conns")
