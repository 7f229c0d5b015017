"""The recipes in examples/, run with a local ingestion service in place of Akto."""

from __future__ import annotations

import os
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from akto_mirror.ingestion.service import Receiver
from tests.support.mirror import Mirror
from tests.support.proxy import ROOT, confdir, running

EXAMPLES = ROOT / "examples"
SCRIPTS = Path(sysconfig.get_path("scripts"))
PATH = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
CONFDIR = ("--set", f"confdir={confdir()}", "--set", "akto_linger_ms=10")


def in_front_of(api: str) -> dict[str, str]:
    """Return the environment variables that make a recipe serve an API on a free port."""
    return {"TARGET": api, "LISTEN": "127.0.0.1:0"}


@contextmanager
def recipe(script: str, *hosts: str, env: Mapping[str, str], arguments: tuple[str, ...] = ()) -> Iterator[Mirror]:
    """Run a shell recipe that listens on these hosts."""
    with Receiver() as akto:
        settings = {"PATH": PATH, "AKTO_DATA_INGESTION_URL": akto.url, **env}
        command = ["sh", str(EXAMPLES / script), *CONFDIR, *arguments]
        with running(command, hosts or ("127.0.0.1",), settings) as proxy:
            yield Mirror(proxy, akto)
