"""Places in mitmproxy's chain of addons."""

from __future__ import annotations

from mitmproxy.test import taddons

from akto_mirror.addon import chain


def test_an_addon_has_its_place_in_the_chain() -> None:
    """An addon can be first, last or removed; a walk through the chain keeps the list that it began with."""
    with taddons.context() as context:
        addons = context.master.addons
        usual, walk = list(addons.chain), iter(addons.chain)
        first, last = object(), object()
        chain.stand_first(addons, first)
        chain.stand_last(addons, last)
        assert addons.chain == [first, *usual, last]
        assert list(walk) == usual
        chain.stand_back(addons, first)
        chain.stand_back(addons, last)
        chain.stand_back(addons, last)
        assert addons.chain == usual
