"""Versions of mitmproxy that `run` was compared with."""

from __future__ import annotations

import inspect
from unittest import mock

import pytest

from akto_mirror.runner import known


def test_every_change_of_what_is_replaced_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The digest covers all replaced code; without sources, as in a frozen program, it is empty."""
    usual = known.digest()
    found = {usual}
    for left_out in known.REPLACED:
        monkeypatch.setattr(known, "REPLACED", tuple(each for each in known.REPLACED if each is not left_out))
        found.add(known.digest())
        monkeypatch.undo()
    assert len(found) == len(known.REPLACED) + 1
    monkeypatch.setattr(inspect, "getsource", mock.Mock(side_effect=OSError))
    assert known.digest() == ""
