"""The fingerprint of the options that decide about a replay."""

from __future__ import annotations

from typing import Any

import pytest

from akto_mirror.config import options
from akto_mirror.config.declarations import OPTIONS
from akto_mirror.replay import entries
from akto_mirror.replay.job import Job


def fingerprint(**given: Any) -> str:
    """Return the fingerprint of a replay's options."""
    values = entries.parse_options([], given)
    return Job([], values, options.read(values, {})).fingerprint()


def test_fingerprints_are_those_of_old_checkpoints() -> None:
    """Fingerprints have not changed since the first version, so that old checkpoints stay valid."""
    assert fingerprint() != fingerprint(akto_include_query=False) == "b5784f3506a84138"
    given = {"akto_fidelity": "worker", "akto_routes": ["a/*"], "akto_batch_entries": 7, "akto_include_query": False}
    assert fingerprint(**given) == "6acf516ed8f3cc05"


def test_a_new_option_at_its_default_changes_no_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new option changes the fingerprint only with another value than the default."""
    values = entries.parse_options([], {})
    plain = Job([], values, options.read(values, {}))
    new = OPTIONS[0].__class__("akto_new", bool, False, "help")
    monkeypatch.setattr("akto_mirror.replay.job.OPTIONS", (*OPTIONS, new))
    same = Job([], {**values, "akto_new": False}, plain.settings)
    other = Job([], {**values, "akto_new": True}, plain.settings)
    assert plain.fingerprint() == same.fingerprint() != other.fingerprint()
