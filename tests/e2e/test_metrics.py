"""The metrics of a running proxy."""

from __future__ import annotations

import socket
import subprocess
import sysconfig
from pathlib import Path

import httpx
import pytest

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from tests.support.metrics import samples
from tests.support.mirror import mirroring
from tests.support.proxy import ADDON, DEADLINE, confdir


@pytest.mark.e2e
def test_a_proxy_serves_its_metrics() -> None:
    """Line 12: a running proxy with akto_metrics serves its counts."""
    with BackgroundServer(sample_api.make_app()) as api:
        with mirroring(f"reverse:{api.url}", options={"akto_metrics": "127.0.0.1:0"}) as mirror:
            url = mirror.proxy.wait_for(r"metrics at (http://127\.0\.0\.1:\d+)/metrics")[1]
            httpx.get(f"{mirror.proxy.url}/api/products", trust_env=False)
            httpx.get(f"{mirror.proxy.url}/logo.png", trust_env=False)
            mirror.entry("/api/products")
            seen = samples(url)
        assert seen["akto_mirror_entries_captured_total"] == 1
        assert seen["akto_mirror_flows_skipped_total content type"] == 1


@pytest.mark.e2e
def test_an_address_in_use_ends_the_start() -> None:
    """Line 12: a port in use ends the start with one line that names option and value."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = "{}:{}".format(*taken.getsockname())
        mitmdump = Path(sysconfig.get_path("scripts")) / "mitmdump"
        given = [f"akto_metrics={address}", f"confdir={confdir()}", "listen_port=0"]
        command = [str(mitmdump), "-s", str(ADDON), *(word for value in given for word in ("--set", value))]
        ended = subprocess.run(command, check=False, capture_output=True, text=True, timeout=DEADLINE)
    assert ended.returncode == 1
    assert f"akto_metrics={address}: Address already in use; choose another address" in ended.stdout
    assert "Traceback" not in ended.stdout + ended.stderr
