"""The errors that a new user meets: one clear line each, with the next step."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.service import Receiver
from tests.support import forked
from tests.support.certs import make_identity
from tests.support.environment import bare
from tests.support.proxy import ADDON, DEADLINE, MITMDUMP, confdir, running_mitmdump

pytestmark = pytest.mark.e2e


# The process from which mitmdump is forked has already imported the package.
FORGET = """
import sys
for name in [name for name in sys.modules if name.partition(".")[0] == "akto_mirror"]:
    del sys.modules[name]
"""


def start(
    folder: Path, prelude: str = "", script: Path = ADDON, listen: tuple[str, ...] = ("--mode", "regular@127.0.0.1:0")
) -> subprocess.CompletedProcess[str]:
    """Run mitmdump until it ends by itself; it runs `prelude` before it loads the script."""
    first = folder / "prelude.py"
    first.write_text(FORGET + prelude)
    command = [str(MITMDUMP), *listen, "-s", str(first), "-s", str(script), "--set", f"confdir={confdir()}"]
    return forked.run_to_end(command, bare() | {"XDG_STATE_HOME": str(folder)}, DEADLINE)


def refusal(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one line with which the addon ended the start."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if "akto: " in line]
    return line.partition("akto: ")[2]


@pytest.mark.parametrize("name", ["httpx", "brotlicffi", "ada_url", "prometheus_client"])
def test_a_missing_dependency_is_named(tmp_path: Path, name: str) -> None:
    """The line names the package and the command that installs it."""
    line = refusal(start(tmp_path, f"import sys; sys.modules[{name!r}] = None"))
    assert f"package {name} is missing" in line
    assert f'-m pip install "{ADDON.parent}"' in line


def test_the_script_alone_says_what_it_needs(tmp_path: Path) -> None:
    """A copy of akto_addon.py without its package names the package."""
    script = Path(shutil.copy(ADDON, tmp_path))
    line = refusal(start(tmp_path, "import sys; sys.modules['akto_mirror'] = None", script))
    assert "package akto_mirror is missing" in line
    assert line.endswith("-m pip install akto-mirror")


def test_a_standalone_binary_is_referred_to_pypi(tmp_path: Path) -> None:
    """The standalone binary cannot load third-party packages, so installing them would not help."""
    line = refusal(start(tmp_path, "import sys; sys.frozen = True; sys.modules['httpx'] = None"))
    assert "standalone binaries cannot load it" in line
    assert "uv tool install mitmproxy --with" in line


def test_an_old_mitmproxy_is_named(tmp_path: Path) -> None:
    """The line names the installed and the required version."""
    line = refusal(start(tmp_path, "import mitmproxy.version; mitmproxy.version.VERSION = '10.4.2'"))
    assert "mitmproxy 10.4.2 is too old, 11.0.2 or newer is needed" in line
    assert "pip install" in line


def test_a_development_version_is_not_too_old(tmp_path: Path) -> None:
    """A version number with letters is accepted."""
    prelude = "import sys, mitmproxy.version; mitmproxy.version.VERSION = '13.0.0.dev'; sys.modules['httpx'] = None"
    assert "httpx is missing" in refusal(start(tmp_path, prelude))


@pytest.mark.parametrize(
    "option", ["akto_redact_fields=common", "akto_redact_headers=cookie", "akto_redact_values=email"]
)
def test_redaction_that_does_not_work_ends_the_start(tmp_path: Path, option: str) -> None:
    """Otherwise secrets would be shipped in clear, as happened with a Python whose regular expressions were broken."""
    prelude = "from akto_mirror.capture.redaction import json_walk; json_walk.walk = lambda data, *_: data"
    line = refusal(start(tmp_path, prelude, listen=("--mode", "regular@127.0.0.1:0", "--set", option)))
    assert line.startswith(f"{option}: with this Python, redaction fails to hide a secret in a sample (JSON); run mitm")


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    """The line is mitmproxy's own, says which port, and proposes another."""
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = start(tmp_path, listen=("-p", str(port)))
    assert done.returncode == 1
    assert "Traceback" not in done.stdout
    assert re.search(rf"failed to listen on .*:{port}.*address already in use", done.stdout)
    assert "Try specifying a different port" in done.stdout


def test_no_address_is_a_dry_run(api: str) -> None:
    """Without akto_url the traffic passes, and a warning says what to set."""
    with running_mitmdump(f"reverse:{api}") as proxy:
        assert httpx.get(f"{proxy.url}/api/products").status_code == 200
        proxy.wait_for(r"akto: dry run, nothing is sent; set akto_url=\S+ or AKTO_DATA_INGESTION_URL")


def failure(api: str, akto_url: str, **options: str) -> str:
    """Return the addon's line about an address that does not accept entries; the traffic still passes."""
    given = {"akto_url": akto_url, "akto_linger_ms": "10"} | options
    with running_mitmdump(f"reverse:{api}", options=given) as proxy:
        assert httpx.get(f"{proxy.url}/api/products").status_code == 200
        return proxy.wait_for(r"akto: (cannot deliver: .*)")[1]


def test_a_wrong_port_is_reported(api: str) -> None:
    """For a refused connection the line says to start the service or correct the address."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    line = failure(api, f"http://127.0.0.1:{port}")
    assert "nothing listens there: start the service, or correct akto_url" in line


def test_https_for_http_is_reported(api: str) -> None:
    """TLS to a port of plain HTTP is reported, even if the server waits for more bytes, as Akto's does."""
    with Receiver() as akto:
        line = failure(api, akto.url.replace("http:", "https:"), akto_timeout_s="1", akto_shutdown_s="1")
    assert "write http:// instead of https:// in akto_url" in line


def test_a_self_signed_certificate_is_reported(api: str, tmp_path: Path) -> None:
    """The line names the variable that makes it trusted."""
    identity = make_identity(tmp_path)
    context: ssl.SSLContext = identity.server_context()
    with BackgroundServer(sample_api.make_app(), ssl_context=context) as server:
        line = failure(api, server.url)
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert "set SSL_CERT_FILE" in line


def test_a_refused_token_is_reported(api: str) -> None:
    """For a 401 the line names the option and the variable."""
    with Receiver(token="right") as akto:
        line = failure(api, akto.url)
    assert "answer 401" in line
    assert "set akto_token or AKTO_API_TOKEN" in line
