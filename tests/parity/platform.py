"""The one list of allowed differences between the Worker in workerd and the addon in mitmproxy.

All but the last group come from the platforms: what their HTTP parsers refuse, add or normalise before the Worker or
the addon sees it. `differences` applies the list, and also reports items that no longer apply.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tests.parity.goldens import REFUSED, SHIPPED, SKIPPED, Fact, Value, digest

REQUEST, RESPONSE = "requestHeaders", "responseHeaders"
ANY = r'(?:[^"\\]|\\.)*'


@dataclass(frozen=True)
class Header:
    """A header that is removed from both sides before the comparison, if its whole value matches `value`."""

    side: str
    name: str
    value: str
    reason: str


HEADERS = (
    Header(
        REQUEST, "accept-encoding", ANY, "workerd asks for what it can decode, `br, gzip`, whatever the client said"
    ),
    Header(REQUEST, "cf-connecting-ip", r"(?:127\.0\.0\.1)?", "workerd adds the peer's address if there is none"),
    Header(REQUEST, "sec-websocket-key", ANY, "workerd keeps the client's handshake to itself"),
    Header(REQUEST, "sec-websocket-version", ANY, "workerd keeps the client's handshake to itself"),
    Header(RESPONSE, "sec-websocket-accept", ANY, "workerd makes a handshake of its own with the target"),
)

Change = tuple[Value, Value]
"""What the Worker has and what the addon has; of header objects, the member or members in question."""


@dataclass(frozen=True)
class Exemption:
    """Fields in which some cases may differ, and the exact differences; all other fields are equal."""

    names: tuple[str, ...]
    changes: Mapping[str, Change]
    reason: str


ONLY_WE_SHIP: Mapping[str, Change] = {"outcome": (REFUSED, SHIPPED)}
ONLY_WORKER_SHIPS: Mapping[str, Change] = {"outcome": (SHIPPED, REFUSED)}
JSON_LIMIT = digest(('{"n":"' + "0123456789abcdef" * 4096)[:65536])
GZIP_TEXT = (
    "\x1f\ufffd\x08\x00\x00\x00\x00\x00\x02\ufffd\ufffdV\ufffd,I\ufffd-V\ufffd\ufffd6\ufffd1\ufffd1\ufffd\ufffdQ"
    "\ufffdK\ufffdMU\ufffdRJNL;\ufffdR\ufffd\x16\x00\ufffd\x11z\ufffd \x00\x00\x00"
)

WORKERD_REFUSES = (
    Exemption(
        (
            "path-absolute",
            "path-absolute-other-host",
            "path-absolute-port",
            "path-absolute-no-path",
            "path-absolute-https",
        ),
        ONLY_WE_SHIP,
        "workerd takes the absolute form of the target (RFC 9112, section 3.2.2) for a request to another proxy",
    ),
    Exemption(("path-options-star",), ONLY_WE_SHIP, "`*` makes no URL in workerd"),
    Exemption(("framing-no-host",), ONLY_WE_SHIP, "workerd refuses a request without Host, as RFC 9112 has it"),
    Exemption(("method-foo", "method-lower-get"), ONLY_WE_SHIP, "workerd knows a closed list of methods"),
    Exemption(("method-get-body",), ONLY_WE_SHIP, "a Request object with GET cannot have a body"),
    Exemption(
        ("header-value-null-request", "header-value-null-response"),
        ONLY_WE_SHIP,
        "workerd refuses a NUL in a header; mitmproxy passes it on",
    ),
    Exemption(
        ("header-name-inner-space-response",),
        ONLY_WE_SHIP,
        "both refuse this answer, but mitmproxy's hooks have seen its head; the Worker has not",
    ),
    Exemption(("reason-tab", "reason-control"), ONLY_WE_SHIP, "a Response object cannot have such a reason phrase"),
    Exemption(
        ("status-100-then-200", "status-103-then-200"),
        {"outcome": (REFUSED, SKIPPED)},
        "neither waits for the final answer behind a 1xx; mitmproxy passes the 1xx on as the answer",
    ),
)

MITMPROXY_REFUSES = (
    Exemption(
        ("path-space", "path-spaces", "path-tab"),
        ONLY_WORKER_SHIPS,
        "workerd cuts the target at a blank; mitmproxy answers 400",
    ),
    Exemption(
        ("header-name-non-ascii-request", "header-name-space-before-colon-request"),
        ONLY_WORKER_SHIPS,
        "mitmproxy answers 400 to a name that is no token (RFC 9110, section 5.1)",
    ),
    Exemption(
        ("header-name-non-ascii-response",),
        {RESPONSE: ('"x-caf\ufffd"', '"x-caf\u00e9"'), "responsePayload": ('{"ok":true}', "")},
        "mitmproxy answers 502 in place of this answer, so its body never comes; workerd reads the name as ASCII",
    ),
    Exemption(
        ("header-name-space-before-colon-response",),
        {RESPONSE: ('"x-space"', '"x-space "'), "responsePayload": ('{"ok":true}', "")},
        "mitmproxy answers 502 in place of this answer, so its body never comes; workerd drops the blank",
    ),
    Exemption(("framing-trailers-request",), ONLY_WORKER_SHIPS, "mitmproxy cannot pass trailers on over HTTP/1"),
    Exemption(
        ("framing-trailers-response",),
        {"responsePayload": ('{"ok":true}', "")},
        "mitmproxy cannot pass trailers on over HTTP/1: it breaks the answer off, and so the addon sees it",
    ),
)

PARSERS_TIDY = (
    Exemption(
        ("header-value-outer-spaces-request",),
        {REQUEST: ('"x-value":"a \\t "', '"x-value":"a"')},
        "workerd keeps blanks behind a value, which are no part of it (RFC 9110, section 5.5)",
    ),
    Exemption(
        ("header-value-outer-spaces-response",),
        {RESPONSE: ('"x-value":"a \\t "', '"x-value":"a"')},
        "workerd keeps blanks behind a value",
    ),
    Exemption(
        ("encoding-03-gzip",),
        {
            RESPONSE: ('"content-encoding":"gzip "', '"content-encoding":"gzip"'),
            "responsePayload": (GZIP_TEXT, '{"items":[1,2,3],"name":"caf\u00e9"}'),
        },
        "workerd keeps blanks behind a value, and so does not know this coding",
    ),
    Exemption(
        ("websocket-upgrade-space", "websocket-upgrade-space-refused"),
        {"outcome": (SKIPPED, SHIPPED)},
        "workerd keeps blanks behind a value, and so sees no WebSocket",
    ),
    Exemption(
        ("headers-folded",),
        {REQUEST: ('"x-fold":"a   b"', '"x-fold":"a\\r\\n b"')},
        "workerd unfolds a folded line; mitmproxy keeps it, as it passes it on",
    ),
    Exemption(
        ("headers-folded-response",),
        {RESPONSE: ('"x-fold":"a   b"', '"x-fold":"a\\r\\n b"')},
        "workerd unfolds a folded line; mitmproxy keeps it, as it passes it on",
    ),
    Exemption(
        ("encoding-13-none",),
        {RESPONSE: ('"content-length"', '"content-encoding":"","content-length"')},
        "workerd drops an empty content-encoding",
    ),
    Exemption(
        ("headers-expect",),
        {REQUEST: ('"expect":"100-continue",', "")},
        "mitmproxy answers 100 Continue itself and takes the header off",
    ),
    Exemption(
        ("upgrade-h2c-json",),
        {
            REQUEST: (
                '"connection":"Upgrade, close","host":"api.example.com","upgrade":"h2c"',
                '"host":"api.example.com"',
            )
        },
        "mitmproxy declines h2c by taking the headers off",
    ),
    Exemption(
        ("framing-chunk-extensions",),
        {"responsePayload": ("", '{"a":1}')},
        "workerd breaks off at a chunk extension (RFC 9112, section 7.1.1)",
    ),
)

WEBSOCKETS = (
    Exemption(
        ("websocket-accepted-reason",),
        {"status": ("Switching Protocols", "Fine")},
        "an accepted WebSocket's reason phrase is workerd's own",
    ),
    Exemption(
        ("websocket-accepted-no-reason",),
        {"status": ("Switching Protocols", "OK")},
        "an accepted WebSocket's reason phrase is workerd's own",
    ),
    Exemption(
        ("websocket-upgrade-mixed", "websocket-upgrade-mixed-refused"),
        {REQUEST: ('"upgrade":"websocket"', '"upgrade":"WebSocket"')},
        "workerd rewrites the handshake, in lower case",
    ),
    Exemption(
        ("websocket-upgrade-upper", "websocket-upgrade-upper-refused"),
        {REQUEST: ('"upgrade":"websocket"', '"upgrade":"WEBSOCKET"')},
        "workerd rewrites the handshake, in lower case",
    ),
    Exemption(("websocket-post",), {"method": ("GET", "POST")}, "workerd rewrites the handshake, as a GET"),
)

# A choice of this project, not of the platform.
BOUNDED = (
    Exemption(
        ("gzip-big-no-trailer", "gzip-big-bad-crc", "gzip-big-trailing-garbage"),
        {"responsePayload": ("", JSON_LIMIT)},
        "damage beyond the kept bytes is not noticed; the Worker decodes the whole body, however large",
    ),
)

# On these mitmproxy fails without a response, so the client need not wait long.
UNANSWERED = ("framing-trailers-request",)

EXEMPTIONS = WORKERD_REFUSES + MITMPROXY_REFUSES + PARSERS_TIDY + WEBSOCKETS + BOUNDED
BY_NAME = {name: exemption for exemption in EXEMPTIONS for name in exemption.names}


def normalised(fact: Fact) -> Fact:
    """Return the fact without headers that the platform adds, drops or rewrites."""
    result = dict(fact)
    for header in HEADERS:
        members = result.get(header.side)
        if isinstance(members, str):
            result[header.side] = _without(members, header)
    return result


def _without(members: str, header: Header) -> str:
    """Remove a member from a JSON object of strings, and leave the rest of the text unchanged."""
    member = f'"{re.escape(header.name)}":"{header.value}"'
    return re.sub(f"(?<=[{{,]){member},|,{member}(?=}})|(?<={{){member}(?=}})", "", members)


def differences(name: str, worker: Fact, ours: Fact) -> list[str]:
    """Return a line for each field with a difference that is not permitted, or with a permitted one that is gone."""
    left, right = normalised(worker), normalised(ours)
    exemption = BY_NAME.get(name)
    stale = list(_apply(exemption, left)) if exemption else []
    if left["outcome"] != right["outcome"] or worker["outcome"] != ours["outcome"]:
        return stale + _unequal(("outcome",), left, right)
    return stale + _unequal(tuple({**left, **right}), left, right)


def _apply(exemption: Exemption, left: Fact) -> Iterator[str]:
    """Turn the Worker's fields into those permitted for the addon; yield a line for each that is not as listed."""
    for field, (listed, ours) in exemption.changes.items():
        value = left.get(field)
        if field in (REQUEST, RESPONSE) and str(listed) in str(value):
            left[field] = str(value).replace(str(listed), str(ours))
        elif value == listed:
            left[field] = ours
        else:
            yield f"{field}: the Worker has {value!a}, but the exemption says {listed!a}"


def _unequal(fields: tuple[str, ...], left: Fact, right: Fact) -> list[str]:
    return [
        f"{field}: the Worker has {left.get(field)!a}, the addon {right.get(field)!a}"
        for field in fields
        if left.get(field) != right.get(field)
    ]
