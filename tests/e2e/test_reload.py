"""mitmproxy reloads a script when its file changes; the addon continues after a reload."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from akto_mirror.ingestion.service import Receiver
from tests.support.api import serving_api
from tests.support.heads import read_head
from tests.support.proxy import ADDON, DEADLINE, Proxy, running_mitmdump

pytestmark = pytest.mark.e2e


def reload(proxy: Proxy, script: Path) -> None:
    """Update the script's modification time, as an editor does, and wait until it has been reloaded."""
    loaded = sum("akto: mirroring to" in line for line in proxy.log)
    later = time.time() + 10 * (loaded + 1)
    os.utime(script, (later, later))
    deadline = time.monotonic() + DEADLINE
    while sum("akto: mirroring to" in line for line in proxy.log) <= loaded:
        assert time.monotonic() < deadline, "\n".join(proxy.log)
        time.sleep(0.01)


@pytest.mark.usefixtures("program")
def test_a_reloaded_script_goes_on_as_before(tmp_path: Path) -> None:
    """After ten reloads under load each exchange has one entry with the client's host; the target gets its own."""
    script, hasty = tmp_path / "addon.py", tmp_path / "hasty.py"
    shutil.copy(ADDON, script)
    hasty.write_text("from mitmproxy.addons import script\nscript.ReloadInterval = 0.02\n")
    reloaded = threading.Event()
    with Receiver() as akto, serving_api() as target, ThreadPoolExecutor(1) as load:
        options = {"akto_url": akto.url, "akto_linger_ms": "100"}
        with running_mitmdump(f"reverse:{target.url}", options=options, scripts=[hasty, script]) as proxy:
            asked = load.submit(ask_until, reloaded, proxy.url)
            for _ in range(10):
                reload(proxy, script)
            reloaded.set()
            answers = asked.result(DEADLINE)
        assert answers == [target.url.removeprefix("http://")] * len(answers)
        assert len(answers) > 10
        assert sorted(int(entry["path"][1:]) for entry in akto.entries) == list(range(len(answers)))
        hosts = {json.loads(entry["requestHeaders"])["host"] for entry in akto.entries}
    assert hosts == {"asked.example"}
    assert [line for line in proxy.log if "Traceback" in line or "Error" in line] == []


def ask_until(enough: threading.Event, url: str) -> list[str]:
    """Send one request after another, and return the hosts that the target received."""
    hosts: list[str] = []
    with httpx.Client(trust_env=False, timeout=DEADLINE) as client:
        while not enough.is_set() or len(hosts) < 20:
            hosts.append(client.get(f"{url}/{len(hosts)}", headers={"host": "asked.example"}).json()["host"])
    return hosts


def serve_in_two_parts(listener: socket.socket, second: threading.Event) -> None:
    """Answer one request; the second half of the body waits for the event."""
    connection = listener.accept()[0]
    with connection, connection.makefile("rb") as stream:
        assert b"GET" in read_head(stream)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        connection.sendall(b'5\r\n{"a":\r\n')
        assert second.wait(DEADLINE)
        connection.sendall(b"2\r\n1}\r\n0\r\n\r\n")


@pytest.mark.usefixtures("program")
@pytest.mark.parametrize("fidelity", ["akto", "worker"])
def test_a_stream_goes_on_over_a_reload(fidelity: str, tmp_path: Path) -> None:
    """The stream is mirrored whole when it has ended."""
    script, second = tmp_path / "addon.py", threading.Event()
    shutil.copy(ADDON, script)
    with Receiver() as akto, socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve_in_two_parts, args=(listener, second), daemon=True).start()
        options = {"akto_url": akto.url, "akto_fidelity": fidelity}
        mode = f"reverse:http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            running_mitmdump(mode, options=options, scripts=[script]) as proxy,
            httpx.stream("GET", proxy.url, timeout=DEADLINE, trust_env=False) as answer,
        ):
            parts = answer.iter_raw()
            assert next(parts) == b'{"a":'
            reload(proxy, script)
            second.set()
            assert b"".join(parts) == b"1}"
        assert [entry["responsePayload"] for entry in akto.entries] == ['{"a":1}']
