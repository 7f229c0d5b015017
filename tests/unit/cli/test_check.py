"""`akto-mirror check` finds problems on the way to Akto, and says what to do."""

from __future__ import annotations

import pytest

from akto_mirror.cli import program
from akto_mirror.ingestion.service import Receiver
from tests.support.checking import Check


@pytest.mark.parametrize("path", ["", "/", "/api/ingestData"])
def test_the_url_is_that_of_the_option(check: Check, path: str) -> None:
    """With or without the path in the URL, the checks are requested beside `/api/ingestData`."""
    with Receiver() as server:
        assert check(server.url + path).code == 0


def test_a_name_too_long_for_dns_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """A host name that is too long for DNS is reported in one line, without a traceback."""
    assert program.main(["check", f"http://{'a' * 64}.example"]) == 2
    message = capsys.readouterr().err
    assert message.endswith("its host is not a host name\n")
    assert message.count("\n") == 1


def test_proxies_of_the_environment_are_not_used(check: Check, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check connects to Akto directly, as the addon does."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with Receiver() as server:
        assert check(server.url).code == 0
