"""The newest entries of each endpoint, within bounds."""

from __future__ import annotations

import pytest

from akto_mirror.ingestion import samples
from akto_mirror.ingestion.entries.endpoints import MAX_SAMPLES, Endpoint
from akto_mirror.ingestion.samples import MAX_SAMPLE_CHARS, SAMPLED, Samples


def test_the_newest_come_first() -> None:
    """The newest samples are kept, with their numbers."""
    kept, endpoint = Samples(), Endpoint(0, "h", "GET", "/a")
    for number in range(MAX_SAMPLES + 2):
        kept.keep(endpoint, number, {"path": f"/{number}"})
    newest = range(MAX_SAMPLES + 1, 1, -1)
    assert [each["number"] for each in kept.of(endpoint)] == [str(number) for number in newest]
    assert [each["path"] for each in kept.of(endpoint)] == [f"/{number}" for number in newest]


def test_only_texts_are_kept_and_only_so_long() -> None:
    """Samples keep only strings, up to a length."""
    kept, endpoint = Samples(), Endpoint(0, "h", "GET", "/a")
    kept.keep(endpoint, 0, {"path": "x" * (MAX_SAMPLE_CHARS + 1), "method": 7, "other": "x", "status": "\ud800"})
    (sample,) = kept.of(endpoint)
    assert sample.keys() == {"number", *SAMPLED}
    assert (len(sample["path"]), sample["method"], sample["status"]) == (MAX_SAMPLE_CHARS, "", "?")


def test_the_oldest_of_all_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest sample of all endpoints is removed first."""
    monkeypatch.setattr(samples, "MAX_ALL_SAMPLE_CHARS", 25)
    kept, first, second = Samples(), Endpoint(0, "h", "GET", "/a"), Endpoint(1, "h", "GET", "/b")
    kept.keep(first, 0, {"path": "x" * 10})
    kept.keep(second, 1, {"path": "y" * 10})
    kept.keep(second, 2, {"path": "z" * 10})
    assert kept.of(first) == []
    assert [each["number"] for each in kept.of(second)] == ["2", "1"]
