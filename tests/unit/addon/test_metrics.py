"""The metrics server starts, moves and stops with its option."""

from __future__ import annotations

import logging
import socket

import httpx
import pytest
from mitmproxy import exceptions

from akto_mirror.addon.metrics import Metrics
from tests.support.environment import has_ipv6
from tests.support.flows import flow
from tests.support.harness import Harness, mirroring


def address(mirror: Harness) -> str:
    """Return the address of the metrics; empty if they are not served."""
    part = next(part for part in mirror.addon.addons if isinstance(part, Metrics))
    return f"http://127.0.0.1:{part._server.port}/metrics" if part._server else ""


def test_it_follows_its_option() -> None:
    """The server shows this addon's counts, and stops when the option changes."""
    with mirroring(metrics="127.0.0.1:0") as mirror:
        mirror.pass_on(flow())
        old = address(mirror)
        assert "akto_mirror_entries_captured_total 1.0" in httpx.get(old, trust_env=False).text
        mirror.configure(metrics="")
        assert address(mirror) == ""
        with pytest.raises(httpx.ConnectError):
            httpx.get(old, trust_env=False)


@pytest.mark.skipif(not has_ipv6(), reason="needs IPv6")
def test_the_log_names_the_url(caplog: pytest.LogCaptureFixture) -> None:
    """The URL in the log can be opened; an IPv6 address stands in brackets, also in an error."""
    caplog.set_level(logging.INFO)
    with mirroring(metrics="[::1]:0") as mirror:
        port = httpx.URL(address(mirror)).port
        found = next(line for line in caplog.messages if "metrics at" in line)
        assert found == f"akto: metrics at http://[::1]:{port}/metrics"
        assert httpx.get(found.rpartition(" ")[2], trust_env=False).status_code == 200
        with (
            socket.create_server(("::1", 0), family=socket.AF_INET6) as taken,
            pytest.raises(exceptions.OptionsError, match=rf"akto_metrics=\[::1\]:{taken.getsockname()[1]}: "),
        ):
            mirror.configure(metrics=f"[::1]:{taken.getsockname()[1]}")


def test_an_address_that_is_taken_leaves_the_old_one_in_force() -> None:
    """The error names the option and the value."""
    with socket.create_server(("127.0.0.1", 0)) as taken, mirroring(metrics="127.0.0.1:0") as mirror:
        old, port = address(mirror), taken.getsockname()[1]
        with pytest.raises(exceptions.OptionsError, match=rf"akto_metrics=127\.0\.0\.1:{port}: .* in use"):
            mirror.configure(metrics=f"127.0.0.1:{port}")
        assert address(mirror) == old
        assert httpx.get(old, trust_env=False).status_code == 200
