"""Entries as curl commands, which send the same request."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.ingestion.entries import curl
from tests.support.entries import entry

BASH = shutil.which("bash")


CURL = shutil.which("curl")


NASTY = 'it\'s "$HOME" `id` $(id) \\ \\n !x *? é 日本 \u202e \x1b[31m \t\n# end'


class _Seen(RequestHandler):
    """Responds with the request."""

    def prepare(self) -> None:
        names = ("x-odd", "x-empty", "content-type", "authorization", "cookie")
        headers = {name: self.request.headers[name] for name in names if name in self.request.headers}
        seen = (self.request.method, self.request.uri, headers, b64encode(self.request.body).decode())
        self.finish(json.dumps(seen))


@pytest.fixture(scope="module")
def server() -> Iterator[BackgroundServer]:
    """Serve all paths."""
    with BackgroundServer(Application([("/.*", _Seen)], log_function=lambda _: None)) as running:
        yield running


def sent(server: BackgroundServer, made: dict[str, Any]) -> list[Any]:
    """Run an entry's command in a shell, and return the request as the server saw it."""
    assert BASH
    headers = json.loads(made["requestHeaders"]) | {"host": f"127.0.0.1:{server.port}"}
    command = curl.curl(made | {"requestHeaders": json.dumps(headers)})
    command = command.replace("curl", "curl -sS --noproxy '*' --max-time 60", 1)
    done = subprocess.run([BASH, "-c", command], capture_output=True, check=True, timeout=90)
    seen: list[Any] = json.loads(done.stdout)
    return [*seen[:3], b64decode(seen[3])]


@pytest.mark.skipif(not (BASH and CURL), reason="there is no bash or curl here")
@pytest.mark.parametrize(
    ("made", "method", "uri", "body"),
    [
        (entry("/a?x=1&y=%20b"), "GET", "/a?x=1&y=%20b", b""),
        (entry("/a/../b/./c"), "GET", "/a/../b/./c", b""),
        (entry("/a[1]{2}?q='$(id)'"), "GET", "/a[1]%7B2%7D?q='$(id)'", b""),
        (entry("/é/\u202e"), "GET", "/%C3%A9/%E2%80%AE", b""),
        (entry("/a", "POST", requestPayload='{"a":1}'), "POST", "/a", b'{"a":1}'),
        (entry("/a", "PATCH", requestPayload=NASTY), "PATCH", "/a", NASTY.encode()),
        (entry("/a", "POST", requestPayload="@/etc/passwd"), "POST", "/a", b"@/etc/passwd"),
        (entry("/a", "GET", requestPayload="x" * 60_000), "GET", "/a", b"x" * 60_000),
        (entry("/a", "POST", sent="application/grpc", requestPayload=b64encode(b"\0\0\0\0\2\x08\7").decode()),
         "POST", "/a", b"\0\0\0\0\2\x08\7"),
        (entry("/a", "DELETE"), "DELETE", "/a", b""),
    ],
)  # fmt: skip
def test_a_command_sends_the_request_again(
    server: BackgroundServer, made: dict[str, Any], method: str, uri: str, body: bytes
) -> None:
    """The command sends any path and payload through a real shell and a real curl."""
    seen = sent(server, made)
    assert (seen[0], seen[1], seen[3]) == (method, uri, body)


@pytest.mark.skipif(not (BASH and CURL), reason="there is no bash or curl here")
def test_headers_are_sent_and_no_file_is_read(server: BackgroundServer, tmp_path: Path) -> None:
    """Quotes and empty values are sent unchanged, and text that curl would take for a file name is not."""
    (tmp_path / "headers").write_text("x-odd: from a file\n")
    odd = 'a\'b "c" \\ $x é'
    named = {
        "x-odd": odd,
        "x-empty": "",
        f"@{tmp_path}/headers": "x",
        "authorization": "Bearer a",
        "content-length": "9",
    }
    seen = sent(server, entry("/a", "POST", headers=named, requestPayload="{}"))
    assert seen[2].pop("x-odd").encode("latin-1").decode() == odd
    assert seen[2] == {"x-empty": "", "content-type": "application/json", "authorization": "Bearer a"}


@pytest.mark.skipif(not BASH, reason="there is no bash here")
@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
def test_quoted_text_is_one_word_of_the_shell(text: str) -> None:
    """Any quoted text is one word of the shell with the same value, printable and without bidirectional controls."""
    assert BASH
    quoted = curl.quoted(text)
    done = subprocess.run(
        [BASH, "-c", f"printf %s {quoted}"], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}
    )
    assert done.stdout.decode() == text
    assert all(char.isprintable() or char == "\n" for char in quoted)


def test_a_command_is_laid_out_for_reading() -> None:
    """Each header is on its own line, and headers that curl adds by itself are left out."""
    made = entry("/orders?a=1", "POST", requestPayload='{"n":1}', headers={"x-a": "it's", "accept-encoding": "gzip"})
    assert curl.curl(made) == (
        "curl -X POST 'https://shop.example/orders?a=1' \\\n  -H 'content-type: application/json' \\\n"
        "  -H 'x-a: it'\\''s' \\\n  --data-raw '{\"n\":1}'"
    )
