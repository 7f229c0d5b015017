"""Log lines of a worker start with its number."""

from __future__ import annotations

from pathlib import Path

from akto_mirror.workers.lines import NumberedLines


def test_lines_are_written_whole(tmp_path: Path) -> None:
    """Lines are written whole, in any pieces; an incomplete line is written at the end."""
    path = tmp_path / "log"
    with path.open("w", encoding="ascii", errors="backslashreplace") as file:
        lines = NumberedLines(file, 2)
        for piece in ("one", "\ntwo\n\nth", "rée\n", "four"):
            assert lines.write(piece) == len(piece)
        assert path.read_text() == "[2] one\n[2] two\n[2] \n[2] thr\\xe9e\n"
        assert (lines.isatty(), lines.writable(), lines.encoding, lines.fileno()) == (
            False,
            True,
            "ascii",
            file.fileno(),
        )
        lines.close()
        assert path.read_text().endswith("[2] four\n")
