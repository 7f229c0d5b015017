"""Entries from files: as they are in files of entries, or captured from recordings."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from akto_mirror.config.declarations import ConfigError
from akto_mirror.replay import files
from akto_mirror.replay.files import UnreadableError
from tests.support.data import DATA


def test_entries_are_yielded_as_they_are(tmp_path: Path) -> None:
    """Entries are not changed; other lines are counted, and empty ones ignored."""
    file = tmp_path / "entries"
    file.write_text(
        '\n{"path":"/a","method":"GET","x":[1]}\nnot JSON\n{"path":"/b"}\n[]\n{"path":"/c","method":"PUT"}\n'
    )
    skipped = Counter[str]()
    found = list(files.read([file], [], skipped))
    assert found == [{"path": "/a", "method": "GET", "x": [1]}, {"path": "/c", "method": "PUT"}]
    assert skipped.total() == 3
    assert all(reason.startswith("not an entry") for reason in skipped)


@pytest.mark.parametrize("name", ["flows.mitm", "chrome.har"])
def test_recordings_give_what_would_be_shipped(name: str) -> None:
    """Recordings are captured by the addon's rules and options; skipped flows are counted by reason."""
    skipped = Counter[str]()
    found = list(files.read([DATA / name], [], skipped))
    assert found
    assert all(entry["path"] and entry["method"] for entry in found)
    assert skipped
    assert list(files.read([DATA / name], ["akto_filter=~d nowhere.example"], skipped)) == []


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The error names a missing or unknown file; entries of files before it are read."""
    with pytest.raises(UnreadableError, match="none: No such file or directory; name a file that can be read"):
        list(files.read([tmp_path / "none"], [], Counter()))
    (tmp_path / "entries").write_text('{"path":"/a","method":"GET"}\n')
    (tmp_path / "diary").write_text("my diary")
    reading = files.read([tmp_path / "entries", tmp_path / "diary"], [], Counter())
    assert next(reading)["path"] == "/a"
    with pytest.raises(UnreadableError, match=r"diary: .*neither a flow file"):
        next(reading)


def test_a_misspelt_option_is_refused() -> None:
    """A misspelt option is refused before any file is read."""
    with pytest.raises(ConfigError, match="akto_nope"):
        next(files.read([Path("none")], ["akto_nope=1"], Counter()))
