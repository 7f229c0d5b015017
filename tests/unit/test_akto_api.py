"""Facts of Akto's interface: batches, entries that are too long, and addresses with a common prefix."""

from __future__ import annotations

import json

import pytest

from akto_mirror.akto_api import LONG_PAYLOAD, batch_body, beside, is_number, without_long_payloads
from akto_mirror.diagnostics.questions import test_entry as marked_entry


@pytest.mark.parametrize("entries", [[], [b'{"a":1}'], [b"{}", b"{}"]])
def test_a_batch_is_one_json_object(entries: list[bytes]) -> None:
    """A batch is one JSON object with the entries as they were encoded."""
    assert json.loads(batch_body(entries)) == {"batchData": [json.loads(each) for each in entries]}


@pytest.mark.parametrize("text", ["0", "1000000", "2147483647", "0002147483647"])
def test_numbers_that_the_runtime_reads(text: str) -> None:
    """Integers of 32 bits are numbers."""
    assert is_number(text)


@pytest.mark.parametrize("text", ["", "2147483648", "-1", "1.5", "1e6", " 1", "\u0661", "9" * 5_000, "acme"])
def test_what_is_not_a_number(text: str) -> None:
    """Text that Java does not parse, and negative numbers, are not numbers of accounts."""
    assert not is_number(text)


def test_only_long_payloads_are_left_out() -> None:
    """A payload over the limit is emptied; all fields stay, in order."""
    entry = {name: getattr(marked_entry(1), name) for name in marked_entry(1).__struct_fields__[:16]}
    entry |= {"requestPayload": "x" * LONG_PAYLOAD, "responsePayload": "x" * (LONG_PAYLOAD + 1)}
    kept = json.loads(without_long_payloads(json.dumps(entry).encode()))
    assert kept == entry | {"responsePayload": ""}
    assert list(kept) == list(entry)
    assert without_long_payloads(b"not an entry") == b"not an entry"


@pytest.mark.parametrize(
    ("address", "other"),
    [
        ("http://h:1/api/ingestData", "http://h:1/healthCheck"),
        ("http://h/akto/api/ingestData?key=1", "http://h/akto/healthCheck"),
        ("http://h/own", "http://h/healthCheck"),
        ("/akto/api/ingestData", "/akto/healthCheck"),
    ],
)
def test_paths_have_a_common_prefix(address: str, other: str) -> None:
    """A prefix before Akto's own path is kept; other paths are replaced."""
    assert beside(address, "/healthCheck") == other
