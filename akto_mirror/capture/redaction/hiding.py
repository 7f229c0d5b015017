"""The interface of redaction: hides the secrets in the parts of an entry, and counts them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from akto_mirror.capture.payload import charsets, media
from akto_mirror.capture.redaction import framed, json_walk, markup, pairs, plain, separators, tables
from akto_mirror.capture.redaction.gate import Gate, Place, gate
from akto_mirror.capture.redaction.look import DEEPEST, Hidden, Look, is_bare, is_masked, mask
from akto_mirror.capture.redaction.rules.masks import MASK
from akto_mirror.capture.redaction.rules.names import Names
from akto_mirror.capture.redaction.rules.values import TooManyError, Values, rules
from akto_mirror.capture.redaction.rules.work import BYTES_READ
from akto_mirror.outcomes import Secret

# What keeps browsers from running JSON, and marks of encodings.
BEFORE = re.compile(rb"(?:[ \t\r\n]+(?![ \t\r\n])|\xef\xbb\xbf|\x1e|\)\]\}'?,?\s|while ?\(1\);|for ?\(;;\);)*")
JSON_BEGINS = re.compile(rb"[\[{\"]")

# A segment of a path that is no word: /reset-password/9f86d081884c7d65.
TOKEN = re.compile(rb"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[\w.~+=-]{16,}")

# A shorter one, behind a name that is no `auth` or `session`: /token/ab12cd, not /token/oauth2 or /password/2026-01-01.
SHORT_TOKEN = re.compile(
    rb"(?i)(?=[^0-9]*[0-9])(?=[^a-z]*[a-z])(?!oauth|openid|saml|sha|v[0-9]+\Z|[0-9]{4}-)[\w~+=-]{6,15}"
)

STEPS = 7  # That one more text takes, however short.
MOST_PARAMETERS = 200  # Of a segment, that are read one by one.
WORDS_OF_SEGMENTS = re.compile(rb"[-_]")

SCHEME = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9_-]{1,30}|AWS4-HMAC-SHA256)[ ]+(?=\S)")
COOKIE, SET_COOKIE = "cookie", "set-cookie"


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is to be hidden.

    Attributes:
        headers: names of headers.
        fields: names of keys, fields, parameters, elements and attributes.
        values: secrets that are recognised by their form.
        keep_unreadable: payloads that cannot be judged are shipped all the same.
    """

    headers: Names = field(default_factory=Names)
    fields: Names = field(default_factory=Names)
    values: Values = field(default_factory=Values)
    keep_unreadable: bool = False
    gate: Gate = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "gate", gate(self.fields, values=bool(self.values)))

    @classmethod
    def of(
        cls,
        headers: Iterable[str] = (),
        fields: Iterable[str] = (),
        values: Iterable[str] = (),
        *,
        keep_unreadable: bool = False,
    ) -> Redaction:
        """Make it of the texts of the options.

        Raises:
            ValueError: a value is neither a kind nor a good expression.
        """
        return cls(Names(headers), Names(fields), rules(tuple(values)), keep_unreadable)

    def __bool__(self) -> bool:
        return bool(self.headers or self.fields or self.values)


