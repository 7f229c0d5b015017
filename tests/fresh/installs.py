"""The installations that the README and the systemd unit describe, with exactly their commands."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from tests.fresh.debian import HOME, Debian, Done

Step = Callable[..., Done]

PACKAGES = ("pipx", "systemd")
UNIT = Path("examples", "akto-mirror.service")
SECONDS = 300.0

# A user's next commands.
TRIED = " && ".join(
    (
        "akto-mirror addon-path",
        "akto-mirror completion bash | grep -q akto_mirror",
        "mitmdump --version",
        "akto-mirror demo",
    )
)

# Debian has no package for uv.
UV = "python3 -m venv ~/uv && ~/uv/bin/pip install uv && mkdir -p ~/.local/bin && ln -s ~/uv/bin/uv ~/.local/bin"


def lines(readme: str) -> dict[str, str]:
    """Return the README's installation commands, by program."""
    found = re.findall(r"(?m)^    (?=.*(?:pip install|tool install|pipx install) )(.*?)(?:  +#.*)?$", readme)
    return {re.findall(r"\b(pipx|pip|uv)\b", line)[-1]: line for line in found}


def commands(unit: str) -> list[str]:
    """Return the one-time commands from the comments at the head of the unit."""
    return [line.partition("   # ")[0] for line in re.findall(r"(?m)^#     (.*)$", unit.partition("[Unit]")[0])]


def each(step: Step, debian: Debian, root: Path) -> None:
    """Install in each way, each in a new home, and try the result."""
    for way, line in lines((root / "README.md").read_text()).items():
        home = debian.emptied()
        home.clone(root)
        if way == "uv":
            step(home, UV, SECONDS)
        step(home, f"{line} && {TRIED}", SECONDS, quiet=True)


def service(step: Step, debian: Debian, root: Path) -> None:
    """Run the unit's own commands as root, and then the service's command; systemd itself is not available."""
    clone = f"{HOME}/akto-mirror"
    for command in commands((root / UNIT).read_text()):
        if not command.startswith("systemctl"):
            step(debian, command.replace("PATH_OF_THE_CLONE", clone), SECONDS, user="root", quiet=True)
    step(debian, f"cp {UNIT} /etc/systemd/system/ && systemd-analyze verify {UNIT.name}", SECONDS, user="root")
    step(debian, f"/opt/akto-mirror/bin/python -m tests.fresh.service {UNIT}", SECONDS, user="root")
