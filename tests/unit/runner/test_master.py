"""Replacements of mitmproxy's parts by `run`, and versions of mitmproxy that keep their own parts."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest
from mitmproxy import addonmanager, http, options

from akto_mirror.runner import known, master
from akto_mirror.runner.manager import TableManager
from akto_mirror.runner.master import RunMaster
from akto_mirror.runner.options import Options, QuickOptions
from tests.support.proxy import ADDON


@pytest.fixture
def another_mitmproxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulate a version of mitmproxy whose replaced parts differ."""
    monkeypatch.setattr(known, "KNOWN", "of another one")
    known.is_known.cache_clear()
    yield
    known.is_known.cache_clear()


def made() -> tuple[type[object], type[object], list[str]]:
    """Return the types of a master's manager and options, and its scripts."""

    async def make() -> tuple[type[object], type[object], list[str]]:
        given = options.Options()
        found = RunMaster(given, ADDON)
        found._legacy_log_events.uninstall()
        assert found.options is given
        assert found.addons.get("scriptloader").addons[0].path == str(ADDON)
        return type(found.addons), type(given), given.scripts

    return asyncio.run(make())


def test_a_known_mitmproxy_gets_the_table() -> None:
    """The tests have compared this version of mitmproxy; if it is unknown, the comparison has to be reviewed."""
    assert known.is_known(), known.digest()
    assert made() == (TableManager, QuickOptions, [str(ADDON)])


def test_what_was_loaded_at_the_start_is_left_out_of_collections() -> None:
    """Objects that exist at the start are left out of garbage collection; later ones are collected."""
    master.leave_out_what_stays()
    try:
        assert gc.get_freeze_count() > 10_000
        ring: list[object] = []
        ring.append(ring)
        del ring
        assert gc.collect() >= 1
    finally:
        gc.unfreeze()


@pytest.mark.usefixtures("another_mitmproxy")
def test_another_mitmproxy_walks_as_it_does(caplog: pytest.LogCaptureFixture) -> None:
    """It keeps its own manager, options and type check, and one line says so."""
    with caplog.at_level(logging.INFO):
        assert made() == (addonmanager.AddonManager, Options, [str(ADDON)])
    assert [line for line in caplog.messages if line.startswith("akto: ")] == [master.UNKNOWN]
    with mock.patch.object(http.MessageData, "__post_init__") as check:
        master.leave_out_checks()
        assert http.MessageData.__post_init__ is check


def test_the_check_is_taken_away_for_all_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The type check is removed for requests and responses; nothing else changes."""
    monkeypatch.setattr(http.MessageData, "__post_init__", http.MessageData.__post_init__)
    fields: Any = (b"HTTP/1.1", "no number", b"OK", http.Headers(), b"", None, 0.0, 0.0)
    with pytest.raises(TypeError):
        http.Response(*fields)
    master.leave_out_checks()
    assert http.Response(*fields).get_state()["status_code"] == "no number"
