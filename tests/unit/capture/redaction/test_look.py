"""Helpers that the walkers share."""

from __future__ import annotations

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction.look import MOST_TEXTS, Hidden, is_masked, mask, spliced
from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT, MASK


def test_masks() -> None:
    """The mask of a JWT is a JWT."""
    jwt = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln"
    assert mask(b"hunter2") == MASK
    assert mask(jwt) == MADE_UP_JWT
    assert mask(b"x" + jwt) == MASK
    assert all(map(is_masked, (MASK, MADE_UP_JWT)))
    assert not is_masked(jwt)


def test_what_may_be_looked_into() -> None:
    """The number of texts that are searched is limited."""
    hidden = Hidden()
    assert sum(hidden.spend() for _ in range(MOST_TEXTS + 5)) == MOST_TEXTS


def test_changes_within_one_another() -> None:
    """Of nested changes the outermost counts, in any order."""
    changes = [Change(4, 5, b"x"), Change(1, 8, b"y"), Change(8, 9, b"z")]
    assert spliced(b"0123456789", changes) == b"0yz9"
    assert spliced(b"01", []) == b"01"
