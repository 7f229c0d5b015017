"""Prefixes each line of output with a worker's number, so that several workers can share one log."""

from __future__ import annotations

import io
import os
from typing import TextIO


class NumberedLines(io.TextIOBase):
    """Writes each line as a whole and at once, so that lines of several processes are not mixed.

    Args:
        stream: the output stream.
        number: the prefix of each line.
    """

    def __init__(self, stream: TextIO, number: int) -> None:
        super().__init__()
        self._stream = stream
        self._prefix = f"[{number}] "
        self._rest = ""

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has an attribute.
        """The stream's."""
        return self._stream.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override] # As above.
        """The stream's."""
        return self._stream.errors

    def writable(self) -> bool:
        """Return True: it can be written to."""
        return True

    def fileno(self) -> int:
        """Return the stream's descriptor."""
        return self._stream.fileno()

    def isatty(self) -> bool:
        """Return whether it is a terminal, where mitmproxy writes in colors."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Write the lines that are complete.

        Raises:
            OSError: the reader has gone.
        """
        *lines, self._rest = (self._rest + text).split("\n")
        if lines:
            self._put("".join(f"{self._prefix}{line}\n" for line in lines))
        return len(text)

    def close(self) -> None:
        """Write the incomplete last line, and leave the stream open."""
        if self._rest and not self.closed:
            self.write("\n")
        super().close()

    def _put(self, text: str) -> None:
        left = text.encode(self.encoding, self.errors or "strict")
        while left:
            left = left[os.write(self.fileno(), left) :]
