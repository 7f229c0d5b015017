"""`akto-mirror completion` prints a script with which a real shell completes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from akto_mirror.cli import program
from tests.support.proxy import DEADLINE


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    """Return the script that the command prints."""
    assert program.main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(line: str, folder: Path, source: str) -> set[str]:
    """Return bash's completions of a line."""
    words = line.split(" ")
    asked = f"""{source}
COMP_WORDS=({" ".join(f"'{word}'" for word in words)}); COMP_CWORD={len(words) - 1}; COMP_LINE='{line}'
_shtab_akto_mirror; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(
        ["bash", "--norc"], input=asked, cwd=folder, capture_output=True, text=True, timeout=DEADLINE, check=True
    )
    assert done.stderr == ""
    return {word.strip() for word in done.stdout.split("\n") if word.strip()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bash completes commands, options, choices and file names."""
    (tmp_path / "flows.mitm").touch()
    (tmp_path / "folder").mkdir()
    source = script("bash", capsys)
    assert completed("akto-mirror do", tmp_path, source) == {"doctor"}
    assert completed("akto-mirror check --s", tmp_path, source) == {"--send", "--spool-dir"}
    assert completed("akto-mirror completion z", tmp_path, source) == {"zsh"}
    assert completed("akto-mirror replay fl", tmp_path, source) == {"flows.mitm"}
    assert completed("akto-mirror spool --dir f", tmp_path, source) == {"folder"}


@pytest.mark.skipif(shutil.which("zsh") is None, reason="needs zsh")
def test_zsh_takes_the_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Zsh loads the script without an error and binds it to the command."""
    source = tmp_path / "completion.zsh"
    source.write_text(script("zsh", capsys))
    command = f'autoload -Uz compinit; compinit -D -u; eval "$(<{source})"; print ${{_comps[akto-mirror]}}'
    done = subprocess.run(["zsh", "-f", "-c", command], capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert (done.stdout.strip(), done.stderr) == ("_shtab_akto_mirror", "")
