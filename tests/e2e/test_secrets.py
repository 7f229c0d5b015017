"""Delivery contract, line 11: the token is in no log, no listing of options and no file; log lines cannot be forged."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy.exceptions import OptionsError
from mitmproxy.http import Headers
from mitmproxy.test import tflow
from tornado.web import Application, RequestHandler

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from tests.faults.server import FaultServer, status
from tests.support.environment import bare
from tests.support.harness import mirroring
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, confdir, running_mitmdump

pytestmark = pytest.mark.e2e

TOKEN = "eyJ0-very-secret-token"


class _Echo(RequestHandler):
    """Refuses batches with an answer of two lines that repeats the token."""

    def post(self) -> None:
        self.set_status(401)
        self.write(f"bad token {self.request.headers.get('Authorization')}\r\n[00:00:00] akto: forged \x1b[31m line")


@pytest.fixture(scope="module")
def traces(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The log and the spool of a proxy whose token is refused by an answer that repeats it."""
    spool = tmp_path_factory.mktemp("state") / "spool"
    options = {"akto_spool_dir": str(spool), "akto_linger_ms": "10", "akto_durability": "disk", "akto_shutdown_s": "1"}
    with (
        BackgroundServer(Application([(".*", _Echo)])) as akto,
        BackgroundServer(sample_api.make_app()) as api,
        running_mitmdump(
            f"reverse:{api.url}", options=options | {"akto_url": akto.url}, env={"AKTO_API_TOKEN": TOKEN}
        ) as proxy,
    ):
        httpx.get(f"{proxy.url}/api/products", trust_env=False)
        httpx.get(f"{proxy.url}/api/products/%0d%0aakto:%20forged", trust_env=False)
        proxy.wait_for("401")
    return "\n".join(proxy.log), spool


def test_the_log_holds_no_token(traces: tuple[str, Path]) -> None:
    """Line 11: a token is not shown even if Akto repeats it in its answer."""
    log, _ = traces
    assert "401" in log
    assert TOKEN not in log


def test_the_spool_holds_no_token(traces: tuple[str, Path]) -> None:
    """Line 11: nothing on disk holds the token."""
    _, spool = traces
    files = [path for path in spool.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > 0
    assert not any(TOKEN.encode() in path.read_bytes() for path in files)


@pytest.mark.parametrize("hidden", [[], ["common"]])
def test_redacted_values_are_nowhere_on_disk(tmp_path: Path, hidden: list[str]) -> None:
    """Line 11: values are replaced before anything is queued or written; without the options all is kept, for Akto."""
    flow = tflow.tflow(resp=True)
    flow.request.path = "/login?token=SECRET-query"
    flow.request.headers = Headers(
        authorization="Bearer SECRET-header", content_type="application/x-www-form-urlencoded"
    )
    flow.request.content = b"user=me&password=SECRET-form"
    assert flow.response
    flow.response.headers = Headers(content_type="application/json", set_cookie="id=SECRET-cookie")
    flow.response.content = b'{"access_token": "SECRET-json", "name": "me"}'
    given: dict[str, Any] = {"redact_headers": hidden, "redact_fields": hidden, "include_query": True}
    with FaultServer(status(503)) as akto:
        with mirroring(
            url=akto.url, durability="disk", spool_dir=str(tmp_path / "s"), shutdown_s=0, **given
        ) as running:
            assert running.pass_on(flow) == "captured"
            running.finish()
        disk = b"".join(path.read_bytes() for path in (tmp_path / "s").iterdir())
    kept = set(re.findall(rb"SECRET-([a-z]+)", disk))
    assert kept == (set() if hidden else {b"query", b"header", b"form", b"cookie", b"json"})
    assert b"name" in disk


def test_no_line_of_the_log_is_forged(traces: tuple[str, Path]) -> None:
    """Line 11: line breaks and colour codes from a client are escaped in the line that quotes them."""
    log, _ = traces
    assert "\x1b[31m" not in log
    assert not any(line.lstrip().startswith(("akto: forged", "[00:00:00]")) for line in log.splitlines())


def test_the_list_of_options_holds_no_token() -> None:
    """Line 11: a token from the environment is not among the values that --options prints."""
    command = [str(MITMDUMP), "--options", "-s", str(ADDON), "--set", f"confdir={confdir()}"]
    given = bare() | {"AKTO_API_TOKEN": TOKEN}
    shown = subprocess.run(command, env=given, capture_output=True, text=True, timeout=DEADLINE, check=True)
    assert "connection_strategy" in shown.stdout  # mitmproxy 12 loads scripts for `--options`; 11 does not.
    assert TOKEN not in shown.stdout + shown.stderr


def test_a_given_token_is_used_and_no_longer_listed() -> None:
    """Line 11: mitmweb shows every option, so the token is taken from its option, which stays empty after changes."""
    with mirroring(token=TOKEN) as running:
        assert running.context.options.akto_token == ""
        running.configure(linger_ms=7, batch_entries=3)
        assert running.addon.session.settings is not None
        assert running.addon.session.settings.sink.token == TOKEN
        running.configure(token="another")
        assert running.context.options.akto_token == ""
        assert running.addon.session.settings.sink.token == "another"
        with pytest.raises(OptionsError):
            running.configure(token="line\nbreak")
        assert running.addon.session.settings.sink.token == "another"
