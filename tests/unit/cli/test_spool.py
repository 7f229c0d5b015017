"""Delivery contract, line 6: dead letters can be listed, sent again and deleted from the command line."""

from __future__ import annotations

import json
import os
import pwd
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from akto_mirror.cli import program
from akto_mirror.delivery.spool import schema
from akto_mirror.delivery.spool.spool import Spool
from akto_mirror.outcomes import Rejected
from tests.support.command import call
from tests.support.shipping import entry

FILE = next(schema.names())

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a spool with a waiting batch and three dead letters, one of them hostile."""
    spool = Spool(tmp_path / "spool", target="http://akto", limit=10**6, owner="gone")
    spool.put([entry(1), entry(2)])
    spool.replace(None, [], [Rejected(entry(n), "422 bad") for n in (3, 4)] + [Rejected(b"\xff{", "500 \x1b[31m")])
    spool.release()
    return tmp_path / "spool"


@pytest.fixture
def spool(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs the command on the folder."""

    def run(*args: str) -> tuple[int, str, str]:
        code = program.main(["spool", "--dir", str(folder), *args])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return run


def test_status(spool: Run) -> None:
    """Line 6: the status shows how many entries wait for which server, and how many were refused."""
    code, out, _ = spool("status")
    assert code == 0
    assert "waiting: 2 entries in 1 batch, " in out
    assert "for http://akto" in out
    assert "dead letters: 3 entries" in out


def test_list(spool: Run) -> None:
    """Line 6: each refused entry is one escaped line with its number, request and answer."""
    code, out, _ = spool("list")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3"]
    assert lines[0].endswith("GET /3: 422 bad")
    assert "\x1b" not in out
    assert len(spool("list", "--json")[1].splitlines()) == 3


def test_retry(spool: Run, folder: Path) -> None:
    """Line 6: the named dead letters, or all, are sent again by the next process that uses the spool."""
    assert spool("retry", "2")[:2] == (0, "1 entry will be sent again by a proxy that uses this spool\n")
    assert spool("retry")[0] == 0
    other = Spool(folder, target="http://akto", limit=10**6, owner="next")
    assert other.adopt() == 5
    assert other.dead_letters() == []


def test_retry_elsewhere(spool: Run, folder: Path) -> None:
    """Line 6: entries that wait for one destination can be sent to another."""
    assert spool("retry", "--from", "http://akto", "--to", "https://new.example.com/x")[0] == 0
    other = Spool(folder, target="https://new.example.com", limit=10**6, owner="next")
    assert other.adopt() == 2


def test_drop(spool: Run, folder: Path) -> None:
    """Line 6: only the named entries are deleted."""
    assert spool("drop", "1")[1] == "deleted 1 dead letter\n"
    assert spool("drop", "--all")[1] == "deleted 2 dead letters\n"
    assert spool("drop", "--waiting", "http://akto")[1].startswith("deleted 2 entries")
    assert Spool(folder, target="http://akto", limit=10**6, owner="next").adopt() == 0


def test_nothing_was_refused(folder: Path, spool: Run) -> None:
    """Line 6: an empty list is reported, and the output for programs stays empty."""
    assert spool("drop", "--all")[0] == 0
    assert spool("list") == (0, "there are no dead letters\n", "")
    assert spool("list", "--json") == (0, "", "there are no dead letters\n")
    assert "dead letters: 0 entries, 0 bytes" in spool("status")[1]
    assert program.main(["spool", "list", "--dir", str(folder)]) == 0


@pytest.mark.parametrize("line", ["status", "list", "list --json", "retry 1", "drop 1"])
def test_the_folder_may_come_last(folder: Path, tmp_path: Path, line: str) -> None:
    """Line 6: `--dir` may come before or after the action; if it is given twice, the last one counts."""
    assert program.main(["spool", *line.split(), "--dir", str(folder)]) == 0
    assert program.main(["spool", "--dir", str(folder), *line.split(), "--dir", str(tmp_path / "none")]) == 1


def test_a_target_behind_a_unix_socket(spool: Run, folder: Path) -> None:
    """Line 6: the target that `status` shows can be given to `--to` and `--uds`, and to `--from`."""
    assert spool("retry", "--from", "http://akto", "--to", "http://a:1/x", "--uds", "/run/x.sock")[0] == 0
    target = "http://a:1 by /run/x.sock"
    assert f"for {target}\n" in spool("status")[1]
    assert spool("retry", "1", "--to", "http://a:1", "--uds", "/run/x.sock")[0] == 0
    other = Spool(folder, target=target, limit=10**6, owner="next")
    assert other.adopt() == 3
    assert spool("retry", "--from", target, "--to", "http://b")[1] == "3 entries now wait for http://b\n"


