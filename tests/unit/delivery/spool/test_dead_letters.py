"""Names of dead letters in lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from akto_mirror.delivery.spool.dead_letters import UnknownLetterError, named, title
from akto_mirror.outcomes import Rejected
from tests.support.spools import BATCH, spool


@pytest.mark.parametrize(
    ("payload", "shown"),
    [
        (b'{"method":"GET","path":"/a?b"}', "GET /a?b"),
        (b'{"method":"GET","path":"/\x1b[31m"}', "(32 bytes that are not an entry)"),
        (b'{"method":"GET","path":"/\\u001b[31m"}', r"GET /\x1b[31m"),
        (b"{}", "None None"),
        (b'{"method":7}', "(12 bytes that are not an entry)"),
        (b"\xff{", "(2 bytes that are not an entry)"),
    ],
)
def test_a_letter_is_named_by_its_request(payload: bytes, shown: str) -> None:
    """Line 6: a dead letter is shown by its request, escaped, or by its size if it is not an entry."""
    assert title(payload) == shown


def test_a_long_title_is_cut() -> None:
    """Line 6: a long title is cut, so that each letter is one line of the list."""
    assert len(title(b'{"method":"GET","path":"/%s"}' % (b"a" * 10_000))) <= 101


def test_a_number_that_no_letter_has_is_named(tmp_path: Path) -> None:
    """Line 6: an unknown number is an error that names the smallest one, and nothing is done."""
    mine = spool(tmp_path)
    mine.replace(None, [], [Rejected(entry, "422 bad") for entry in BATCH])
    assert named(mine, [1, 3, 3]) == {1, 3}
    with pytest.raises(UnknownLetterError, match=r"there is no dead letter 7$"):
        named(mine, [9, 1, 7])
