"""Pairs of names and values: forms, queries, and parameters of paths and cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote_plus

from akto_mirror.capture.payload.leaves import Change, splice
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import Look, mask
from akto_mirror.capture.redaction.rules.escapes import unquoted
from akto_mirror.capture.redaction.rules.masks import MASK
from akto_mirror.capture.redaction.rules.naming import holds, names_another

# A form by itself: pairs without blanks, quotes and brackets of other formats.
IS_FORM = re.compile(rb"[\w.$%+\[\]-]{1,256}=(?!=?\Z)[^\s<>\"{}]*\Z")
# A `;` parts pairs for some servers, and belongs to the value for others.
SEMICOLON = b";"

STEPS = 10  # What one pair takes.

IS_NAME = re.compile(rb"[\w.$%:+-]{1,128}")
# A pair with more of them is hidden unread.
MOST_SEMICOLONS = 500
# Pairs in which values beside names are looked for; what follows more of them is hidden.
MOST_PAIRS = 2_000
LAST_PART = re.compile(rb"(?<!\w)\w+\]?\Z")


def is_form(data: bytes) -> bool:
    """Return whether a text is one or more pairs."""
    return IS_FORM.match(data) is not None


def walk(data: bytes, places: list[Place], look: Look) -> bytes:
    """Hide values in `name=value&name=value`, and leave the rest as it is; of `user[password]` every name counts."""
    changes, named = list[Change](), set[bytes]()
    for start, end in _spans(data, places):
        text = data[start:end]
        look.hidden.take(STEPS)
        changes.append(Change(start, end, pair(text, look)))
        named |= _named(text, look)
        if look.hidden.is_spent and (rest := end + 1) < len(data):
            changes.append(Change(rest, len(data), look.hidden.unread()))
            break
    return _without_values(splice(data, changes), named, look) if named else splice(data, changes)


def _spans(data: bytes, places: list[Place]) -> Iterator[tuple[int, int]]:
    """Return where the pairs are that have places in them."""
    done = 0
    for place in places:
        # The last of very many places reaches over all pairs behind it.
        while done < place.end and done < len(data):
            position = max(place.start, done)
            start = data.rfind(b"&", done, position) + 1 or done
            end = data.find(b"&", position)
            end = end if end >= 0 else len(data)
            yield start, end
            done = end + 1


def _named(text: bytes, look: Look) -> set[bytes]:
    """Return what `a[0][value]` begins with, if `a[0][name]` is the name of a secret; empty for `name=token`."""
    name, _, value = text.partition(b"=")
    part = _last_part(name) if IS_NAME.fullmatch(value) else None
    is_named = part is not None and names_another(part[0]) and look.names.of(value)
    return {part.string[: part.start()]} if part and is_named else set()


def _last_part(name: bytes) -> re.Match[bytes] | None:
    plain = unquoted(name) if b"%" in name else name
    return LAST_PART.search(plain)


def _without_values(data: bytes, named: set[bytes], look: Look) -> bytes:
    """Hide the values beside names."""
    out = data.split(b"&", MOST_PAIRS)
    if len(out) > MOST_PAIRS:
        out[-1] = look.hidden.unread()
    for number, text in enumerate(out):
        name, mark, value = text.partition(b"=")
        part = _last_part(name)
        if part and value and holds(part[0]) and part.string[: part.start()] in named:
            look.hidden.by_name("pair")
            out[number] = name + mark + mask(value)
    return b"&".join(out)


def pair(text: bytes, look: Look) -> bytes:
    """Hide the value of a pair; behind a secret all is hidden up to the next `&`."""
    out = list[bytes]()
    if text.count(SEMICOLON) > MOST_SEMICOLONS:
        return look.hidden.unread()
    for each in text.split(SEMICOLON):
        name, mark, value = each.partition(b"=")
        rule = look.names.of(name) if mark else None
        if rule and value:
            look.hidden.by_name(rule)
            return SEMICOLON.join([*out, name + b"=" + mask(value)])
        out.append((name if mark else inner(name, look)) + mark + inner(value, look))
    return SEMICOLON.join(out)


def inner(value: bytes, look: Look) -> bytes:
    """Look into a value, as it is or percent-encoded."""
    if not value:
        return value
    if b"%" not in value:
        return look.inner(value)
    plain = unquoted(value)
    hidden = look.inner(plain)
    return value if hidden == plain else quote_plus(hidden).encode()


def cookies(value: str, look: Look, *, whole: bool) -> str:
    """Hide the values of cookies by their names, or all of them: Akto recognises by the names how a client logs in."""
    return "; ".join(_cookie(pair.strip(), look, whole=whole) for pair in value.split(";"))


def set_cookies(value: str, look: Look, *, whole: bool) -> str:
    """Hide the values of cookies that are set, one or several joined with `, `; their attributes stay."""
    return ", ".join(_set_cookie(cookie, look, whole=whole) for cookie in SEVERAL.split(value))


# The next cookie begins with a name; a comma of `Expires` is followed by a day.
SEVERAL = re.compile(r", ?(?=[^\s;,=\"]+=)")


def _set_cookie(value: str, look: Look, *, whole: bool) -> str:
    cookie, mark, attributes = value.partition(";")
    return _cookie(cookie, look, whole=whole) + mark + attributes


def _cookie(pair: str, look: Look, *, whole: bool) -> str:
    name, mark, value = pair.partition("=")
    raw = value.encode("utf-8", "replace")
    if not mark:
        # A cookie without a name is all value.
        return MASK.decode() if whole and pair.strip() else pair
    rule = "cookie" if whole else look.names.of_text(name.strip())
    if rule and value:
        look.hidden.by_name(rule)
        return f"{name}={mask(raw).decode()}"
    return name + mark + inner(raw, look).decode("utf-8", "replace")