@pytest.mark.parametrize(
    "line",
    [
        *("drop 1 --all", "drop --all 1", "drop 1 --waiting http://akto", "drop --all --waiting http://akto"),
        *("drop --waiting http://akto 1", "retry 1 --from http://akto --to http://b", "drop", "retry --to ftp://x"),
        *("retry --from http://akto", "retry --uds /x", "retry --uds /x --to file:///x", "retry --from x --uds /x"),
        "retry --from http://akto --to http://b 1",
    ],
)
@pytest.mark.usefixtures("spool")
def test_what_contradicts_itself_changes_nothing(folder: Path, line: str) -> None:
    """Line 6: contradictory arguments are refused, so that nothing is deleted or moved by mistake."""
    looker = Spool(folder, target="", limit=0, owner="looker")
    before = looker.waiting(), looker.dead_letters()
    assert call("spool", "--dir", folder, *line.split()).returncode == 2
    assert (looker.waiting(), looker.dead_letters()) == before
    looker.release()


@pytest.mark.parametrize("line", ["drop --waiting http://typo", "retry --from http://typo --to http://b"])
def test_a_target_for_which_nothing_waits(spool: Run, line: str) -> None:
    """Line 6: a misspelt target is reported together with the existing targets."""
    code, out, err = spool(*line.split())
    assert (code, out) == (1, "")
    assert "no entries wait for http://typo; there are entries for: http://akto" in err
    assert spool("drop", "--waiting", "http://akto")[0] == 0
    assert "no entries wait for any destination" in spool(*line.split())[2]


def test_mistakes(spool: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line 6: each mistake is one line."""
    for line in ("retry 99", "drop 99"):
        code, _, err = spool(*line.split())
        assert (code, err.count("\n")) == (1, 1)
    (tmp_path / "link").symlink_to(tmp_path)
    assert program.main(["spool", "--dir", str(tmp_path / "link"), "status"]) == 1
    assert "symbolic link" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["status", "list", "list --json", "retry", "drop --all"])
def test_a_named_folder_without_a_spool(tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    """Line 6: a misspelt folder is reported with exit code 1, and not created."""
    assert program.main(["spool", "--dir", str(tmp_path / "none"), *line.split()]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "nothing is on disk" in shown.err
    assert not (tmp_path / "none").exists()


def test_nothing_on_disk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Line 6: a missing spool is not an error, and the output for programs stays empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for line, out, err in (("status", 1, 0), ("list", 1, 0), ("list --json", 0, 1)):
        assert program.main(["spool", *line.split()]) == 0
        shown = capsys.readouterr()
        assert (shown.out.count("nothing is on disk"), shown.err.count("nothing is on disk")) == (out, err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files to other users")
@pytest.mark.parametrize("owner", [1, 12345])
def test_another_users_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, owner: int
) -> None:
    """Line 6: the error names the user that may read the folder, for a named folder and for the default one."""
    folder = tmp_path / "akto-mirror"
    folder.mkdir(mode=0o700)
    os.chown(folder, owner, owner)
    name = pwd.getpwuid(1).pw_name if owner == 1 else "user 12345"
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for given, named in ((["--dir", str(folder)], f"--dir {folder}"), ([], "the spool's folder")):
        assert program.main(["spool", *given, "status"]) == 1
        shown = capsys.readouterr().err
        assert f"{named}: it belongs to another user; run this as the user that owns it ({name})" in shown


def test_nothing_unprintable_is_shown_as_json(spool: Run, folder: Path) -> None:
    """Line 6: captured text is escaped, so that it cannot control the terminal, and decodes to the same entry."""
    hostile = "\x07\x1b[31m\x9b\u202e\U000e0001é"
    sent = entry(9).decode().replace("/9", "/9" + hostile)
    owner = Spool(folder, target="http://akto", limit=10**6, owner="other")
    owner.replace(None, [], [Rejected(sent.encode(), "422")])
    owner.release()
    line = spool("list", "--json")[1].split("\n")[-2]
    assert line.isprintable()
    assert json.loads(line)["path"] == "/9" + hostile


@pytest.mark.parametrize("created", ["1e300", "-1e300", "9e999", "'x'", "x'ff'"])
def test_a_time_that_is_none(spool: Run, folder: Path, created: str) -> None:
    """Line 6: impossible times and texts of a damaged spool are shown, without a traceback."""
    with sqlite3.connect(folder / FILE) as db:
        db.execute(f"UPDATE dead SET created = {created}, reason = 7, target = x'ff'")
        db.execute(f"UPDATE batches SET created = {created}")
    db.close()
    for args in (["list"], ["list", "--json"], ["status"]):
        assert spool(*args)[0] == 0


def test_a_folder_is_left_alone_where_its_file_is_refused(spool: Run, folder: Path) -> None:
    """Line 6: the mode of a folder is not changed if its spool cannot be used."""
    (folder / FILE).rename(folder / "real.db")
    (folder / FILE).symlink_to(folder / "real.db")
    folder.chmod(0o777)
    code, _, err = spool("status")
    assert code == 1
    assert f"{FILE} is not a regular file" in err
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777


def test_a_file_without_tables_holds_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file without tables, as of a process that was killed early, is shown as empty and not changed."""
    file = tmp_path / FILE
    file.touch(0o600)
    tmp_path.chmod(0o700)
    for action, shown in (("status", "waiting: nothing"), ("list", "there are no dead letters")):
        assert program.main(["spool", "--dir", str(tmp_path), action]) == 0
        assert shown in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir() if path.stat().st_size] == []
