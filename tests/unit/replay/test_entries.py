"""Entries of recordings, and the options that decide about them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from akto_mirror.replay.entries import ConfigError, UnreadableError, entries, parse_options
from tests.support.data import DATA
from tests.support.flows import flow, response
from tests.support.replays import save


def test_each_flow_is_an_entry_or_has_a_reason(tmp_path: Path) -> None:
    """Entries and skipped flows are in the order of the recording."""
    made = [flow(), flow(answer=response(404)), flow()]
    found = entries([save(tmp_path / "f", made)], {})
    assert [entry["path"] for entry in found] == ["/api/items"] * 2
    assert [(each.method, each.reason) for each in found.skipped] == [("GET", "status 404")]


def test_options_decide_and_the_environment_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only arguments decide, not the environment, so that tests of other projects do not depend on it."""
    monkeypatch.setenv("AKTO_DATA_INGESTION_URL", "nonsense")
    file = save(tmp_path / "f", [flow()])
    assert entries([file], {"akto_account_id": "7"})[0]["akto_account_id"] == "7"
    assert entries([file], {"akto_skip": ["static"]})[0]["akto_account_id"] == "1000000"


@pytest.mark.parametrize(
    ("specs", "given", "problem"),
    [
        (["listen_port=1"], {}, r"listen_port=1: a replay takes options of this addon only"),
        (["akto_tag={}"], {"akto_tag": "{}"}, "it is given more than once"),
        (["akto_fidelty=worker"], {}, "akto_fidelity"),
        ([], {"akto_body_limit": "many"}, "akto_body_limit"),
        (["akto_body_limit=many"], {}, "akto_body_limit"),
    ],
)
def test_a_mistake_is_named(specs: list[str], given: dict[str, Any], problem: str) -> None:
    """The error names the option."""
    with pytest.raises(ConfigError, match=problem):
        parse_options(specs, given)


def test_nothing_is_spooled_whatever_the_options_say() -> None:
    """A replay does not spool entries, because the recording still has them."""
    assert parse_options(["akto_durability=disk"], {})["akto_durability"] == "memory"


def test_a_file_that_cannot_be_read_to_its_end_is_an_error(tmp_path: Path) -> None:
    """The error names the file: half of the entries would be a wrong result."""
    file = tmp_path / "flows.mitm"
    file.write_bytes((DATA / "flows.mitm").read_bytes()[:-10])
    with pytest.raises(UnreadableError, match=str(file)):
        entries([file], {})
