"""Only files beside a HAR file are read, up to a bound."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from akto_mirror.replay.har import attachments
from akto_mirror.replay.har.attachments import AttachmentError, Beside


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\\b", "c:x", ".x", "a\nb", "a" * 300])
def test_a_name_that_leads_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    """Names with a path are refused, because a recording may come from anyone."""
    with pytest.raises(AttachmentError, match="by their bare names"):
        Beside(tmp_path).read(name)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """Links, pipes, folders and missing files are refused."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name, problem in (
        ("none", "not beside the HAR file"),
        ("link", "."),
        ("pipe", "regular file"),
        ("folder", "."),
    ):
        with pytest.raises(AttachmentError, match=problem):
            Beside(tmp_path).read(name)


def test_a_file_is_read_so_far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file is read up to the bound."""
    monkeypatch.setattr(attachments, "MAX_ATTACHED", 3)
    (tmp_path / "body.json").write_bytes(b"12345")
    assert Beside(tmp_path).read("body.json") == b"123"
