"""The entries in each batch on disk, for observers of single entries."""

from __future__ import annotations

from akto_mirror.contents import MOST, Contents


def test_what_is_remembered_is_bounded() -> None:
    """Line 2: no more entries are remembered than flows are followed."""
    contents = Contents()
    for number in range(MOST // 100 + 5):
        contents.put(number, [b"%d" % entry for entry in range(100)])
    assert len(contents.besides(())) == MOST // 100
    assert 0 not in contents.besides(())
