"""Where a replay of a file has got to, kept in the user's state directory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror import private_files
from akto_mirror.ledger import Ledger

FOLDER = "replay"


@dataclass(frozen=True)
class Edition:
    """What must be the same for a replay to go on: of a file that has changed, flow 7 is another flow.

    Attributes:
        size: the file's bytes.
        mtime_ns: when it was last written.
        options: what decides which flows are shipped, as text.
    """

    size: int
    mtime_ns: int
    options: str

    @classmethod
    def of(cls, path: Path, options: str) -> Edition:
        """Look at a file.

        Raises:
            OSError: it is not there.
        """
        found = path.stat()
        return cls(found.st_size, found.st_mtime_ns, options)


class Bookmark:
    """One file's place on disk, for one file replayed to one destination.

    Args:
        folder: where bookmarks are kept, of `folder`.
        path: the recorded file.
        target: whom it is replayed to.
    """

    def __init__(self, folder: Path, path: Path, target: str) -> None:
        key = hashlib.sha256(f"{path.resolve()}\0{target}".encode("utf-8", "surrogateescape")).hexdigest()
        self._file = folder / f"{key[:32]}.json"
        self._name = str(path)
        self._saved: object = None

    def load(self, edition: Edition) -> Ledger | None:
        """Return where an earlier replay was; None if there was none, or if the file or the options have changed."""
        try:
            kept = json.loads(self._file.read_bytes())
            same = (kept["size"], kept["mtime_ns"], kept["options"]) == (
                edition.size,
                edition.mtime_ns,
                edition.options,
            )
            return _ledger(kept) if same else None
        except (OSError, ValueError, TypeError, LookupError):
            return None

    def save(self, edition: Edition, ledger: Ledger) -> None:
        """Write down where the replay is, if that has changed.

        Raises:
            OSError: it cannot be written.
        """
        now = {"seen": ledger.seen, "missing": ledger.missing()}
        if now == self._saved:
            return
        about = {"file": self._name, "size": edition.size, "mtime_ns": edition.mtime_ns, "options": edition.options}
        fresh = self._file.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(about | now))
        fresh.replace(self._file)
        self._saved = now


def _ledger(kept: Mapping[str, Any]) -> Ledger:
    seen, missing = kept["seen"], kept["missing"]
    if not isinstance(seen, int) or not all(isinstance(number, int) for number in missing):
        raise ValueError("not a bookmark")
    return Ledger(seen, missing)


def folder(environ: Mapping[str, str]) -> Path:
    """Make the folder of bookmarks in the user's state directory, which nobody else may read.

    Raises:
        ValueError: the user's state directory cannot be used.
        OSError: it cannot be created.
    """
    state = private_files.default_folder(environ)
    private_files.make_folder(state)
    private_files.make_folder(state / FOLDER)
    return state / FOLDER
