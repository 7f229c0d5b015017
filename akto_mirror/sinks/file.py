"""A file of one entry a line (NDJSON)."""

from __future__ import annotations

from collections.abc import Sequence

from akto_mirror.sinks.base import SendResult
from akto_mirror.text import printable


class FileSink:
    """Appends entries to a file, which it opens anew for each batch, so that rotation works."""

    def __init__(self, path: str) -> None:
        self._path = path

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Append a batch."""
        del timeout_s
        try:
            with open(self._path, "ab") as out:  # noqa: PTH123 - Path.open would do the same at twice the length
                out.write(b"".join(entry + b"\n" for entry in entries))
        except OSError as fault:
            return SendResult(None, printable(f"{type(fault).__name__}: {fault}"))
        return SendResult(200)

    def abort(self) -> None:
        """Do nothing: a write to a file does not wait for a stranger."""

    def close(self) -> None:
        """Do nothing: no file stays open."""
