"""`akto-mirror inventory` describes files of all kinds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from mitmproxy import io
from mitmproxy.test import tflow, tutils
from openapi_spec_validator import validate

from akto_mirror import cli
from akto_mirror.escaping import isolated
from tests.support.command import call
from tests.support.data import DATA
from tests.support.entries import entry


def run(*arguments: object) -> int:
    """Run the command in this process."""
    return cli.main(["inventory", *map(str, arguments)])


def ndjson(path: Path, *entries: dict[str, Any]) -> Path:
    """Write a file of entries, and return its path."""
    path.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in entries))
    return path


def flows(path: Path, *targets: str) -> Path:
    """Write a flow file with JSON responses, and return its path."""
    with path.open("wb") as file:
        writer = io.FlowWriter(file)
        for target in targets:
            request = tutils.treq(host="shop.example", port=443, scheme=b"https", path=target.encode(), content=b"")
            request.headers["host"] = "shop.example"
            response = tutils.tresp(content=b'{"id":7}')
            response.headers["content-type"] = "application/json"
            writer.add(tflow.tflow(req=request, resp=response))
    return path


def document(text: str) -> dict[str, Any]:
    """Parse a document, and validate it."""
    made: dict[str, Any] = yaml.safe_load(text)
    validate(made)
    return made


def test_a_list_of_what_is_in_a_file_of_entries(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Endpoints are listed by host, with authentication, sensitive data and marks."""
    file = ndjson(
        tmp_path / "a.ndjson", entry("/orders/7"), entry("/orders/8", headers={"authorization": "Bearer a"}),
        entry("/health", host="b.example", responsePayload={"to": "ann@b.example"}), entry("/x", host="", sent=""),
    )  # fmt: skip
    assert run(file) == 0
    out, err = capsys.readouterr()
    assert out == (
        "METHOD  PATH          ENTRIES  STATUSES  AUTH         SENSITIVE  MARKS\n"
        "\nb.example\nGET     /health       1        200       none         email      dropped by Akto\n"
        "\nno host name (collection 0)\nGET     /x            1        200       none                    no host name\n"
        "\nshop.example\nGET     /orders/{id}  2        200       none,bearer\n"
    )
    assert err == "4 entries, 3 endpoints, 3 hosts\n"


@pytest.mark.parametrize("name", ["chrome.har", "firefox.har", "http-toolkit.har", "mitmproxy.har", "flows.mitm"])
def test_a_document_of_every_kind_of_recording(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One command makes a valid document of any kind of recording, including queries."""
    assert run(DATA / name, "--openapi") == 0
    out, err = capsys.readouterr()
    made = document(out)
    assert made["paths"]
    assert "endpoint" in err


def test_queries_are_always_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Queries are read whatever the options are; files of several kinds make one document."""
    mixed = [flows(tmp_path / "a.mitm", "/orders/7?page=1"), ndjson(tmp_path / "b.ndjson", entry("/orders/8?page=x"))]
    assert run(*mixed, "--openapi", "--set", "akto_include_query=false") == 0
    (parameter,) = [
        each for each in document(capsys.readouterr().out)["paths"]["/orders/{orderId}"]["get"]["parameters"]
        if each["in"] == "query"
    ]  # fmt: skip
    assert parameter["schema"] == {"type": ["integer", "string"]}


@pytest.mark.parametrize(("name", "read"), [("api.yaml", yaml.safe_load), ("api.json", json.loads)])
def test_the_output_goes_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, read: Any) -> None:
    """The file's extension selects the format, and only the owner may read a new file."""
    file = tmp_path / name
    assert run(ndjson(tmp_path / "a", entry(responsePayload={"a": 1})), "-o", file) == 0
    assert read(file.read_text())["paths"]["/a"]["get"]["responses"]["200"]
    assert file.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr().out == ""


