"""The inventory's data about an endpoint: entries with the same host, method and path template."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from akto_mirror.ingestion.entries.auth import Auth
from akto_mirror.ingestion.entries.sensitive import Sensitive
from akto_mirror.ingestion.entries.shapes import Shape

MAX_SAMPLES = 5  # of one endpoint


@dataclass(slots=True, eq=False)
class Body:
    """The payloads of requests, or of responses with one status, in one media type.

    Attributes:
        form: How they were read, as `Payload.form`.
        count: How many there were.
        shape: What their values have in common.
    """

    form: str
    count: int = 0
    shape: Shape = field(default_factory=Shape)


@dataclass(slots=True)
class Raised:
    """A concern: in how many entries it was raised, and its latest sentence."""

    count: int = 0
    sentence: str = ""


@dataclass(slots=True, eq=False)
class Endpoint:
    """All data about one endpoint.

    Attributes:
        number: Its number in order of appearance, from 0.
        left_out: How many exchanges sampling left out, as the entries report.
        seen: The number of the entry that changed it last.
        first: The earliest time of its entries in epoch seconds; 0 if none has one.
        last: The latest one.
        auth: How many entries were authenticated in which ways.
        concerns: By their kinds.
        sensitive: In how many entries each was found.
        ids: The shapes of the texts that the path has in place of each `{id}`, in order.
        bodies: By status, which is empty for requests, and media type.
        text: The searchable text, in lower case.
    """

    number: int
    host: str
    method: str
    path: str
    count: int = 0
    left_out: int = 0
    seen: int = 0
    first: int = 0
    last: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    operations: dict[str, int] = field(default_factory=dict)
    auth: dict[tuple[Auth, ...], int] = field(default_factory=dict)
    concerns: dict[str, Raised] = field(default_factory=dict)
    sensitive: dict[Sensitive, int] = field(default_factory=dict)
    ids: list[Shape] = field(default_factory=list)
    query: Shape = field(default_factory=Shape)
    headers: Shape = field(default_factory=Shape)
    bodies: dict[tuple[str, str], Body] = field(default_factory=dict)
    samples: deque[int] = field(default_factory=lambda: deque(maxlen=MAX_SAMPLES))
    text: str = ""

    def __lt__(self, other: Endpoint) -> bool:
        return (self.host, self.path, self.method) < (other.host, other.path, other.method)

    @property
    def auth_kinds(self) -> list[str]:
        """The kinds of authentication seen, the most frequent first; `none` for requests without."""
        counts: dict[str, int] = {}
        for found, count in self.auth.items():
            for kind in dict.fromkeys(auth.kind for auth in found) or ("none",):
                counts[kind] = counts.get(kind, 0) + count
        return sorted(counts, key=lambda kind: -counts[kind])

    @property
    def sensitive_kinds(self) -> list[str]:
        """The kinds of sensitive values seen, each once, in order of appearance."""
        return list(dict.fromkeys(found.kind for found in self.sensitive))

    def shapes(self, side: str) -> list[Shape]:
        """Return the shapes on one side, `query`, `request` or `response`."""
        if side == "query":
            return [self.query]
        return [body.shape for (status, _), body in self.bodies.items() if bool(status) == (side == "response")]
