"""Stores the progress of a replay in the user's state directory.

A checkpoint contains the numbers of the finished flows, which is enough as long as the file is the same. Digests of the
shipped entries identify them in a file that has grown or changed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from akto_mirror import private_files
from akto_mirror.replay.progress import Progress

FOLDER = "replay"

# Bytes of a digest; long enough that entries with the same digest cannot be constructed.
DIGEST = 16


def digest(entry: bytes) -> bytes:
    """Return the digest that identifies an encoded entry."""
    return hashlib.blake2b(entry, digest_size=DIGEST).digest()


@dataclass(frozen=True)
class FileVersion:
    """Identifies a file's content: if it has changed, flow 7 may be another one.

    Attributes:
        size: the file's bytes.
        mtime_ns: when it was last written.
        options: identifies the options that affect entries, see `Job.fingerprint`.
    """

    size: int
    mtime_ns: int
    options: str

    @classmethod
    def of(cls, path: Path, options: str) -> FileVersion:
        """Return the version of a file.

        Raises:
            OSError: the file cannot be accessed.
        """
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, options)


@dataclass
class Start:
    """The start of a replay.

    Attributes:
        progress: the finished flows, by their numbers.
        shipped: how often each entry was shipped, by its digest.
        note: what the user should know about it; empty if the replay simply continues.
        is_new: whether no earlier replay is known, or it cannot be continued.
    """

    progress: Progress = field(default_factory=Progress)
    shipped: Counter[bytes] = field(default_factory=Counter)
    note: str = ""
    is_new: bool = False


class Checkpoint:
    """The checkpoint on disk of one file that is replayed to one destination.

    Args:
        folder: the folder of checkpoints, as `folder` returns it.
        path: the recorded file.
        target: the destination.
    """

    def __init__(self, folder: Path, path: Path, target: str) -> None:
        key = hashlib.sha256(f"{path.resolve()}\0{target}".encode("utf-8", "surrogateescape")).hexdigest()
        self._file = folder / f"{key[:32]}.json"
        self._digests = folder / f"{key[:32]}.shipped"
        self._name = str(path)
        self._saved: object = None
        self._has_digests = True

    def start(self) -> Start:
        """Start over, whatever an earlier replay did.

        Raises:
            OSError: the old checkpoint cannot be deleted.
        """
        self._file.unlink(missing_ok=True)
        self._digests.unlink(missing_ok=True)
        return Start(is_new=True)

    def resume(self, version: FileVersion) -> Start:
        """Continue an earlier replay, as far as its progress is known.

        Raises:
            OSError: an old checkpoint cannot be deleted.
        """
        found = self._resumed(version)
        if found.is_new:
            self.start()
        return found

    def _resumed(self, version: FileVersion) -> Start:
        try:
            kept = json.loads(self._file.read_bytes())
            old = FileVersion(kept["size"], kept["mtime_ns"], kept["options"])
            progress = _progress(kept)
        except FileNotFoundError:
            return Start(
                note="no earlier replay of it to this destination is known: everything is shipped", is_new=True
            )
        except (OSError, ValueError, TypeError, LookupError):
            return Start(note="the record of the earlier replay is damaged: everything is shipped", is_new=True)
        self._has_digests = kept.get("digests") is True
        if old.options != version.options:
            self._has_digests = True
            return Start(note="the options differ from those of the earlier replay: everything is shipped", is_new=True)
        return Start(progress) if old == version else self._changed(old, version)

    def _changed(self, old: FileVersion, version: FileVersion) -> Start:
        change = "grown" if version.size > old.size else "changed"
        note = f"it has {change} since the earlier replay"
        if not self._has_digests:
            self._has_digests = True
            return Start(
                note=f"{note}, which kept no record of the entries that it shipped: everything is shipped", is_new=True
            )
        return Start(shipped=self._shipped(), note=f"{note}: entries shipped then are not shipped again")

    def _shipped(self) -> Counter[bytes]:
        try:
            kept = self._digests.read_bytes()
        except OSError:
            return Counter()
        return Counter(kept[at : at + DIGEST] for at in range(0, len(kept) - DIGEST + 1, DIGEST))

    def save(self, version: FileVersion, progress: Progress) -> None:
        """Save the progress, if it has changed.

        The digests are written first: after a kill in between, no flow may count as finished without its digest.

        Raises:
            OSError: it cannot be written.
        """
        shipped = progress.newly_shipped()
        if shipped and self._has_digests:
            with self._digests.open("ab") as file:
                file.write(b"".join(shipped))
        now = {"seen": progress.seen, "missing": progress.missing()}
        if now == self._saved:
            return
        about = {"file": self._name, "size": version.size, "mtime_ns": version.mtime_ns, "options": version.options}
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(about | now | {"digests": self._has_digests}))
        fresh.replace(self._file)
        self._saved = now


def _progress(kept: Mapping[str, Any]) -> Progress:
    seen, missing = kept["seen"], kept["missing"]
    if not isinstance(seen, int) or not all(isinstance(number, int) for number in missing):
        raise ValueError("not a checkpoint")
    return Progress(seen, missing)


def folder(environ: Mapping[str, str]) -> Path:
    """Create the folder of checkpoints in the user's state directory, readable by no other user.

    Raises:
        ValueError: the user's state directory cannot be used.
        OSError: it cannot be created.
    """
    state = private_files.default_folder(environ)
    private_files.make_folder(state)
    private_files.make_folder(state / FOLDER)
    return state / FOLDER