def test_a_host_and_no_examples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The document has only the endpoints of one host, and no value of a sample."""
    file = ndjson(
        tmp_path / "a", entry("/a?q=hidden", responsePayload={"a": "secret value"}), entry("/b", host="b.example")
    )
    assert run(file, "--openapi", "--host", "Shop.example", "--no-examples") == 0
    out = capsys.readouterr().out
    assert list(document(out)["paths"]) == ["/a"]
    assert "secret value" not in out
    assert "hidden" not in out


def test_base_shows_what_differs_with_an_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is 0 without differences; with new, changed and gone endpoints it is 1."""
    old = ndjson(tmp_path / "old", entry("/a", responsePayload={"n": 1}), entry("/gone"))
    new = ndjson(tmp_path / "new", entry("/a", responsePayload={"n": "x", "m": 1}), entry("/b", "POST"))
    base = tmp_path / "base.yaml"
    assert run(old, "--openapi", "-o", base) == 0
    assert run(old, "--base", base) == 0
    assert capsys.readouterr().out == "0 new, 0 changed, 0 gone\n"
    assert run(new, "--base", base) == 1
    assert capsys.readouterr().out == (
        "changed  GET /a\n"
        "           response 200: n is also string, was integer\n"
        "           response 200: new field m (integer)\n"
        "new      POST /b\n"
        "gone     GET /gone\n"
        "1 new, 1 changed, 1 gone\n"
    )
    assert run(new, "--base", base, "--openapi", "-o", tmp_path / "now.json") == 1
    assert run(new, "--base", tmp_path / "now.json") == 0


def test_lines_that_are_no_entries_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A torn last line and lines that are not entries are counted and left out."""
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"\n" + msgspec.json.encode(entry()) + b'\n[1]\n{"path":7}\n{"path":"/torn","meth')
    assert run(file) == 0
    out, err = capsys.readouterr()
    assert "/a" in out
    assert "skipped: 3 (not an entry: " in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{missing}"], "missing: No such file or directory; name a file that can be read"),
        (["{text}"], "neither a flow file of mitmproxy nor a HAR file"),
        (
            ["{empty}"],
            "no entry in these files; to see what is skipped, run: akto-mirror replay --dry-run FILE",
        ),
        (["{good}", "--host", "nope"], "no endpoint of the host nope; there are: shop.example"),
        (["{good}", "--base", "{missing}"], "missing: No such file or directory; name an OpenAPI document with --base"),
        (["{good}", "--base", "{text}"], "text: neither YAML nor JSON"),
        (["{good}", "--base", "{list}"], "list: not an OpenAPI document: not a JSON or YAML object"),
        (["{good}", "--base", "{good}"], "good: not an OpenAPI document of version 3: it needs openapi: 3.x and paths"),
        (["{good}", "-o", "{missing}/x"], "cannot write"),
    ],
)
def test_mistakes_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: Sequence[str], message: str
) -> None:
    """Each mistake is one line that names the problem and the next step."""
    ndjson(tmp_path / "good", entry())
    (tmp_path / "text").write_text("a: b: c\n")
    (tmp_path / "list").write_text("- a\n")
    (tmp_path / "empty").write_text("")
    names = {name: tmp_path / name for name in ("good", "text", "list", "empty", "missing")}
    assert run(*(argument.format(**names) for argument in arguments)) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]
    assert err.splitlines()[-1].startswith("akto-mirror inventory: ")


@pytest.mark.parametrize("wrong", [["--set", "akto_nope=1"], ["--set", "listen_port=1"], ["--nope"], []])
def test_a_wrong_command_line_is_2(tmp_path: Path, wrong: list[str]) -> None:
    """A wrong command line exits with 2, as for all commands."""
    files = [ndjson(tmp_path / "a", entry())] if wrong else []
    assert call("inventory", *files, *wrong).returncode == 2


def test_hostile_texts_turn_no_line_round(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In lists and differences, control characters are escaped, and right-to-left text is isolated."""
    arabic = "\u0645\u0631\u062d\u0628\u0627"
    file = ndjson(tmp_path / "a", entry(f"/\u202e\x1b[31m/{arabic}", host=f"{arabic}.example"), entry("/b"))
    base = tmp_path / "base.yaml"
    assert run(file, "--host", "shop.example", "-o", base) == 0
    for more in ([], ["--base", base]):
        run(file, *more)
        out = capsys.readouterr().out
        assert not any(char in out for char in "\u202e\x1b")
    run(file)
    out = capsys.readouterr().out
    assert f"/\\u202e\\x1b[31m/{arabic}\u2069  1 " in out
    assert f"\n\u2068{arabic}.example\u2069\n" in out
    assert not any("\u202e" in line for line in base.read_text().splitlines())


@pytest.mark.parametrize(
    ("text", "shown"),
    [("plain", "plain"), ("é日本", "é日本"), ("\u05d0b", "\u2068\u05d0b\u2069"), ("a\u0661", "\u2068a\u0661\u2069")],
)
def test_only_what_turns_a_line_is_isolated(text: str, shown: str) -> None:
    """Text with Hebrew or Arabic letters or Arabic digits is isolated, and no other."""
    assert isolated(text) == shown
