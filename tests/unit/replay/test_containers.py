"""Recordings in gzip, zlib and zip archives: read directly, and bounded."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from akto_mirror.replay import containers, entries, recording
from akto_mirror.replay.recording import UnreadableError
from tests.support.data import DATA
from tests.support.har import har_entry


def packed(how: str, content: bytes, path: Path) -> Path:
    """Write a compressed recording, and return its path."""
    if how == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("har.har", content)
    else:
        path.write_bytes(gzip.compress(content) if how == "gzip" else zlib.compress(content))
    return path


HOWS = ["gzip", "zlib", "zip"]


@pytest.mark.parametrize("how", HOWS)
def test_packed_recordings_are_read(how: str, tmp_path: Path) -> None:
    """`.har.gz`, mitmproxy's `.zhar` and Playwright's `.har.zip` give the same entries as the plain file."""
    plain = DATA / "chrome.har"
    assert entries.entries([packed(how, plain.read_bytes(), tmp_path / "a")], {}) == entries.entries([plain], {})


@pytest.mark.parametrize("how", ["gzip", "zlib"])
def test_packed_flow_files_are_read(how: str, tmp_path: Path) -> None:
    """Compressed flow files are read too."""
    plain = DATA / "flows.mitm"
    assert entries.entries([packed(how, plain.read_bytes(), tmp_path / "a")], {}) == entries.entries([plain], {})


def test_gzip_of_several_members_is_read(tmp_path: Path) -> None:
    """Concatenated gzip files are one gzip file (RFC 1952, section 2.2)."""
    content = (DATA / "chrome.har").read_bytes()
    (tmp_path / "a.har.gz").write_bytes(gzip.compress(content[:100]) + gzip.compress(content[100:]))
    assert len(entries.entries([tmp_path / "a.har.gz"], {})) == 5


def until_error(path: Path, found: list[recording.Record]) -> None:
    """Collect the records up to the error."""
    for record in recording.read(path):
        found.append(record)  # noqa: PERF402 - it ends in an error


@pytest.mark.parametrize(("how", "message"), [("gzip", "cut short"), ("zlib", "cut short"), ("zip", "not a zip file")])
def test_a_cut_container_is_named_after_what_it_gives(how: str, message: str, tmp_path: Path) -> None:
    """Records before the cut are read, and an error names the file; a cut zip archive cannot be read at all."""
    many = [har_entry({"url": f"https://x/{os.urandom(40).hex()}"}) for _ in range(999)]
    path = packed(how, json.dumps({"log": {"entries": many}}).encode(), tmp_path / "a")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    found: list[recording.Record] = []
    with pytest.raises(UnreadableError, match=message):
        until_error(path, found)
    assert how == "zip" or len(found) > 100


@pytest.mark.parametrize("how", HOWS)
def test_a_container_may_not_become_any_size(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container over the bound has an error that says what to do."""
    monkeypatch.setattr(containers, "MAX_INFLATED", 1_000_000)
    path = packed(how, b'{"log":{"entries":[' + b" " * 2_000_000 + b"]}}", tmp_path / "a")
    with pytest.raises(UnreadableError, match="over 0 MiB when decompressed; unpack it and replay what is inside"):
        list(recording.read(path))


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize(
    "content", [b'{"log":{"entries":[{"a":"' + b"x" * 10_000_000, b'{"log":{"entries":[' + b"[" * 10_000_000]
)
def test_an_entry_may_not_fill_the_memory(
    how: str, content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes that decompress to a huge entry are given up before they fill the memory."""
    monkeypatch.setattr(containers, "MAX_ENTRY", 300_000)
    path = packed(how, content, tmp_path / "a")
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError, match=r"entry 1 is (over 0 MiB|nested too deeply)"):
            list(recording.read(path))
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_a_flow_may_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A compressed flow file with a huge flow is given up before it is read."""
    monkeypatch.setattr(containers, "MAX_ENTRY", 300_000)
    with pytest.raises(UnreadableError, match="a part of it is over 0 MiB"):
        list(recording.read(packed("gzip", b"99999999:" + b"x" * 10_000_000, tmp_path / "a")))


def test_playwrights_archive_has_the_bodies(attached: Path, tmp_path: Path) -> None:
    """`recordHar: {path: "x.har.zip"}` stores the bodies beside the HAR file in the archive; they are read."""
    with zipfile.ZipFile(tmp_path / "x.har.zip", "w") as archive:
        archive.write(attached, "har.har")
        for name in ("aaa.json", "bbb.json"):
            archive.write(attached.with_name(name), name)
    (only,) = entries.entries([tmp_path / "x.har.zip"], {})
    assert (only["requestPayload"], only["responsePayload"]) == ('{"a":1}', '{"ok":1}')


def test_a_folder_in_an_archive_is_read(attached: Path, tmp_path: Path) -> None:
    """An archive of a folder gives the same entries."""
    shutil.make_archive(str(tmp_path / "packed"), "zip", attached.parent.parent, attached.parent.name)
    (only,) = entries.entries([tmp_path / "packed.zip"], {})
    assert (only["requestPayload"], only["responsePayload"]) == ('{"a":1}', '{"ok":1}')


@pytest.mark.parametrize(("names", "message"), [([], "no HAR files"), (["a.har", "b.har"], "2 HAR files")])
def test_an_archive_holds_one_recording(names: list[str], message: str, tmp_path: Path) -> None:
    """An archive without a recording, or with several, has an error that says so."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in (*names, "other.txt"):
            archive.writestr(name, "{}")
    with pytest.raises(UnreadableError, match=f"a zip archive with {message} instead of one; unpack it"):
        list(recording.read(tmp_path / "a.zip"))
