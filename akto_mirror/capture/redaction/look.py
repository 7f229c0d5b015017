"""The state that the format walkers share: rules, nesting depth, hidden secrets, and the remaining budget."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from akto_mirror.capture.payload.leaves import Change
from akto_mirror.capture.redaction.rules.known import JWT
from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT, MASK
from akto_mirror.capture.redaction.rules.names import Names

WHOLE_JWT = re.compile(JWT.removeprefix(r"\b").encode())

# Texts that are looked into one by one, and texts for which it is asked whether they have to be.
MOST_TEXTS = 400
MOST_ASKED = 3_000

# Levels of strings in strings that are read as what they are, of which base64 takes two; what is deeper is searched as
# plain text.
DEEPEST = 8


@dataclass(slots=True)
class Hidden:
    """What was hidden in one entry.

    Attributes:
        counts: how often, by (`name`, the name's rule), (`value`, the kind) and (`payload`, the reason).
        variables: of GraphQL operations, those that stand for a secret.
        left: texts that may still be looked into one by one. Behind that, what may hold a secret is hidden unread, so
            that no payload takes long.
        asked: texts for which it may still be asked whether something may be in them; behind that as well.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    variables: set[str] = field(default_factory=set)
    left: int = MOST_TEXTS
    asked: int = MOST_ASKED

    def by_name(self, rule: str) -> None:
        """Count a value that was hidden for the name that it stood under."""
        self.counts["name", rule] += 1

    @property
    def is_spent(self) -> bool:
        """Whether what follows in the payload is hidden unread."""
        return self.left < 0

    def ask(self) -> bool:
        """Return whether it may be asked for one more text whether something may be in it."""
        self.asked -= 1
        if self.asked < 0:
            self.left = -1
        return self.asked >= 0

    def spend(self) -> bool:
        """Return whether one more text may be looked into."""
        self.left -= 1
        return self.left >= 0


@dataclass(frozen=True, slots=True)
class Look:
    """A look into one text.

    Attributes:
        names: what names stand before secrets.
        hidden: what was hidden so far.
        depth: the texts that this one stands in.
        inner: looks into a text that stands in this one.
    """

    names: Names
    hidden: Hidden
    depth: int
    inner: Callable[[bytes], bytes]


def mask(value: bytes) -> bytes:
    """Return what stands in the place of a value: for a JWT another one, so that Akto sees one still."""
    return MADE_UP_JWT if value.startswith(b"ey") and WHOLE_JWT.fullmatch(value.rstrip()) else MASK


def is_masked(value: bytes) -> bool:
    """Return whether it is a mask already."""
    return value in (MASK, MADE_UP_JWT)


def spliced(data: bytes, changes: list[Change]) -> bytes:
    """Put changes into a text; of those within one another the outermost counts."""
    out, done = list[bytes](), 0
    for start, end, new in sorted(changes, key=lambda change: (change.start, -change.end)):
        if start >= done:
            out += (data[done:start], new)
            done = end
    return b"".join((*out, data[done:])) if out else data
