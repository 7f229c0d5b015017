"""Remembers the features of each endpoint, in bounded memory, and finds new ones (pure).

The least recently used endpoints are forgotten first, those seen only once before all others: a flood of invented
endpoints uses a quarter of the memory and does not affect the rest. A forgotten endpoint is new again, so that it is
sent once more; the limit never hides anything.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from itertools import count

from akto_mirror.sampling.features import Shown
from akto_mirror.sampling.recurrence import Recurrence
from akto_mirror.snapshots import Endpoint

FEATURE_BYTES = 8
_MASK = (1 << 8 * FEATURE_BYTES) - 1

# The most features that are remembered for an endpoint. Invented names, and values used as names, are always new. So
# for an endpoint with more features, one is new only at its fifth occurrence, which invented ones hardly ever reach.
MAX_FEATURES = 2_000
RETURNS = 5

# Bytes of an endpoint besides its features and the characters of its name: the record, its key, and its position.
RECORD_BYTES = 720

# The share of the memory for endpoints that were seen more than once, and the share for the counts of features.
PROTECTED = 0.75
COUNTED = 1 / 64

# The share of the memory for digests that showed nothing new, and the bytes that one of them takes.
SEEN = 1 / 8
SEEN_BYTES = 128


class Record:
    """The record of one endpoint.

    Attributes:
        left_out: exchanges that were not sent since the endpoint was first seen.
        reported: how many of them an entry has reported.
        is_crowded: whether it has more features than are remembered.
        salt: makes its hashes differ from those of all other records.
    """

    __slots__ = ("_features", "_sent", "_window", "is_crowded", "left_out", "reported", "salt")

    def __init__(self, salt: int = 0) -> None:
        self.left_out = 0
        self.reported = 0
        self.salt = salt
        self._window = float("-inf")
        self._sent = 0
        self.is_crowded = False
        self._features = array("Q")

    @property
    def size(self) -> int:
        """Bytes of the features."""
        return len(self._features) * FEATURE_BYTES

    def sent_in(self, window: float) -> int:
        """Return how many exchanges were sent in a window, which is given by its number."""
        return self._sent if window == self._window else 0

    def send(self, window: float) -> None:
        """Count one exchange that is sent."""
        self._sent = self.sent_in(window) + 1
        self._window = window

    def unknown(self, features: Iterable[int], recurrence: Recurrence) -> list[int]:
        """Return the features that were never learnt; if the endpoint has too many, only recurring ones.

        Args:
            features: hashes.
            recurrence: counts them if there are too many.
        """
        fresh = [feature for each in features if not self._knows(feature := each & _MASK)]
        if not self.is_crowded and len(self._features) + len(fresh) <= MAX_FEATURES:
            return fresh
        self.is_crowded = True
        return [each for each in fresh if recurrence.count(hash((self.salt, each)) & _MASK) >= RETURNS]

    def learn(self, features: Sequence[int]) -> bool:
        """Remember features; if there are too many, forget every other old one and return True."""
        forgets = bool(self._features) and len(self._features) + len(features) > MAX_FEATURES
        while self._features and len(self._features) + len(features) > MAX_FEATURES:
            del self._features[::2]
        for each in features[:MAX_FEATURES]:
            if not self._knows(each):
                insort(self._features, each)
        return forgets

    def _knows(self, feature: int) -> bool:
        place = bisect_left(self._features, feature)
        return place < len(self._features) and self._features[place] == feature


class Novelty:
    """Records of endpoints, the least recently used of which are forgotten when their bytes exceed a limit.

    Args:
        limit: bytes.

    Attributes:
        forgotten: how many endpoints were forgotten.
    """

    def __init__(self, limit: int) -> None:
        self.forgotten = 0
        self._recurrence = Recurrence(max(1, int(limit * COUNTED)))
        self._seen = set[int]()
        self._most_seen = int(limit * SEEN / SEEN_BYTES)
        self._salts = count(1)
        self._limit = int(limit * (1 - COUNTED - SEEN))
        self._size = 0
        self._protected_size = 0
        self._protected: OrderedDict[Endpoint, Record] = OrderedDict()
        self._probation: OrderedDict[Endpoint, Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._protected) + len(self._probation)

    @property
    def size(self) -> int:
        """An estimate of the bytes that the records take."""
        return self._size

    def find(self, endpoint: Endpoint) -> Record | None:
        """Return the record of a known endpoint, and mark it as the most recently used one."""
        if (record := self._protected.get(endpoint)) is not None:
            self._protected.move_to_end(endpoint)
            return record
        if (record := self._probation.pop(endpoint, None)) is not None:
            self._protect(endpoint, record)
        return record

    def add(self, endpoint: Endpoint) -> Record:
        """Add the record of a new endpoint."""
        record = self._probation[endpoint] = Record(next(self._salts))
        self._size += _cost(endpoint, record)
        self._balance()
        return record

    def unknown(self, record: Record | None, shown: Shown) -> list[int]:
        """Return the features of an exchange that were never learnt.

        Args:
            record: the record of its endpoint.
            shown: the facts in the exchange.
        """
        if record is None:
            return Record().unknown(shown.features(), self._recurrence)
        digest = hash((record.salt, shown.digest()))
        if digest in self._seen:
            return []
        fresh = record.unknown(shown.features(), self._recurrence)
        if not fresh and not record.is_crowded:
            if len(self._seen) >= self._most_seen:
                self._seen.clear()
            self._seen.add(digest)
        return fresh

    def learn(self, endpoint: Endpoint, record: Record, fresh: Sequence[int]) -> None:
        """Remember features of an endpoint."""
        if fresh:
            before = record.size
            if record.learn(fresh):
                record.salt = next(self._salts)
            self._size += record.size - before
            if endpoint in self._protected:
                self._protected_size += record.size - before
            self._balance()

    def most_left_out(self, most: int) -> list[tuple[Endpoint, int]]:
        """Return the endpoints with the most exchanges that were not sent, and these counts; on any thread."""
        # `list` of a dict is atomic for other threads; iterating over it would not be.
        known = {each: records.get(each) for records in (self._protected, self._probation) for each in list(records)}
        left_out = [(each, record.left_out) for each, record in known.items() if record is not None and record.left_out]
        return sorted(left_out, key=_by_count)[:most]

    def _protect(self, endpoint: Endpoint, record: Record) -> None:
        self._protected[endpoint] = record
        self._protected_size += _cost(endpoint, record)
        self._balance()

    def _balance(self) -> None:
        """Keep both parts within their limits; the record in use is the last of its part, and is kept."""
        while self._protected_size > PROTECTED * self._limit and len(self._protected) > 1:
            endpoint, record = self._protected.popitem(last=False)
            self._protected_size -= _cost(endpoint, record)
            self._probation[endpoint] = record
        while self._size > self._limit and len(self._probation) > 1:
            endpoint, record = self._probation.popitem(last=False)
            self._size -= _cost(endpoint, record)
            self.forgotten += 1


def _cost(endpoint: Endpoint, record: Record) -> int:
    return RECORD_BYTES + sum(map(len, endpoint)) + record.size


def _by_count(item: tuple[Endpoint, int]) -> tuple[int, Endpoint]:
    return -item[1], item[0]
