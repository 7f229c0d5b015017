"""Finds sensitive values and their fields, by redaction's rules for names and values (pure, bounded)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from akto_mirror.capture.redaction.rules import values
from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT, MASK
from akto_mirror.capture.redaction.rules.names import PRESET, Names
from akto_mirror.capture.redaction.rules.values import Found, TooManyError, Values

# Secrets that redaction's preset does not include: a `pin`, for example, may be a place on a map.
MORE_NAMES = ("pin", "iban")

# The most characters that are searched in one text, and in all texts of an entry.
MAX_TEXT_CHARS = 65_536
MAX_ALL_BYTES = 262_144

# Redaction's replacements for secrets: its mask, and a JWT with this signature.
MASKED = MASK.decode()
SIGNATURE = MADE_UP_JWT[MADE_UP_JWT.rindex(b".") :]

# A quote ends every kind of secret.
BETWEEN = '"\n"'

Place = tuple[str, str]


class Part(NamedTuple):
    """The values in one place of an entry.

    Attributes:
        place: The place, as in the headings of the page, such as `Response 200`.
        texts: Each with its field's name, which is empty for a whole payload without fields.
    """

    place: str
    texts: Sequence[tuple[str, str]]


class Sensitive(NamedTuple):
    """Where a kind of sensitive value was found.

    Attributes:
        kind: `card`, `email`, `jwt`, `github` or another kind of redaction, or the name of a secret's field, such as
            `password`.
        place: As `Part.place`.
        name: The field's name.
    """

    kind: str
    place: str
    name: str


def find(parts: Iterable[Part]) -> Iterable[Sensitive]:
    """Return the sensitive values of an entry, each once, except those that redaction has hidden."""
    places = [(part.place, name) for part in parts for name, _ in part.texts]
    texts = [text for part in parts for _, text in part.texts]
    return dict.fromkeys([*_by_value(places, texts), *_by_name(places, texts)])


def is_secret(name: str) -> bool:
    """Return whether a name denotes a secret."""
    return bool(_rule(name))


def kinds_of(text: str) -> list[str]:
    """Return the kinds of sensitive values in a text, each once."""
    return list(dict.fromkeys(found.kind for found in _found(text[:MAX_TEXT_CHARS].encode("utf-8", "replace"))))


def _by_name(places: list[Place], texts: list[str]) -> Iterator[Sensitive]:
    for (place, name), text in zip(places, texts, strict=True):
        rule = _rule(name)
        if rule and text and not text.startswith(MASKED) and not text.endswith(SIGNATURE.decode()):
            yield Sensitive(rule, place, name)


def _by_value(places: list[Place], texts: list[str]) -> Iterator[Sensitive]:
    """Search all values at once, because most contain nothing."""
    found = _found(BETWEEN.join([text[:MAX_TEXT_CHARS] for text in texts]).encode("utf-8", "replace")[:MAX_ALL_BYTES])
    if not found:
        return
    sizes = (len(text[:MAX_TEXT_CHARS].encode("utf-8", "replace")) + len(BETWEEN) for text in texts)
    starts = list(accumulate(sizes, initial=0))
    for each in found:
        yield Sensitive(each.kind, *places[bisect_right(starts, each.start) - 1])


def _found(data: bytes) -> list[Found]:
    while True:
        try:
            found = _values().found(data)
        except TooManyError:
            data = data[: len(data) // 2]
        else:
            return [each for each in found if not data.endswith(SIGNATURE, each.start, each.end)]


@lru_cache(maxsize=1)
def _values() -> Values:
    return values.rules(("common", "email"))


@lru_cache(maxsize=8_192)
def _rule(name: str) -> str:
    return _names().of_text(name) or ""


@lru_cache(maxsize=1)
def _names() -> Names:
    return Names((PRESET, *MORE_NAMES))
