"""A fast first pass over a text that finds the places which may contain secrets.

It fires on the names, and on whatever could spell one in another way: escapes of JSON, addresses and XML, base64 of
JSON, and credentials in an address. It fires too often rather than too seldom; the walkers judge.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from itertools import groupby, islice
from typing import NamedTuple

from akto_mirror.capture.redaction.rules import credentials, expressions
from akto_mirror.capture.redaction.rules.names import Names

# Characters in another spelling: \u0070, \x70, \160, %70 (also of %2570), &#112; &#x70;. Names are made of letters.
# One backslash is enough of several: Python's own module would go through them again from each.
LETTERS = r"\\u00[4-7]|\\x[4-7]|\\1[0-7][0-7]|%(?:25)*[4-7]|&(?:amp;)*#"
CHARACTERS = r"\\u00[2-7]|\\x[2-7]|%(?:25)*(?:[3-7]|2[deDE])|&(?:amp;)*#"
# JSON that begins with {" or [" or [{ or blanks, and XML that begins with < and a letter, ! or ?, in base64.
BASE64 = r"(?:ey[IAJc]|ew[ok0]|W[3y][sJIAt0]|Ww[ok0]|P[CDEFGH][A-Za-z0-9+/])[A-Za-z0-9+/_-]{9}"
USER_INFO = r":?(?:\\{0,16}/){2}[^/?#\s\"'<>\\@]+@"

# What parts words, as it is or in another spelling.
BETWEEN = r"(?:[^a-zA-Z0-9]|%(?:25)*2[0-9A-Fa-f]|\\+u002[0-9A-Fa-f])"

# The base64 of a shorter name also occurs in that of other texts.
FEWEST_CODED = 5

# Places that are looked at one by one; from the last of them on, everything is looked at or hidden.
MOST_PLACES = 1_500


class Place(NamedTuple):
    """Where the gate fired."""

    start: int
    end: int


@lru_cache(maxsize=8)
def gate(names: Names, *, values: bool) -> Gate:
    """Return the gate for names, compiled once."""
    return Gate(names, values=values)


class Gate:
    """Says where in a text something may have to be hidden.

    Args:
        names: the names to be found.
        values: whether values are searched for too; then their other spellings must fire, too.
    """

    def __init__(self, names: Names, *, values: bool) -> None:
        self._spans = expressions.spans(_pattern(names, values=values)) if names or values else None

    def places(self, data: bytes) -> list[Place]:
        """Return where it fires, in order; at most `MOST_PLACES`, of which the last reaches to the end of the text."""
        if self._spans is None:
            return []
        found = list(map(Place._make, islice(self._spans(data), MOST_PLACES)))
        return [*found[:-1], Place(found[-1].start, len(data))] if len(found) == MOST_PLACES else found


def _pattern(names: Names, *, values: bool) -> str:
    spelt = sorted({_spelt(words) for words in names.spellings} | {_spelt(tuple(name), "?") for name in names.own})
    # No small letter may follow: `author` and `tokens_used` are other words than `auth` and `token`.
    named = [rf"(?i:{'|'.join(spelt)})(?:[^a-z]|$)"] if spelt else []
    user_info = [USER_INFO, credentials.GATE] if names.common else []
    coded = sorted({piece for words in names.spellings for piece in _coded(words)})
    return "|".join([*named, CHARACTERS if values else LETTERS, BASE64, *user_info, *_by_first(coded)])


def _by_first(pieces: list[str]) -> Iterator[str]:
    """Group sorted texts by their first characters: Python's own module tries each alternative at each place."""
    for first, rest in groupby(pieces, key=lambda piece: piece[0]):
        yield f"{first}(?:{'|'.join(piece[1:] for piece in rest)})"


def _coded(words: tuple[str, ...]) -> Iterator[str]:
    """Yield what the base64 of any text with a name contains, in each of three alignments; for long names only."""
    capitals = "".join(map(str.capitalize, words))
    for name in {"_".join(words), capitals[:1].lower() + capitals[1:], capitals, "_".join(words).upper()}:
        if not name.isascii() or len(name) < FEWEST_CODED:
            continue
        for before in range(3):
            whole = b64encode(b" " * before + name.encode()).decode().rstrip("=")
            bits = 8 * (before + len(name))
            yield whole[-(-8 * before // 6) : bits // 6]


def _spelt(words: tuple[str, ...], most: str = "{0,3}") -> str:
    r"""Return an expression for words that are parted by whatever parts words: `api_key`, `apiKey`, `api%20key`."""
    return f"{BETWEEN}{most}".join("".join(map(_letter, word)) for word in words)


def _letter(letter: str) -> str:
    if letter.isascii():
        return letter
    spelt = ("".join(f"\\x{byte:02x}" for byte in each.encode()) for each in sorted({letter, letter.upper()}))
    return f"(?:{'|'.join(spelt)})"
