"""Delivery contract, lines 6 and 8: commands of users on a spool."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from akto_mirror.outcomes import Rejected
from tests.support.spools import BATCH, spool


@pytest.mark.parametrize("lets", ["waiting", "dead"])
def test_a_user_deletes_much_in_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lets: str) -> None:
    """Line 8: many entries are deleted in steps, and a proxy can write between them."""
    monkeypatch.setattr("akto_mirror.delivery.spool.by_hand.STEP_ROWS", 2)
    monkeypatch.setattr("akto_mirror.delivery.spool.lock.LOCK_S", 0.01)
    proxy, user = spool(tmp_path, "proxy"), spool(tmp_path, "user")
    pauses = list[float]()

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        proxy.put([b"x"])

    for _ in range(7):
        proxy.put([b"x" * 1000] * 2)
    proxy.replace(None, [], [Rejected(b"bad", "422")] * 7)
    monkeypatch.setattr("akto_mirror.delivery.spool.by_hand.time", SimpleNamespace(sleep=pause))
    assert (user.drop_waiting("t") if lets == "waiting" else user.drop_dead()) == (14 if lets == "waiting" else 7)
    assert len(pauses) == 3
    assert proxy.owned() == (3 if lets == "waiting" else 17)
    assert len(user.dead_letters()) == (7 if lets == "waiting" else 0)


def test_dead_letters(tmp_path: Path) -> None:
    """Line 6: dead letters are kept with their reason, can be sent again, and can be deleted."""
    mine = spool(tmp_path)
    assert mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH]) == 3
    letters = mine.dead_letters()
    assert [letter.payload for letter in letters] == BATCH
    assert {letter.reason for letter in letters} == {"422 bad"}
    assert mine.revive([letters[0].id]) == 1
    assert mine.adopt() == 1
    stored = mine.next([])
    assert stored
    assert stored.entries == BATCH[:1]
    assert mine.drop_dead([letters[1].id, 999]) == 1
    assert mine.drop_dead() == 1
    assert mine.dead_letters() == []


def test_only_what_waits_for_a_target_is_deleted_or_redirected(tmp_path: Path) -> None:
    """Line 8: a command for one target does not change entries for another."""
    mine = spool(tmp_path)
    mine.put(BATCH)
    assert (mine.drop_waiting("u"), mine.redirect("u", "v")) == (0, 0)
    assert mine.redirect("t", "u") == 3
    assert [(share.target, share.entries) for share in mine.waiting()] == [("u", 3)]
    assert mine.drop_waiting("u") == 3
    assert mine.waiting() == []


def test_letters_are_revived_for_the_target_that_is_named(tmp_path: Path) -> None:
    """Line 6: without numbers, all dead letters are sent to the named target."""
    mine = spool(tmp_path)
    mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH])
    assert set(mine.dead_targets().values()) == {"t"}
    assert mine.revive(target="u") == 3
    assert [(share.target, share.batches) for share in mine.waiting()] == [("u", 3)]
