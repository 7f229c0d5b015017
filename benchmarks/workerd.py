"""Akto's own Worker, run in workerd by a rig outside this project."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.peers import free_port
from benchmarks.proxies import Mode, Proxy

WORKER = Mode("Akto's Worker in workerd")


@dataclass(frozen=True)
class Rig:
    """The script and modules that run the Worker.

    Attributes:
        script: takes `--modules`, `--port`, `--upstream`, `--ingest` and `--quiet`, and prints `ready PORT`.
        modules: the folder in which `node_modules` has Miniflare.
    """

    script: Path
    modules: Path

    def missing(self) -> str:
        """Describe what is missing; empty if the Worker can be run."""
        if not shutil.which("node"):
            return "node is not installed"
        if not self.script.is_file():
            return f"there is no {self.script}"
        module = self.modules / "node_modules" / "miniflare"
        return "" if module.is_dir() else f"there is no {module}; npm install --prefix {self.modules} miniflare"


@contextmanager
def running_worker(rig: Rig, target_port: int, ingestion_url: str) -> Generator[Proxy]:
    """Run the Worker in front of a target, as quiet as the others.

    Raises:
        RuntimeError: the Worker does not start.
    """
    port = free_port()
    options = {"modules": rig.modules, "port": port, "upstream": f"127.0.0.1:{target_port}", "ingest": ingestion_url}
    words = [f"--{name}={value}" for name, value in options.items()]
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        ["node", str(rig.script), *words, "--quiet"],  # noqa: S607 - whichever node the user has
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout  # noqa: S101 - for the type checker
    try:
        _wait_until_ready(process.stdout)
        yield Proxy(process.pid, port)
    finally:
        process.terminate()
        process.communicate()


def _wait_until_ready(lines: IO[str]) -> None:
    if not any(line.startswith("ready ") for line in lines):
        raise RuntimeError("the Worker does not start")
