"""Secrets that are recognised by their form, regardless of their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from akto_mirror.capture.redaction.rules import cards, escapes, expressions
from akto_mirror.capture.redaction.rules.expressions import Spans
from akto_mirror.capture.redaction.rules.known import COMMON, EMAIL, Rule
from akto_mirror.capture.redaction.rules.work import BYTES_SEARCHED, Work

CARD = "card"
PRESETS = {"common": (*COMMON, Rule(CARD, "", cards.GATE)), "email": (EMAIL,)}

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
LONGEST_PATTERN = 1_000

# What it takes to look for values of the kinds that there are.
STEPS = 8

# More of a payload are not hidden one by one.
MOST_FOUND = 1_500


class Found(NamedTuple):
    """A secret in a text: where it is and of which kind."""

    start: int
    end: int
    kind: str


class TooManyError(Exception):
    """There are more secrets in a text than are hidden one by one."""


class _Finder(NamedTuple):
    kind: str
    spans: Spans
    own: bool


# Where a word begins or ends. For known values `_` is not part of a word: `token_ghp_…`.
BOUND = r"\b"
LOOSE_BOUND = r"(?:\b|_)"


def _finder(rule: Rule) -> _Finder:
    if rule.kind == CARD:
        return _Finder(rule.kind, cards.candidates, own=False)
    pattern = rule.pattern if rule.own else _loose(rule.pattern)
    return _Finder(rule.kind, expressions.spans(pattern), rule.own)


def _loose(pattern: str) -> str:
    inner = _unbound(pattern)
    secret = inner if "(?P<secret>" in inner else f"(?P<secret>{inner})"
    before = LOOSE_BOUND if pattern.startswith(BOUND) else ""
    return before + secret + (LOOSE_BOUND if pattern.endswith(BOUND) else "")


def _unbound(pattern: str) -> str:
    """Return an expression that finds what another does, whatever stands beside it."""
    return pattern.removeprefix(BOUND).removesuffix(BOUND)


# Repetition counts from which on one more makes no difference, but costs states of the combined automaton.
MANY = re.compile(r"\{([2-9][0-9]|[1-9][0-9]{2})(?:,[0-9]*)?\}")


def _prefilter(rule: Rule) -> str:
    """Return an expression that finds something wherever a rule's does; its automaton is small."""
    return _unbound(rule.pattern) if rule.own else MANY.sub("{8,}", _unbound(rule.pattern))


class Values:
    """Finds secrets by their form.

    Args:
        given: kinds (`common`, `email`), and own expressions as `NAME=PATTERN`.

    Raises:
        ValueError: one of them is neither, or not a valid expression; the text says which, and what to do.
    """

    def __init__(self, given: Iterable[str] = ()) -> None:
        rules = [rule for text in given for rule in _rules(text)]
        self.kinds = tuple(dict.fromkeys(rule.kind for rule in rules))
        self._finders = [_finder(rule) for rule in rules]
        self._which = (
            expressions.which([_prefilter(rule) for rule in rules], [rule.keyword for rule in rules]) if rules else None
        )

    def __bool__(self) -> bool:
        return self._which is not None

    def found(self, data: bytes, work: Work | None = None) -> list[Found]:
        """Return the secrets in a text, in order and without overlaps.

        Args:
            data: the text.
            work: what it may take.

        Raises:
            TooManyError: there are more than `MOST_FOUND`, or what may be one takes more work.
        """
        if work is None:
            work = Work()
            work.begin(len(data))
        numbers = self._which(data) if self._which else []
        if not numbers:
            return []
        work.take(STEPS)
        blanked = escapes.blanked(data)
        found = list[Found]()
        for finder in map(self._finders.__getitem__, sorted(numbers)):
            found += self._of(finder, blanked, work)
            if finder.own and blanked != data:
                found += self._of(finder, data, work)
        return list(_apart(sorted(found))) if len(found) > 1 else found

    @staticmethod
    def _of(finder: _Finder, data: bytes, work: Work) -> Iterator[Found]:
        count = 0
        work.take(len(data) // BYTES_SEARCHED)
        for start, end in finder.spans(data):
            if not work.take(2):
                raise TooManyError
            if start < end and (finder.kind != CARD or cards.is_card(data, start, end)):
                count += 1
                if count > MOST_FOUND:
                    raise TooManyError
                yield Found(start, end, finder.kind)


def _apart(found: Iterable[Found]) -> Iterator[Found]:
    """Merge what overlaps."""
    last: Found | None = None
    for each in found:
        if last is None or each.start >= last.end:
            if last:
                yield last
            last = each
        elif each.end > last.end:
            last = Found(last.start, each.end, last.kind)
    if last:
        yield last


def _rules(text: str) -> tuple[Rule, ...]:
    name, mark, pattern = text.strip().partition("=")
    if not mark:
        if name.strip().lower() in PRESETS:
            return PRESETS[name.strip().lower()]
        raise ValueError(f"must be common, email or NAME=PATTERN, not {text!r}")
    if not NAME.fullmatch(name):
        raise ValueError(f"must begin with a name of letters, digits, - and _ before its first =, not {text!r}")
    if not pattern or len(pattern) > LONGEST_PATTERN:
        raise ValueError(f"the expression of {name} must have 1 to {LONGEST_PATTERN:,} characters")
    try:
        spans = expressions.spans(pattern)
    except ValueError as error:
        raise ValueError(f"the expression of {name} is not valid: {error}") from None
    if any(start == end for start, end in spans(b"")):
        raise ValueError(f"the expression of {name} matches the empty text; make it require a character")
    return (Rule(name.lower(), "", pattern, own=True),)


@lru_cache(maxsize=8)
def rules(given: tuple[str, ...]) -> Values:
    """Return what finds the given kinds and expressions, as `Values` does; they are compiled once."""
    return Values(given)
