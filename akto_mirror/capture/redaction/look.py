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
from akto_mirror.capture.redaction.rules.work import Work

WHOLE_JWT = re.compile(JWT.removeprefix(r"\b").encode())

# Texts that are looked into one by one.
MOST_TEXTS = 400

# Levels of strings in strings that are read as what they are, of which base64 takes two; what is deeper is searched as
# plain text.
DEEPEST = 8


@dataclass(slots=True)
class Hidden(Work):
    """What was hidden in one entry, and the work that is left for a payload of it.

    Attributes:
        counts: how often, by (`name`, the name's rule), (`value`, the kind) and (`payload`, the reason).
        variables: of GraphQL operations, those that stand for a secret.
        left: texts that may still be looked into one by one. After that, what may hold a secret is hidden unread, so
            that no payload takes long.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    variables: set[str] = field(default_factory=set)
    left: int = MOST_TEXTS

    def by_name(self, rule: str) -> None:
        """Count a value that was hidden for the name that it stood under."""
        self.counts["name", rule] += 1

    def unread(self) -> bytes:
        """Count a text that is hidden unread, and return what stands in its place."""
        self.by_name("text")
        return MASK

    @property
    def is_spent(self) -> bool:
        """Whether what follows in the payload is hidden unread."""
        return self.left < 0 or self.steps < 0

    def spend(self) -> bool:
        """Return whether one more text may be looked into."""
        self.left -= 1
        return not self.is_spent


@dataclass(frozen=True, slots=True)
class Look:
    """A look into one text.

    Attributes:
        names: decides which names denote secrets.
        hidden: what was hidden so far.
        depth: how many texts this one is nested in.
        inner: looks into a text that stands in this one.
    """

    names: Names
    hidden: Hidden
    depth: int
    inner: Callable[[bytes], bytes]


def mask(value: bytes) -> bytes:
    """Return the replacement of a value: for a JWT another JWT, so that Akto still sees one."""
    return MADE_UP_JWT if value.startswith(b"ey") and WHOLE_JWT.fullmatch(value.rstrip()) else MASK


def is_masked(value: bytes) -> bool:
    """Return whether it is a mask already."""
    return value in (MASK, MADE_UP_JWT)


def spliced(data: bytes, changes: list[Change]) -> bytes:
    """Apply changes to a text; of nested ones, only the outermost."""
    out, done = list[bytes](), 0
    for start, end, new in sorted(changes, key=lambda change: (change.start, -change.end)):
        if start >= done:
            out += (data[done:start], new)
            done = end
    return b"".join((*out, data[done:])) if out else data


def is_bare(data: bytes, start: int, end: int) -> bool:
    """Return whether digits are a number of JSON and not part of a string, by what stands beside them."""
    before, after = data[max(0, start - 64) : start].rstrip()[-1:], data[end : end + 64].lstrip()[:1]
    return before in (b":", b"[", b",") and after in (b",", b"]", b"}", b"")
