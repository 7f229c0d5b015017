"""Parses the filter that users type: words, and `method:POST status:4xx -host:x auth:none new:1h` (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from akto_mirror.ingestion.entries.endpoints import Endpoint
from akto_mirror.ingestion.entries.reading import clean
from akto_mirror.ingestion.entries.shapes import rows

MAX_WORDS = 16
MAX_WORD_CHARS = 100

# A term may be negated, have a key, and contain spaces in quotes.
TERM = re.compile(r'-?(?:[a-z]{1,20}:)?(?:"[^"]*"?|[^\s"]+)|"', re.IGNORECASE)
SPAN = re.compile(r"(\d{1,6})(s|m|min|h|d|w)", re.IGNORECASE)
SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}
STATUS = re.compile(r"[1-5]xx|\d{3}|none", re.IGNORECASE)

Test = Callable[[Endpoint, float], bool]


@dataclass(frozen=True)
class Term:
    """One condition.

    Attributes:
        text: The typed text.
        test: Returns whether an endpoint meets it, at a time in epoch seconds; negation is already applied.
        mistake: Why it is ignored; empty if it is not.
    """

    text: str
    test: Test
    mistake: str = ""


@dataclass(frozen=True)
class Filter:
    """Conditions that must all be met; those with a mistake are ignored."""

    terms: tuple[Term, ...] = ()

    def select(self, endpoints: Iterable[Endpoint], now: float) -> list[Endpoint]:
        """Return the endpoints that meet it, in their order."""
        tests = [term.test for term in self.terms if not term.mistake]
        return [endpoint for endpoint in endpoints if all(test(endpoint, now) for test in tests)]


def parse(text: str) -> Filter:
    """Read a filter; the first `MAX_WORDS` different terms count, by their first `MAX_WORD_CHARS` characters.

    A term without a known key, such as `localhost:8080`, is a word, which is searched case-insensitively in host,
    method, path, marks, operations, statuses, media types and names of fields.
    """
    different = dict.fromkeys(hit[0][:MAX_WORD_CHARS] for hit in TERM.finditer(clean(text)))
    return Filter(tuple(_term(word) for word in islice(different, MAX_WORDS) if word.strip('-"')))


def _term(text: str) -> Term:
    negated = text.startswith("-")
    key, mark, value = text.removeprefix("-").partition(":")
    make = KEYS.get(key.lower()) if mark else None
    try:
        test = make(value.strip('"').lower()) if make else _word(text.removeprefix("-").replace('"', "").lower())
    except ValueError as error:
        return Term(text, _all, str(error))
    return Term(text, (lambda endpoint, now: not test(endpoint, now)) if negated else test)


def _all(_: Endpoint, __: float) -> bool:
    return True


def _word(word: str) -> Test:
    return lambda endpoint, _: word in endpoint.text


def _method(value: str) -> Test:
    wanted = frozenset(value.upper().split(","))
    return lambda endpoint, _: endpoint.method in wanted


def _status(value: str) -> Test:
    wanted = value.split(",")
    if not all(map(STATUS.fullmatch, wanted)):
        raise ValueError("status: takes 404, 4xx or none, or several of them separated by commas")
    starts = tuple(each.removesuffix("xx") for each in wanted if each != "none")
    return lambda endpoint, _: any(
        status.startswith(starts) if status else "none" in wanted for status in endpoint.statuses
    )


def _host(value: str) -> Test:
    return lambda endpoint, _: value in endpoint.host


def _path(value: str) -> Test:
    return lambda endpoint, _: value in endpoint.path.lower()


def _auth(value: str) -> Test:
    wanted = frozenset(value.split(","))
    return lambda endpoint, _: not wanted.isdisjoint(endpoint.auth_kinds)


def _kind(value: str) -> Test:
    if value in ("none", "http"):
        return lambda endpoint, _: not endpoint.marks
    return lambda endpoint, _: any(mark.lower().startswith(value) for mark in endpoint.marks)


def _concern(value: str) -> Test:
    word = "" if value == "any" else value
    return lambda endpoint, _: any(word in kind.lower() for kind in endpoint.concerns)


def _sensitive(value: str) -> Test:
    if value == "any":
        return lambda endpoint, _: bool(endpoint.sensitive)
    wanted = frozenset(value.split(","))
    return lambda endpoint, _: not wanted.isdisjoint(endpoint.sensitive_kinds)


def _format(value: str) -> Test:
    return lambda endpoint, _: any(value == found for found in formats_of(endpoint))


def _new(value: str) -> Test:
    seconds = _span("new", value)
    return lambda endpoint, now: endpoint.first > now - seconds


def _seen(value: str) -> Test:
    seconds = _span("seen", value)
    return lambda endpoint, now: endpoint.last > now - seconds


def _span(key: str, value: str) -> int:
    found = SPAN.fullmatch(value)
    if not found:
        raise ValueError(f"{key}: takes a time such as 30m, 1h or 7d")
    return int(found[1]) * SECONDS[found[2].lower()]


KEYS: dict[str, Callable[[str], Test]] = {
    "method": _method,
    "status": _status,
    "host": _host,
    "path": _path,
    "auth": _auth,
    "kind": _kind,
    "concern": _concern,
    "sensitive": _sensitive,
    "format": _format,
    "new": _new,
    "seen": _seen,
}


def formats_of(endpoint: Endpoint) -> list[str]:
    """Return the formats of an endpoint's parameters and fields, each once."""
    shapes = [*endpoint.ids, endpoint.query, endpoint.headers, *(body.shape for body in endpoint.bodies.values())]
    return list(dict.fromkeys(row.format for shape in shapes for row, _ in rows(shape, 0) if row.format))


def facets(endpoints: Sequence[Endpoint]) -> dict[str, list[tuple[str, int]]]:
    """Return further filters for the endpoints: values by key, each with its number of endpoints."""
    counts: dict[str, Counter[str]] = {
        key: Counter() for key in ("concern", "auth", "status", "sensitive", "kind", "method")
    }
    for endpoint in endpoints:
        counts["method"][endpoint.method] += 1
        counts["status"].update({f"{status[0]}xx" for status in endpoint.statuses if status[:1] in "12345" and status})
        counts["auth"].update(endpoint.auth_kinds)
        counts["kind"].update(mark.lower() for mark in endpoint.marks)
        counts["concern"].update(list(endpoint.concerns))
        counts["sensitive"].update(endpoint.sensitive_kinds)
    return {key: sorted(found.most_common(12), key=lambda item: item[0]) for key, found in counts.items()}
