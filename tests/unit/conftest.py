"""Fixtures that unit tests of several rooms share."""

from __future__ import annotations

import pytest

from akto_mirror.cli import program, terminal
from tests.support.checking import TOKEN, Check, Outcome


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that runs `akto-mirror check`, and checks that no token is shown and stderr stays empty."""
    for name in (terminal.URL_VARIABLE, terminal.TOKEN_VARIABLE, "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)

    def run(*argv: str) -> Outcome:
        code = program.main(["check", *argv])
        out, err = capsys.readouterr()
        assert err == ""
        assert TOKEN not in out
        return Outcome(code, out)

    return run
