"""Facts of Akto's interface: batches, entries that are too long, and addresses beside each other."""

from __future__ import annotations

import json

import pytest

from akto_mirror.akto_api import LONG_PAYLOAD, batch_body, beside, is_number, without_long_payloads
from akto_mirror.diagnostics.questions import test_entry as marked_entry


@pytest.mark.parametrize("entries", [[], [b'{"a":1}'], [b"{}", b"{}"]])
def test_a_batch_is_one_json_object(entries: list[bytes]) -> None:
    """Its entries are as they were encoded."""
    assert json.loads(batch_body(entries)) == {"batchData": [json.loads(each) for each in entries]}


@pytest.mark.parametrize("text", ["0", "1000000", "2147483647", "0002147483647"])
def test_numbers_that_the_runtime_reads(text: str) -> None:
    """Those of 32 bits."""
    assert is_number(text)


@pytest.mark.parametrize("text", ["", "2147483648", "-1", "1.5", "1e6", " 1", "\u0661", "9" * 5_000, "acme"])
def test_what_is_not_a_number(text: str) -> None:
    """Java throws for some of these, and none is an account."""
    assert not is_number(text)


def test_only_long_payloads_are_left_out() -> None:
    """What remains is an entry with all its fields in their order."""
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
    """Of a path that is not Akto's own nothing is known of the others."""
    assert beside(address, "/healthCheck") == other
