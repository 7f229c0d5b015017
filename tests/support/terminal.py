"""A program on a real terminal, whose screen and keys tmux provides."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.environment import bare
from tests.support.proxy import DEADLINE

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here (Debian: apt install tmux)")

CONFIGURATION = "set -g default-terminal tmux-256color\n"


class Terminal:
    """A terminal of 160 columns and 40 lines."""

    def __init__(self, tmux: Sequence[str], env: Mapping[str, str], ended: Path) -> None:
        self._tmux = tmux
        self._env = env
        self._ended = ended

    def type(self, keys: str) -> None:
        """Type a text."""
        self._call("send-keys", "-l", keys)

    def press(self, *names: str) -> None:
        """Press keys by their names: Enter, Tab, Escape."""
        self._call("send-keys", *names)

    def text(self) -> str:
        """Return what is on the screen."""
        return self._call("capture-pane", "-p")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until a pattern is on the screen.

        Raises:
            AssertionError: it did not appear in time.
        """
        deadline = time.monotonic() + DEADLINE
        while not (found := re.search(pattern, shown := self.text())):
            assert time.monotonic() < deadline, f"no {pattern!r} on the screen:\n{shown}"
            time.sleep(0.05)
        return found

    def exit_code(self) -> int:
        """Wait until the program has ended.

        Raises:
            AssertionError: it did not end in time.
        """
        deadline = time.monotonic() + DEADLINE
        while not self._ended.exists() or not (code := self._ended.read_text()):
            assert time.monotonic() < deadline, f"it has not ended:\n{self.text()}"
            time.sleep(0.05)
        return int(code)

    def _call(self, *words: str) -> str:
        command = [*self._tmux, *words]
        return subprocess.run(command, env=self._env, capture_output=True, encoding="utf-8", check=True).stdout


@contextmanager
def on_terminal(command: Sequence[str]) -> Iterator[Terminal]:
    """Run a command on a separate terminal, with a fresh state directory, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="akto-mirror-tmux-") as name:
        folder = Path(name)
        (folder / "tmux.conf").write_text(CONFIGURATION)
        # As in a shell, the terminal outlives the program, so that its last output stays on the screen.
        script = f"{shlex.join(command)}; echo $? > {shlex.quote(str(folder / 'ended'))}; exec cat"
        tmux = ["tmux", "-u", "-S", str(folder / "socket"), "-f", str(folder / "tmux.conf")]
        env = bare() | {"XDG_STATE_HOME": name, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        subprocess.run([*tmux, "new-session", "-d", "-x160", "-y40", script], env=env, check=True)
        try:
            yield Terminal(tmux, env, folder / "ended")
        finally:
            subprocess.run([*tmux, "kill-server"], env=env, check=False, capture_output=True)
