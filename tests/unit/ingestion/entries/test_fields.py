"""JSON that Akto's runtime reads although strict parsers do not, as recorded."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.ingestion.entries.concerns import UNREAD, concerns
from akto_mirror.ingestion.entries.fields import is_lenient_json
from tests.support.entries import entry

TAKEN = [
    '{"a":NaN}',
    '{"a":1,}',
    "{'a':1}",
    '{"a":"x\ny\x01"}',
    '{"a":"\\ud800"}',
    '{"a":1}\n{"a":2}\n',
    '\x1e{"i":1}\n\x1e{"i":2}\n',
    "[1,2, ]",
    '{"a":",}"}{}',
]
LOST = ["{ user { id } }", '{"a":[{"b":1}', '{"a" "b"}', "{a}", '{"a":1,,"b":2}', "{'a}"]


@pytest.mark.parametrize("text", TAKEN)
@pytest.mark.parametrize("side", ["request", "response"])
def test_what_is_read(text: str, side: str) -> None:
    """JSON that the runtime reads raises no concern."""
    assert is_lenient_json(text)
    assert concerns(entry(**{f"{side}Payload": text})) == []


@pytest.mark.parametrize("text", LOST)
def test_what_is_not_read(text: str) -> None:
    """JSON that the runtime does not read raises a concern."""
    assert not is_lenient_json(text)
    assert [found.kind for found in concerns(entry(responsePayload=text))] == [UNREAD]


@given(st.text("{}[],:\"'\\a1 \n"))
def test_any_text(text: str) -> None:
    """Any text is judged without an error."""
    is_lenient_json(text)


@pytest.mark.parametrize(
    "text", ["'" * 300_001, "{'" + "\\'" * 150_000, "," * 300_000, "[" * 300_000, "{'a' " * 60_000]
)
def test_the_work_is_linear(text: str) -> None:
    """The work is linear; quadratic work would take minutes."""
    started = time.process_time()
    is_lenient_json(text)
    assert time.process_time() - started < 2
