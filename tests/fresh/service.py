"""Runs the systemd unit's command as systemd would, in the Debian where the unit's own commands were run."""

from __future__ import annotations

import argparse
import configparser
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import httpx

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.service import Receiver

STATE = "/var/lib"  # %S in a system unit.
SECONDS = 60
LISTENING = re.compile(r"listening at \S*:(\d+)")


def read(path: Path) -> configparser.SectionProxy:
    """Read the unit's section `Service`."""
    parser = configparser.ConfigParser(interpolation=None, comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(path.read_text().replace("\\\n", " "))
    return parser["Service"]


def variables(service: configparser.SectionProxy) -> dict[str, str]:
    """Return the environment that systemd would set, including the file with the address."""
    words = service["Environment"].replace("%S", STATE).split()
    lines = Path(service["EnvironmentFile"]).read_text().split()
    return dict(word.split("=", 1) for word in [*words, *lines])


def prepare(service: configparser.SectionProxy) -> None:
    """Make the state directory as systemd does."""
    state = Path(STATE, service["StateDirectory"])
    state.mkdir(mode=int(service["StateDirectoryMode"], 8), exist_ok=True)
    shutil.chown(state, service["User"], service["User"])


def start(service: configparser.SectionProxy, env: dict[str, str]) -> subprocess.Popen[str]:
    """Start the command as the unit's user."""
    command = shlex.split(service["ExecStart"].replace("$$", "$"))
    user = service["User"]
    return subprocess.Popen(
        command,
        env={"PATH": "/usr/bin:/bin"} | env,
        user=user,
        group=user,
        extra_groups=(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ask(process: subprocess.Popen[str]) -> list[str]:
    """Send a request once the log names the port, then end the service, and return the whole log."""
    assert process.stdout
    log = []
    for line in process.stdout:
        log.append(line.rstrip())
        if found := LISTENING.search(line):
            httpx.get(f"http://127.0.0.1:{found[1]}/api/products", timeout=SECONDS, trust_env=False).raise_for_status()
            process.terminate()
    return log


def main() -> int:
    """Run the given unit; exit code 0 if its command mirrors."""
    parser = argparse.ArgumentParser(prog="python -m tests.fresh.service", description=__doc__)
    parser.add_argument("unit", type=Path)
    service = read(parser.parse_args().unit)
    prepare(service)
    with BackgroundServer(sample_api.make_app()) as api, Receiver() as akto:
        Path(service["EnvironmentFile"]).write_text(f"AKTO_DATA_INGESTION_URL={akto.url}\nAKTO_API_TOKEN=\n")
        env = variables(service) | {"TARGET": api.url, "LISTEN": "127.0.0.1:0", "METRICS": "127.0.0.1:0"}
        process = start(service, env)
        watch = threading.Timer(SECONDS, process.kill)
        watch.start()
        log = ask(process)
        code = process.wait()
        watch.cancel()
        paths = [entry["path"] for entry in akto.entries]
    sys.stdout.write("\n".join([*log, f"exit code {code}, mirrored: {paths}"]) + "\n")
    authority = Path(STATE, service["StateDirectory"], "mitmproxy", "mitmproxy-ca.pem")
    return 0 if code == 0 and paths == ["/api/products"] and authority.is_file() else 1


if __name__ == "__main__":
    sys.exit(main())
