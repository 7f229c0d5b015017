"""Keeps the latest entries of each endpoint as samples; bounded in number and in characters (pure)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from akto_mirror.ingestion.entries.endpoints import MAX_SAMPLES, Endpoint
from akto_mirror.ingestion.entries.reading import text_of

MAX_SAMPLE_CHARS = 65_536  # of one text in a sample
MAX_ALL_SAMPLE_CHARS = 64 * 1024 * 1024

SAMPLED = (
    "path",
    "method",
    "time",
    "statusCode",
    "requestHeaders",
    "requestPayload",
    "responseHeaders",
    "responsePayload",
    "ip",
    "status",
    "type",
)


class Samples:
    """Samples by the numbers of their entries; if they have too many characters, the oldest are removed first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, dict[str, str]] = OrderedDict()
        self._chars = 0

    def keep(self, endpoint: Endpoint, number: int, entry: Mapping[str, Any]) -> None:
        """Keep an entry as the latest one of an endpoint."""
        sample = {name: text_of(entry, name)[:MAX_SAMPLE_CHARS] for name in SAMPLED}
        if len(endpoint.samples) == MAX_SAMPLES:
            self._forget(endpoint.samples[0])
        endpoint.samples.append(number)
        self._kept[number] = sample
        self._chars += _chars(sample)
        while self._chars > MAX_ALL_SAMPLE_CHARS:
            self._forget(next(iter(self._kept)))

    def of(self, endpoint: Endpoint) -> list[dict[str, str]]:
        """Return the latest entries of an endpoint that are still kept, the newest first."""
        kept = ((number, self._kept.get(number)) for number in reversed(endpoint.samples))
        return [{"number": str(number), **sample} for number, sample in kept if sample is not None]

    def _forget(self, number: int) -> None:
        sample = self._kept.pop(number, None)
        if sample is not None:
            self._chars -= _chars(sample)


def _chars(sample: Mapping[str, str]) -> int:
    return sum(map(len, sample.values()))