class Hiding:
    """Hides what has to be hidden in one entry.

    Args:
        redaction: what that is.
        follows: whether GraphQL variables that stand for secrets are hidden, too.
    """

    def __init__(self, redaction: Redaction, *, follows: bool = True) -> None:
        self._follows = follows
        self._redaction = redaction
        self._reads = bool(redaction.fields or redaction.values)
        self._hidden = Hidden()

    @property
    def counts(self) -> Counter[tuple[str, str]]:
        """What was hidden, as `Hidden.counts` has it."""
        return self._hidden.counts

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """What was hidden, for the counts of all entries."""
        return tuple(Secret(*key, count) for key, count in self.counts.items()) if self.counts else ()

    def path(self, target: str) -> str:
        """Hide parameters in a path that may have its query string, and values anywhere in it."""
        if not self._reads:
            return target
        try:
            path = self._path(target)
            return self._without_variables(path, lambda again: again.path(path))
        except Exception:  # noqa: BLE001 - whatever it is, the path must not be shipped unread
            return f"/{self._whole('error')}"

    def _path(self, target: str) -> str:
        data = self._encoded(target)
        places = self._redaction.gate.places(data)
        if places:
            before, mark, query = data.partition(b"?")
            look = self._look(1)
            segments = self._segments(before, look)
            query_places = self._redaction.gate.places(query)
            query = pairs.walk(query, query_places, look) if query_places else query
            data = segments + mark + query
        return self._values(data).decode("utf-8", "replace")

    def _segments(self, data: bytes, look: Look) -> bytes:
        """Hide parameters of segments, what looks like a token behind its name, and the credentials of an address."""
        if look.names.common and b"@" in data:
            data = separators.USER_INFO.sub(_without_user_info, data)
        parts = data.split(b"/")
        out = [self._segment(part, look) for part in parts]
        for number, (name, value) in enumerate(pairwise(parts), 1):
            is_short = SHORT_TOKEN.fullmatch(value) is not None
            if not is_short and not TOKEN.fullmatch(value):
                continue
            rule = look.names.of(name) or look.names.of(WORDS_OF_SEGMENTS.split(name)[-1])
            if rule and (rule.startswith(separators.SECRETS) if is_short else rule != "auth"):
                look.hidden.by_name(rule)
                out[number] = mask(value)
        return b"/".join(out)

    @staticmethod
    def _segment(part: bytes, look: Look) -> bytes:
        """Hide `;name=value` of a segment (RFC 3986, section 3.3)."""
        if part.count(b";") > MOST_PARAMETERS:
            return look.inner(part)
        return b";".join(pairs.pair(piece, look) for piece in part.split(b";"))

    def headers(self, values: dict[str, str]) -> dict[str, str]:
        """Hide the values of headers by their names, and what has to be hidden in the others; names are lower-case."""
        if not self._redaction:
            return values
        try:
            return self._headers(values)
        except Exception:  # noqa: BLE001 - whatever it is, headers must not be shipped unread
            return dict.fromkeys(values, self._whole("error"))

    def _headers(self, values: Mapping[str, str]) -> dict[str, str]:
        reads = self._reads and self._fires(values)
        if not reads and not self._redaction.headers:
            return dict(values)
        return {name: self._header(name, value, reads=reads) for name, value in values.items()}

    def _fires(self, values: Mapping[str, str]) -> bool:
        """Return whether there may be something to hide in one of the headers."""
        # Cookies are pairs, of which each name counts.
        text = self._encoded("\n".join(f"{name}: {value}" for name, value in values.items()))
        redaction = self._redaction
        return bool(redaction.gate.places(text)) or bool(redaction.values and redaction.values.found(text))

    def _header(self, name: str, value: str, *, reads: bool) -> str:
        rule = self._redaction.headers.of_text(name)
        if name in (COOKIE, SET_COOKIE) and (rule or reads):
            hide = pairs.cookies if name == COOKIE else pairs.set_cookies
            value = hide(value, self._look(1), whole=bool(rule))
        elif rule and value:
            self._hidden.by_name(rule)
            return _header_mask(value)
        return self._text(value.encode("utf-8", "replace"), 1).decode("utf-8", "replace") if reads else value

    def payload(self, text: str, content_type: str = "") -> str:
        """Hide what has to be hidden in a payload, by what it is as much as by its type.

        A payload that cannot be judged is hidden as a whole, and so is one with which something goes wrong here.
        """
        if not self._reads or not text:
            return text
        try:
            new = self._payload(self._encoded(text), content_type.lower()).decode("utf-8", "replace")
            return self._without_variables(new, lambda again: again.payload(new, content_type))
        except TooManyError:
            return self._whole("many")
        except Exception:  # noqa: BLE001 - whatever it is, the payload must not be shipped unread
            return self._whole("error")

    def _without_variables(self, text: str, hide: Callable[[Hiding], str]) -> str:
        """Hide variables that stand for secrets in a GraphQL operation, under the names that it gives them."""
        found, self._hidden.variables = self._hidden.variables, set()
        names = [name for name in found if not self._redaction.fields.of_text(name)]
        if not names or not self._follows:
            return text
        again = Hiding(Redaction(fields=Names(names), keep_unreadable=True), follows=False)
        again._hidden.steps = self._hidden.steps
        text = hide(again)
        self._hidden.counts["name", "variable"] += again.counts.total()
        return text

    def _whole(self, reason: str) -> str:
        self._hidden.counts["payload", reason] += 1
        return MASK.decode()

    def _payload(self, data: bytes, content_type: str) -> bytes:
        if media.is_base64(media.essence(content_type)):
            found = framed.grpc_messages(data, self._look(0))
            if found is not None:
                return found
        return self._part(data, content_type)

    def _part(self, data: bytes, content_type: str) -> bytes:
        """Hide in a payload or a part of one, by its type."""
        kind = content_type.lower()
        if "multipart/" in kind or data.lstrip(b"\r\n").startswith(b"--"):
            found = framed.parts(data, content_type, self._part, self._look(0))
            if found is not None:
                return found
        if not self._redaction.keep_unreadable and charsets.is_unreadable(data):
            return self._whole("unreadable").encode()
        return self._text(data, 0, kind)

    def _look(self, depth: int) -> Look:
        return Look(self._redaction.fields, self._hidden, depth, lambda text: self._inner(text, depth + 1))

    def _inner(self, data: bytes, depth: int) -> bytes:
        """Look into a text that stands in another; once many were, those that may hold something are hidden unread."""
        try:
            places = self._places(data)
            if not places or self._hidden.spend():
                return self._at(data, places, depth)
        except TooManyError:
            self._hidden.left = -1
        return self._hidden.unread()

    def _text(self, data: bytes, depth: int, kind: str = "") -> bytes:
        return self._at(data, self._places(data), depth, kind)

    def _places(self, data: bytes) -> list[Place]:
        if not self._hidden.take(STEPS + len(data) // BYTES_READ):
            raise TooManyError
        places = self._redaction.gate.places(data)
        self._hidden.take(2 * len(places))
        return places

    def _encoded(self, text: str) -> bytes:
        data = text.encode("utf-8", "replace")
        if self._follows:
            self._hidden.begin(len(data))
        return data

    def _at(self, data: bytes, places: list[Place], depth: int, kind: str = "") -> bytes:
        """Hide at the places of a text, and what is recognised by its form."""
        is_json = False
        if places:
            data, is_json = self._names(data, places, depth, kind)
        return self._values(data, is_json=is_json)

    def _names(self, data: bytes, places: list[Place], depth: int, kind: str) -> tuple[bytes, bool]:
        """Hide by names, read as what the text is; the second is whether that is JSON."""
        self._hidden.take(2 * STEPS)
        look = self._look(depth)
        begin = BEFORE.match(data).end()  # type: ignore[union-attr]
        first = data[begin : begin + 1]
        if depth <= DEEPEST:
            if JSON_BEGINS.match(first) and json_walk.is_readable(data[begin:]):
                head, text = data[:begin], data[begin:]
                shifted = [Place(max(place.start - begin, 0), place.end - begin) for place in places]
                return head + json_walk.walk(text, shifted, look), True
            if framed.are_events(data, kind):
                return framed.events(data, places, look), False
            if ("x-www-form-urlencoded" in kind and first not in (b"{", b"[", b"<")) or pairs.is_form(data):
                return pairs.walk(data, places, look), False
        table = tables.lines(data, places, kind, look)
        if table is not data:
            data, places = table, self._places(table)
        if markup.may_be(data):
            data = markup.walk(data, places, look)
            places = self._places(data)
        return (plain.walk(data, places, look) if places else data), False

    def _values(self, data: bytes, *, is_json: bool = False) -> bytes:
        """Hide secrets that are recognised by their form; a number in JSON becomes a string."""
        if not self._redaction.values:
            return data
        found = self._redaction.values.found(data, self._hidden)
        out, done = list[bytes](), 0
        for start, end, kind in found:
            secret = data[start:end]
            if is_masked(secret):
                continue
            self._hidden.counts["value", kind] += 1
            new = mask(secret)
            if secret.isdigit() and (is_json or data.lstrip()[:1] in (b"{", b"[")) and is_bare(data, start, end):
                new = b'"' + new + b'"'
            out += (data[done:start], new)
            done = end
        return b"".join((*out, data[done:])) if out else data


def _without_user_info(found: re.Match[bytes]) -> bytes:
    if not (found[1] or found[3]):
        return found[0]
    text, start = found[0], found.start()
    return text[: found.start(2) - start] + plain.without_user_info(found) + text[found.end(4) - start :]


def _header_mask(value: str) -> str:
    """Hide a header's value but for its scheme (`Bearer`, `Basic`), by which Akto recognises how a client logs in."""
    scheme = SCHEME.match(value)
    rest = value[scheme.end() :] if scheme else value
    return (scheme[0] if scheme else "") + mask(rest.encode("utf-8", "replace")).decode()
