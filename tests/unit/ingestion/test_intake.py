"""Bodies and entries that Akto's service accepts or refuses; `test_service` tests them over HTTP."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.ingestion.intake import MAX_ARRAY_ITEMS, Refusal, read_batch, read_entry
from tests.support.entries import entry

JSON = "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"batchData":[]}', "text/plain", 422),
        (b'{"batchData":[]}', "", 422),
        (b"{}", JSON, 422),
        (b'{"batchData":null}', JSON, 422),
        (b'{"batchData":{}}', JSON, 500),
        (b"[]", JSON, 500),
        (b"{", JSON, 500),
        (b'"\xff"', JSON, 500),
        (b'{"batchData":[' + b",".join([b"1"] * (MAX_ARRAY_ITEMS + 1)) + b"]}", JSON, 500),
    ],
)
def test_a_body_that_is_refused(body: bytes, content_type: str, status: int) -> None:
    """A refused body has the status of Akto's service."""
    with pytest.raises(Refusal) as refused:
        read_batch(body, content_type)
    assert refused.value.status == status


@given(st.binary(max_size=200))
def test_any_body_is_a_batch_or_a_refusal(body: bytes) -> None:
    """Any body gives a batch or a refusal."""
    try:
        found: list[object] | int = read_batch(body, JSON)
    except Refusal as refused:
        found = refused.status
    assert isinstance(found, list) or found in (422, 500)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"path": ""}, "path is missing"),
        ({"method": None}, "method is missing"),
        ({"statusCode": 200}, "statusCode is not a string"),
        ({"source": "OTHER"}, "source OTHER is unknown"),
    ],
)
def test_an_entry_that_is_refused(changes: dict[str, object], reason: str) -> None:
    """The reason names the wrong field."""
    with pytest.raises(Refusal, match=reason):
        read_entry(entry() | changes)


def test_an_entry_is_taken_as_it_is() -> None:
    """Fields that the service does not know are kept."""
    given = entry() | {"akto_mirror_left_out": 3}
    assert read_entry(given) is given
    with pytest.raises(Refusal, match="not an object"):
        read_entry([])
