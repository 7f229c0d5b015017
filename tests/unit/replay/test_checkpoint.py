"""Checkpoints of replays, and how a later replay uses them."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from akto_mirror.replay import checkpoint
from akto_mirror.replay.checkpoint import DIGEST, Checkpoint, FileVersion, digest
from akto_mirror.replay.progress import Progress

VERSION = FileVersion(10, 20, "options")
GROWN = FileVersion(11, 21, "options")


def place(folder: Path, name: str = "a.mitm", target: str = "http://x") -> Checkpoint:
    """Return the checkpoint of a file and a destination."""
    return Checkpoint(folder, folder / name, target)


def saved(folder: Path, shipped: int = 3) -> Checkpoint:
    """Save a checkpoint of three shipped entries of seven flows, two of which are open."""
    made = place(folder)
    progress = Progress(7, [2, 3])
    for number in range(shipped):
        progress.finish(4 + number, digest(b"%d" % number))
    made.save(VERSION, progress)
    return made


def test_a_checkpoint_gives_back_what_was_written(tmp_path: Path) -> None:
    """If file, destination, size, time and options are the same, flows are known by number."""
    saved(tmp_path)
    start = place(tmp_path).resume(VERSION)
    assert (start.progress.seen, start.progress.missing(), start.note, start.is_new) == (7, [2, 3], "", False)


@pytest.mark.parametrize(("name", "target"), [("b.mitm", "http://x"), ("a.mitm", "http://y")])
def test_of_another_there_is_none(name: str, target: str, tmp_path: Path) -> None:
    """Without a checkpoint everything is shipped, and the note says so."""
    saved(tmp_path)
    start = place(tmp_path, name, target).resume(VERSION)
    assert (start.progress.seen, start.is_new) == (0, True)
    assert start.note == "no earlier replay of it to this destination is known: everything is shipped"


@pytest.mark.parametrize(
    ("version", "word"),
    [(GROWN, "grown"), (FileVersion(9, 21, "options"), "changed"), (FileVersion(10, 21, "options"), "changed")],
)
def test_of_a_file_that_has_changed_the_entries_are_known(version: FileVersion, word: str, tmp_path: Path) -> None:
    """If the file has changed, shipped entries are known by digest and count, not by number."""
    saved(tmp_path)
    start = place(tmp_path).resume(version)
    assert (start.progress.seen, start.is_new) == (0, False)
    assert start.shipped == Counter(digest(b"%d" % number) for number in range(3))
    assert start.note == f"it has {word} since the earlier replay: entries shipped then are not shipped again"


def test_other_options_make_other_entries(tmp_path: Path) -> None:
    """With other options everything is shipped, and the digests are removed."""
    saved(tmp_path)
    start = place(tmp_path).resume(FileVersion(10, 20, "other"))
    assert (start.note, start.is_new) == (
        "the options differ from those of the earlier replay: everything is shipped",
        True,
    )
    assert list(tmp_path.iterdir()) == []


def test_a_replay_that_does_not_resume_starts_over(tmp_path: Path) -> None:
    """A replay without `--resume` removes the checkpoint."""
    saved(tmp_path)
    assert place(tmp_path).start().is_new
    assert list(tmp_path.iterdir()) == []


# A checkpoint of a version without digests.
OLD = {"file": "a.mitm", "size": 10, "mtime_ns": 20, "options": "options", "seen": 7, "missing": [2, 3]}


def old(folder: Path) -> Path:
    """Save a checkpoint without digests, and return its file."""
    saved(folder, 0)
    (file,) = folder.glob("*.json")
    file.write_text(json.dumps(OLD))
    return file


def test_an_old_checkpoint_is_read(tmp_path: Path) -> None:
    """A checkpoint without digests works as long as the file is the same."""
    old(tmp_path)
    start = place(tmp_path).resume(VERSION)
    assert (start.progress.seen, start.progress.missing(), start.note) == (7, [2, 3], "")
    start = place(tmp_path).resume(GROWN)
    assert (start.progress.seen, start.is_new) == (0, True)
    assert (
        "grown since the earlier replay, which kept no record of the entries that it shipped: everything is shipped"
        in start.note
    )


def test_a_replay_that_goes_on_from_an_old_one_does_not_pretend_to_know_all(tmp_path: Path) -> None:
    """A replay that resumes from it writes no digests, because they would be incomplete."""
    old(tmp_path)
    made = place(tmp_path)
    progress = made.resume(VERSION).progress
    progress.finish(2, digest(b"two"))
    made.save(VERSION, progress)
    assert place(tmp_path).resume(VERSION).progress.missing() == [3]
    assert place(tmp_path).resume(GROWN).is_new


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '{"size": 10, "mtime_ns": 20, "options": "options"}'])
def test_a_damaged_checkpoint_is_none(content: str, tmp_path: Path) -> None:
    """With a damaged checkpoint everything is shipped, which may repeat entries but loses none; the note says so."""
    saved(tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text(content)
    start = place(tmp_path).resume(VERSION)
    assert (start.progress.seen, start.note) == (
        0,
        "the record of the earlier replay is damaged: everything is shipped",
    )


def test_torn_digests_are_no_others(tmp_path: Path) -> None:
    """An incomplete digest, as of a replay that was killed, is ignored."""
    saved(tmp_path)
    (file,) = tmp_path.glob("*.shipped")
    file.write_bytes(file.read_bytes()[:-1])
    assert place(tmp_path).resume(GROWN).shipped == Counter(digest(b"%d" % number) for number in range(2))
    assert file.stat().st_size == 3 * DIGEST - 1


def test_digests_are_added(tmp_path: Path) -> None:
    """Digests are appended by each run, without duplicates."""
    for number in range(3):
        made = place(tmp_path)
        progress = made.resume(GROWN if number else VERSION).progress
        progress.begin(number)
        progress.finish(number, digest(b"%d" % number))
        made.save(GROWN, progress)
        made.save(GROWN, progress)
    assert place(tmp_path).resume(VERSION).shipped.total() == 3


def test_a_checkpoint_is_replaced_as_a_whole(tmp_path: Path) -> None:
    """A checkpoint is replaced atomically, and no temporary file is left."""
    made = place(tmp_path)
    for seen in range(5):
        made.save(VERSION, Progress(seen))
    assert [path.suffix for path in tmp_path.iterdir()] == [".json"]


def test_the_folder_does_not_stand_in_the_spools_way(tmp_path: Path) -> None:
    """Checkpoints and the spool share a state folder, which only its owner may read."""
    made = checkpoint.folder({"XDG_STATE_HOME": str(tmp_path)})
    assert made == tmp_path / "akto-mirror" / "replay"
    if os.name == "posix":
        assert [path.stat().st_mode & 0o777 for path in (made, made.parent)] == [0o700, 0o700]
