"""The parity cases: exact request and response bytes for each behaviour of the Worker.

A case holds the client's request and the target's response; the Worker's result is in `goldens.json`, under the same
name. Compressed bodies are literals: compressors of different versions give different bytes.
"""

from __future__ import annotations

import re
import zlib
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass

from tests.parity.wire import (
    ACCEPT_PLACEHOLDER,
    HTML,
    JSON,
    WEBSOCKET_KEY,
    Framing,
    Header,
    Request,
    Response,
    post,
)

LIMIT = 65536
CT = b"content-type"
CE = b"content-encoding"


@dataclass(frozen=True)
class Case:
    """One exchange: the bytes that the client sends and the bytes that the target answers."""

    name: str
    request: bytes
    response: bytes


def case(name: str, request: Request | None = None, response: Response | None = None) -> Case:
    """Return a case, by default with a plain GET and a small JSON response."""
    return Case(name, (request or Request()).encode(name), (response or Response()).encode())


def slug(value: bytes | str) -> str:
    """Return wire data as a readable part of a name."""
    text = value if isinstance(value, str) else value.decode("latin-1")
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "none"


def all_cases() -> tuple[Case, ...]:
    """Return all cases, in the order in which they are sent.

    Raises:
        ValueError: If two cases have the same name.
    """
    cases = tuple(case for table in TABLES for case in table())
    names = [case.name for case in cases]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"repeated case names: {', '.join(repeated)}")
    return cases


NO_BODY = (204, 304)
STATUSES = (
    *(200, 201, 202, 203, 204, 205, 206, 207, 208, 226, 299),
    *(300, 301, 302, 303, 304, 305, 307, 308, 399),
    *(400, 401, 403, 404, 405, 409, 418, 422, 429, 451, 499, 500, 502, 503, 504, 511, 599),
)
REASONS = {200: b" OK", 201: b" Created", 204: b" No Content", 304: b" Not Modified", 404: b" Not Found"}


def _status(status: int, headers: tuple[Header, ...]) -> Response:
    location = ((b"location", b"/v1/elsewhere"),) if 300 <= status < 400 and status != 304 else ()
    none = status in NO_BODY
    framing = Framing.NONE if none else Framing.LENGTH
    body = b"" if none else b'{"ok":true}'
    return Response(status, REASONS.get(status, b" Reason"), (*headers, *location), body, framing)


def statuses() -> Iterator[Case]:
    """Each status with a response of a captured type, and with a captured request and a response of another type."""
    for status in STATUSES:
        yield case(f"status-{status}-json", None, _status(status, (JSON,)))
    for status in (200, 204, 302, 304, 400, 500):
        yield case(f"status-{status}-html", None, _status(status, (HTML,)))
        yield case(f"status-{status}-json-request", post(b'{"a":1}', JSON), _status(status, (HTML,)))
    for status in (204, 304):
        yield case(f"status-{status}-untyped", None, _status(status, ()))
    yield case(
        "status-304-with-length",
        None,
        Response(304, b" Not Modified", (JSON, (b"content-length", b"11")), b"", Framing.NONE),
    )
    yield case(
        "status-206-range", None, Response(206, b" Partial Content", (JSON, (b"content-range", b"bytes 0-10/99")))
    )
    yield case("status-205-empty", None, Response(205, b" Reset Content", (JSON,), b""))


TYPES = (
    b"application/json",
    b"APPLICATION/JSON",
    b"application/json; charset=utf-8",
    b"application/problem+json",
    b"application/vnd.api+json;version=1",
    b"application/x-ndjson",
    b"application/xml",
    b"text/xml; charset=iso-8859-1",
    b"image/svg+xml",
    b"application/xhtml+xml",
    b"application/x-www-form-urlencoded",
    b"Application/X-WWW-Form-URLEncoded",
    b'application/soap+xml; action="urn:x"',
    b"application/soap",
    b"application/grpc",
    b"application/grpc-web",
    b"application/grpc-web-text",
    b"application/openxmlformats",
    b"text/html",
    b"text/plain",
    b"text/plain; profile=json",
    b"text/event-stream",
    b"multipart/form-data; boundary=x",
    b"application/octet-stream",
    b"application/javascript",
    b"image/png",
    b"application/jso",
    b"jsonp",
    b"json",
    b";json",
    b"nonsense",
    b"",
    b"caf\xc3\xa9/json",
    b"caf\xe9/json",
)


def content_types() -> Iterator[Case]:
    """Each content type in the response only, and in the request only."""
    for index, value in enumerate(TYPES):
        name = f"type-{index:02}-{slug(value)}"
        yield case(f"{name}-response", None, Response(headers=((CT, value),)))
        yield case(f"{name}-request", post(b"a=1", (CT, value)), Response(headers=(HTML,)))


def content_type_headers() -> Iterator[Case]:
    """Content types in both, in neither, and repeated."""
    yield case("type-both", post(b'{"a":1}', JSON))
    yield case("type-neither", post(b"x"), Response(headers=()))
    yield case("type-neither-target", post(b"x", HTML), Response(headers=(HTML,)))
    yield case("type-empty-both", post(b"x", (CT, b"")), Response(headers=((CT, b""),)))
    yield case("type-repeated-json-first", None, Response(headers=(JSON, HTML)))
    yield case("type-repeated-json-last", None, Response(headers=(HTML, JSON)))
    yield case("type-repeated-split-word", None, Response(headers=((CT, b"application/js"), (CT, b"on"))))
    yield case("type-repeated-request", post(b"{}", HTML, JSON), Response(headers=(HTML,)))
    yield case("type-odd-case-name", None, Response(headers=((b"CONTENT-TYPE", b"application/json"),)))
    yield case("type-get-request", Request(headers=(JSON,)), Response(headers=(HTML,)))
    yield case("type-kelvin-sign", None, Response(headers=((CT, "application/x-form-\u212aey".encode()),)))
    yield case("type-dotted-capital-i", None, Response(headers=((CT, "\u0130/xml".encode()),)))


PATHS: dict[str, bytes] = {
    "root": b"/",
    "dot": b"/a/./b",
    "dot-end": b"/a/.",
    "dotdot": b"/a/b/../c",
    "dotdot-end": b"/a/b/..",
    "dotdot-above-root": b"/../../a",
    "dot-encoded": b"/a/%2e/b",
    "dotdot-encoded": b"/a/b/%2e%2e/c",
    "dotdot-encoded-upper": b"/a/b/%2E%2E/c",
    "dotdot-half-encoded": b"/a/b/.%2e/c",
    "three-dots": b"/a/.../b",
    "encoded-slash": b"/a%2Fb",
    "encoded-slash-lower": b"/a%2fb",
    "encoded-backslash": b"/a%5Cb",
    "encoded-percent": b"/a%25b",
    "encoded-letter": b"/%61%62",
    "bad-percent": b"/a%zz%b",
    "percent-end": b"/a%",
    "braces": b"/v1/{id}/x",
    "brackets": b"/v1/[0]",
    "semicolon": b"/a;y=1/b;z",
    "double-slash": b"/a//b",
    "double-slash-start": b"//a/b",
    "double-slash-only": b"//",
    "double-slash-host": b"//evil.example/x",
    "triple-slash": b"///a",
    "trailing-slash": b"/a/",
    "pipe": b"/a|b",
    "quote": b'/a"b',
    "apostrophe": b"/a'b",
    "angle": b"/a<b>c",
    "backslash": b"/a\\b",
    "backslash-dots": b"/a\\..\\b",
    "caret": b"/a^b",
    "backtick": b"/a`b",
    "dollar-etc": b"/a$&+,=@:!*()~-_.b",
    "utf8": "/caf\u00e9/\u65e5\u672c".encode(),
    "utf8-astral": "/\U0001f600".encode(),
    "latin1": b"/caf\xe9",
    "invalid-utf8": b"/a\xff\xfe",
    "invalid-utf8-cut": b"/a\xe2\x82",
    "invalid-utf8-surrogate": b"/a\xed\xa0\x80",
    "invalid-utf8-overlong": b"/a\xc0\xaf",
    "encoded-utf8": b"/caf%C3%A9",
    "encoded-invalid": b"/%ff%FE",
    "query": b"/a?b=1&c=2",
    "query-empty": b"/a?",
    "query-question": b"/a?b?c",
    "query-slash": b"/a?b=/../c",
    "query-non-ascii": b"/a?b=\xff",
    "fragment": b"/a#b",
    "fragment-query": b"/a?b#c/d",
    "colon": b"/a:b",
    "colon-first": b"/:8080/a",
    "at": b"/@a",
    "drive": b"/C:/x",
    "drive-pipe": b"/C|/x/../..",
    "space": b"/a b",
    "spaces": b"/a  b c",
    "tab": b"/a\tb",
    "control": b"/a\x01b",
    "delete": b"/a\x7fb",
    "null-encoded": b"/a%00b",
    "absolute": b"http://api.example.com/abs/path",
    "absolute-other-host": b"http://other.example.com/abs/../path?x",
    "absolute-port": b"http://api.example.com:8080/p",
    "absolute-no-path": b"http://api.example.com",
    "absolute-https": b"https://api.example.com/s",
    "relative": b"a/b",
    "long": b"/" + b"a" * 4000,
    "long-segments": b"/a" * 2000,
    "deep-dots": b"/a" * 50 + b"/.." * 49,
}
HOSTS: dict[str, bytes] = {
    "port": b"api.example.com:8080",
    "ip": b"127.0.0.1",
    "ipv6": b"[::1]:80",
    "upper": b"API.Example.COM",
    "single-label": b"api",
    "underscore": b"my_api.example.com",
    "trailing-dot": b"api.example.com.",
    "punycode": b"xn--bcher-kva.example",
}


def paths() -> Iterator[Case]:
    """Each request target, and each form of the Host header."""
    for name, target in PATHS.items():
        yield case(f"path-{name}", Request(target=target))
    yield case("path-options-star", Request(b"OPTIONS", b"*"))
    for name, host in HOSTS.items():
        yield case(f"host-{name}", Request(host=host))


METHODS = (
    b"POST",
    b"PUT",
    b"PATCH",
    b"DELETE",
    b"HEAD",
    b"OPTIONS",
    b"TRACE",
    b"PROPFIND",
    b"PURGE",
    b"QUERY",
    b"FOO",
    b"get",
)


def methods() -> Iterator[Case]:
    """Each method, without and with a body."""
    for method in METHODS:
        answer = Response(framing=Framing.NONE, body=b"", headers=(JSON, (b"content-length", b"11")))
        yield case(
            f"method-{'lower-' if method.islower() else ''}{slug(method)}",
            Request(method),
            answer if method == b"HEAD" else None,
        )
    for method in (b"GET", b"DELETE", b"OPTIONS", b"PATCH", b"PROPFIND"):
        yield case(
            f"method-{slug(method)}-body", Request(method, headers=(JSON,), body=b'{"q":1}', framing=Framing.LENGTH)
        )
    for method in (b"POST", b"PUT"):
        yield case(f"method-{slug(method)}-zero-length", Request(method, headers=(JSON,), framing=Framing.LENGTH))
    head = Response(framing=Framing.NONE, body=b"", headers=(JSON,))
    yield case("method-head-no-length", Request(b"HEAD"), head)
    yield case("method-head-html", Request(b"HEAD"), Response(framing=Framing.NONE, body=b"", headers=(HTML,)))
    yield case(
        "method-head-gzip", Request(b"HEAD"), Response(framing=Framing.NONE, body=b"", headers=(JSON, (CE, b"gzip")))
    )
    yield case("method-head-404", Request(b"HEAD"), Response(404, b" Not Found", framing=Framing.NONE, body=b""))


VALUES: dict[str, bytes] = {
    "utf8": "caf\u00e9".encode(),
    "utf8-astral": "\U0001f600".encode(),
    "utf8-bom": b"\xef\xbb\xbfx",
    "utf8-line-separator": "a\u2028b".encode(),
    "latin1": b"caf\xe9",
    "invalid": b"\xff\xfe",
    "invalid-cut": b"a\xe2\x82",
    "invalid-surrogate": b"\xed\xa0\x80",
    "invalid-overlong": b"\xc0\xaf",
    "c1-control": b"a\xc2\x85b",
    "quote": b'say "hi"',
    "backslash": b"a\\b\\u0041\\n",
    "slash": b"a/b</script>",
    "tab": b"a\tb",
    "control": b"a\x01b",
    "escape": b"a\x1bb",
    "delete": b"a\x7fb",
    "null": b"a\x00b",
    "empty": b"",
    "inner-spaces": b"a  b",
    "outer-spaces": b"  a \t ",
    "comma": b"a, b,c",
    "long": b"v" * 4000,
    "percent": b"%41%ff",
}
NAMES: dict[str, bytes] = {
    "integer": b"7",
    "integer-zero": b"0",
    "integer-leading-zero": b"007",
    "integer-large": b"4294967294",
    "integer-too-large": b"4294967295",
    "proto": b"__proto__",
    "constructor": b"constructor",
    "tostring": b"toString",
    "symbols": b"x!#$%&'*+-.^_`|~",
    "upper": b"X-UPPER-Case",
    "underscore": b"x_under_score",
    "single": b"q",
    "length": b"length",
    "non-ascii": b"x-caf\xc3\xa9",
    "space-before-colon": b"x-space ",
    "inner-space": b"x inner",
}


def headers() -> Iterator[Case]:
    """Odd values and odd names, in the request and in the response."""
    for name, value in VALUES.items():
        yield case(f"header-value-{name}-request", Request(headers=((b"x-value", value),)))
        yield case(f"header-value-{name}-response", None, Response(headers=(JSON, (b"x-value", value))))
    for name, key in NAMES.items():
        yield case(f"header-name-{name}-request", Request(headers=((b"x-a", b"1"), (key, b"v"))))
        yield case(f"header-name-{name}-response", None, Response(headers=(JSON, (b"x-a", b"1"), (key, b"v"))))


def header_lists() -> Iterator[Case]:
    """Order, repetition, cookies, and headers that proxies handle themselves."""
    repeated = ((b"x-r", b"1"), (b"X-R", b"2"), (b"x-other", b"o"), (b"x-r", b"3"))
    integers = ((b"10", b"ten"), (b"b", b"b"), (b"9", b"nine"), (b"a", b"a"), (b"1", b"one"))
    mixed = tuple(
        (name, b"v") for name in b"10 9 007 00 0 1 4294967295 4294967294 99999999999 1a 1.5 -1 !x #2 +3".split()
    )
    sorts = ((b"x_b", b"1"), (b"x-c", b"2"), (b"x.d", b"3"), (b"x", b"4"), (b"xa", b"5"), (b"x~", b"6"), (b"X-A", b"7"))
    cookies = ((b"set-cookie", b"a=1; Path=/"), (b"set-cookie", b"b=2"), (b"Set-Cookie", b"c=3"))
    for name, pairs in {"repeated": repeated, "integers": integers, "integers-mixed": mixed, "sorted": sorts}.items():
        yield case(f"headers-{name}-request", Request(headers=pairs))
        yield case(f"headers-{name}-response", None, Response(headers=(JSON, *pairs)))
    yield case("headers-repeated-empty", None, Response(headers=(JSON, (b"x-r", b""), (b"x-r", b"a"), (b"x-r", b""))))
    yield case("headers-repeated-latin1", None, Response(headers=(JSON, (b"x-r", b"\xe9"), (b"x-r", b"\xc3\xa9"))))
    yield case("headers-repeated-split-utf8", None, Response(headers=(JSON, (b"x-r", b"\xc3"), (b"x-r", b"\xa9"))))
    yield case("cookie-one-set", None, Response(headers=(JSON, cookies[0])))
    yield case("cookie-three-set", None, Response(headers=(JSON, *cookies)))
    yield case(
        "cookie-set-non-ascii",
        None,
        Response(headers=(JSON, (b"set-cookie", b"a=\xff"), (b"set-cookie", b"b=\xc3\xa9"))),
    )
    yield case("cookie-set-order", None, Response(headers=((b"x-z", b"z"), *cookies, JSON, (b"a-a", b"a"))))
    yield case("cookie-set-in-request", Request(headers=cookies))
    yield case("cookie-request", Request(headers=((b"cookie", b"a=1; b=2"),)))
    yield case("cookie-request-repeated", Request(headers=((b"cookie", b"a=1"), (b"cookie", b"b=2"))))
    yield case("headers-authorization", Request(headers=((b"authorization", b"Bearer abc.def"),)))
    yield case("headers-accept-encoding", Request(headers=((b"accept-encoding", b"gzip, deflate"),)))
    yield case(
        "headers-forwarded", Request(headers=((b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-proto", b"https")))
    )
    yield case(
        "headers-hop-by-hop", Request(headers=((b"te", b"trailers"), (b"keep-alive", b"timeout=5"), (b"x-a", b"1")))
    )
    yield case(
        "headers-hop-by-hop-response",
        None,
        Response(headers=(JSON, (b"keep-alive", b"timeout=5"), (b"trailer", b"x-t"))),
    )
    yield case("headers-connection-named", Request(headers=((b"x-hop", b"1"),), connection=b"close, x-hop"))
    yield case("headers-keep-alive", Request(headers=((b"x-a", b"1"),)), Response(connection=b"keep-alive"))
    yield case(
        "headers-proxy", Request(headers=((b"proxy-authorization", b"Basic eDp5"), (b"proxy-connection", b"close")))
    )
    yield case("headers-akto-ignore", Request(headers=((b"x-akto-ignore", b"1"),)))
    yield case(
        "headers-expect",
        Request(b"POST", headers=(JSON, (b"expect", b"100-continue")), body=b"{}", framing=Framing.LENGTH),
    )
    yield case(
        "headers-many", Request(headers=tuple((b"x-%03d" % (index * 7 % 90), b"v%d" % index) for index in range(90)))
    )
    yield case("headers-folded", Request(headers=((b"x-fold", b"a\r\n b"),)))
    yield case("headers-folded-response", None, Response(headers=(JSON, (b"x-fold", b"a\r\n b"))))


def addresses() -> Iterator[Case]:
    """The client's address, as given by the client, in each form."""
    yield case("ip-absent", Request())
    for index, value in enumerate((b"203.0.113.9", b"2001:db8::1", b"", b"nonsense", b"1.2.3.4, 5.6.7.8", b"\xe9")):
        yield case(f"ip-given-{index}-{slug(value)}", Request(headers=((b"cf-connecting-ip", value),)))
    yield case("ip-repeated", Request(headers=((b"CF-Connecting-IP", b"1.1.1.1"), (b"cf-connecting-ip", b"2.2.2.2"))))
    yield case("ip-forwarded-only", Request(headers=((b"x-real-ip", b"198.51.100.7"),)))


LETTERS = {1: b"z", 2: "\u00e9".encode(), 3: "\u20ac".encode(), 4: "\U0001f600".encode()}


def truncation() -> Iterator[Case]:
    """Bodies around the limit, and a character across it, in both directions."""
    bodies = {f"{LIMIT + extra}": b"x" * (LIMIT + extra) for extra in (-1, 0, 1)}
    bodies["131072"] = b"y" * 2 * LIMIT
    bodies["300000"] = bytes(range(32, 127)) * 3158
    for width, letter in list(LETTERS.items())[1:]:
        for kept in range(1, width + 1):
            bodies[f"inside-{width}-byte-after-{kept}"] = b"x" * (LIMIT - kept) + letter + b"tail"
    bodies["invalid-at-limit"] = b"x" * (LIMIT - 2) + b"\xe2\x28\xa1"
    bodies["cut-surrogate"] = b"x" * (LIMIT - 2) + b"\xed\xa0\x80"
    for name, body in bodies.items():
        yield case(f"truncate-{name}-response", None, Response(body=body))
        yield case(f"truncate-{name}-request", post(body, JSON), Response(headers=(HTML,)))
    yield case("truncate-chunked-response", None, Response(body=b"c" * (LIMIT + 9), framing=Framing.CHUNKED))
    yield case("truncate-chunked-request", post(b"c" * (LIMIT + 9), JSON, framing=Framing.CHUNKED))
    yield case("truncate-close-response", None, Response(body=b"c" * (LIMIT + 9), framing=Framing.CLOSE))
    yield case("truncate-bom-first", None, Response(body=b"\xef\xbb\xbf" + b"b" * LIMIT))
    yield case("truncate-both", post(b"r" * (LIMIT + 1), JSON), Response(body=b"s" * (LIMIT + 1)))


TEXTS: dict[str, bytes] = {
    "empty": b"",
    "newlines": b"a\r\nb\nc\rd",
    "json-escapes": b'{"a":"\\u0041\\n\\"","b":"/"}',
    "controls": bytes(range(1, 32)),
    "null": b"a\x00b",
    "delete": b"a\x7fb",
    "c1": "\u0080\u0085\u009f".encode(),
    "line-separators": "\u2028\u2029".encode(),
    "noncharacters": "\ufffe\uffff\ufdd0".encode(),
    "replacement": "\ufffd".encode(),
    "astral": "\U0001f600\U0010ffff".encode(),
    "all-two-byte": "".join(map(chr, range(0x80, 0x100))).encode(),
    "bom": b"\xef\xbb\xbfx",
    "bom-only": b"\xef\xbb\xbf",
    "bom-double": b"\xef\xbb\xbf\xef\xbb\xbfx",
    "bom-later": b"x\xef\xbb\xbfy",
    "bom-cut-one": b"\xef",
    "bom-cut-two": b"\xef\xbb",
    "bom-broken": b"\xef\xbbx",
    "bom-utf16-le": b"\xff\xfea\x00",
    "bom-utf16-be": b"\xfe\xff\x00a",
    "bom-utf32-le": b"\xff\xfe\x00\x00a\x00\x00\x00",
    "utf16-unmarked": b"a\x00b\x00",
    "invalid-ff": b"a\xffb",
    "invalid-all-high": bytes(range(128, 256)),
    "invalid-continuation": b"a\x80b",
    "invalid-continuations": b"\x80\x81\xbf",
    "invalid-overlong-two": b"\xc0\x80\xc1\xbf",
    "invalid-overlong-three": b"\xe0\x80\x80\xe0\x9f\xbf",
    "invalid-overlong-four": b"\xf0\x80\x80\x80\xf0\x8f\xbf\xbf",
    "invalid-surrogate": b"a\xed\xa0\x80b",
    "invalid-surrogate-pair": b"\xed\xa0\xbd\xed\xb8\x80",
    "invalid-above-max": b"\xf4\x90\x80\x80\xf5\x80\x80\x80",
    "invalid-five-byte": b"\xf8\x88\x80\x80\x80\xfc\x84\x80\x80\x80\x80",
    "invalid-cut-two": b"a\xc3",
    "invalid-cut-three": b"a\xe2\x82",
    "invalid-cut-four": b"a\xf0\x9f\x98",
    "invalid-cut-then-text": b"\xe2\x82x\xf0\x9fy\xc3z",
    "invalid-cut-then-lead": b"\xe2\xc3\xa9\xf0\x9f\xe2\x82\xac",
    "latin1": b"caf\xe9",
    "grpc-frame": b"\x00\x00\x00\x00\x05\x0a\x03abc",
}
CHARSETS = (b"iso-8859-1", b"utf-16", b"windows-1252", b"shift_jis", b"nonsense", b'"utf-8"')


def texts() -> Iterator[Case]:
    """Bytes that are not plain text, in both directions, and charset parameters, which are ignored."""
    for name, body in TEXTS.items():
        yield case(f"text-{name}-response", None, Response(body=body))
        yield case(f"text-{name}-request", post(body, JSON), Response(headers=(HTML,)))
    for charset in CHARSETS:
        kind = (CT, b"application/json; charset=" + charset)
        yield case(f"charset-{slug(charset)}-response", None, Response(headers=(kind,), body=b'"caf\xe9\x80"'))
    yield case("charset-latin1-request", post(b'"caf\xe9"', (CT, b"application/json;charset=latin1")))


SMALL = '{"items":[1,2,3],"name":"caf\u00e9"}'.encode()
GZIP = b64decode("H4sIAAAAAAAC/6tWyixJzS1Wsoo21DHSMY7VUcpLzE1VslJKTkw7vFKpFgDpEXqeIAAAAA==")
ZLIB = b64decode("eNqrVsosSc0tVrKKNtQx0jGO1VHKS8xNVbJSSk5MO7xSqRYAo0oKZA==")
RAW = b64decode("q1bKLEnNLVayijbUMdIxjtVRykvMTVWyUkpOTDu8UqkWAA==")
BROTLI = b64decode("iw+AeyJpdGVtcyI6WzEsMiwzXSwibmFtZSI6ImNhZsOpIn0D")
ZSTD = b64decode("KLUv/SAgAQEAeyJpdGVtcyI6WzEsMiwzXSwibmFtZSI6ImNhZsOpIn0=")
GZIP_THEN_BROTLI = b64decode("ixmAH4sIAAAAAAAC/6tWyixJzS1Wsoo21DHSMY7VUcpLzE1VslJKTkw7vFKpFgDpEXqeIAAAAAM=")
# 131,081 bytes of JSON: {"n":"0123456789abcdef0123...
BROTLI_BIG = b64decode("WwcAgl+sdkS+QHd/ZfZjIE0lyYUxQKreBzxcNBCLmkeW2sdc+8AH")
BIG = b'{"n":"' + b"0123456789abcdef" * 8192 + b'"}'


def stored_gzip(data: bytes) -> bytes:
    """Return a gzip member of stored blocks, which is the same with every version of zlib."""
    blocks = [data[start : start + 65535] for start in range(0, len(data), 65535)] or [b""]
    parts = [b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"]
    for index, block in enumerate(blocks):
        size = len(block)
        parts += [b"\x01" if index == len(blocks) - 1 else b"\x00"]
        parts += [size.to_bytes(2, "little"), (size ^ 0xFFFF).to_bytes(2, "little"), block]
    trailer = zlib.crc32(data).to_bytes(4, "little") + (len(data) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"".join(parts) + trailer


def _gzip_bodies() -> dict[str, bytes]:
    big = stored_gzip(BIG)
    flags = GZIP[:3] + b"\x08" + GZIP[4:10] + b"name.json\x00" + GZIP[10:]
    return {
        "fine": GZIP,
        "stored": stored_gzip(SMALL),
        "file-name": flags,
        "empty-body": b"",
        "empty-member": stored_gzip(b""),
        "plain": SMALL,
        "zlib": ZLIB,
        "raw-deflate": RAW,
        "no-trailer": GZIP[:-8],
        "half-trailer": GZIP[:-4],
        "last-byte-missing": GZIP[:-1],
        "truncated": GZIP[:30],
        "header-only": GZIP[:10],
        "header-cut": GZIP[:5],
        "magic-only": GZIP[:2],
        "bad-crc": GZIP[:-8] + b"\x00\x00\x00\x00" + GZIP[-4:],
        "bad-length": GZIP[:-4] + b"\x09\x00\x00\x00",
        "bad-block": GZIP[:10] + b"\xff" + GZIP[11:],
        "bad-method": GZIP[:2] + b"\x07" + GZIP[3:],
        "trailing-garbage": GZIP + b"garbage",
        "trailing-zeros": GZIP + b"\x00" * 16,
        "two-members": GZIP + stored_gzip(b"second"),
        "two-members-second-cut": GZIP + GZIP[:30],
        "big": big,
        "big-truncated-before-limit": big[:50_000],
        "big-truncated-after-limit": big[:100_000],
        "big-no-trailer": big[:-8],
        "big-bad-crc": big[:-8] + b"\x00\x00\x00\x00" + big[-4:],
        "big-trailing-garbage": big + b"garbage",
        "exactly-limit": stored_gzip(b"g" * LIMIT),
        "one-over-limit": stored_gzip(b"g" * (LIMIT + 1)),
        "cut-character": stored_gzip(b"g" * (LIMIT - 1) + "\u20ac".encode()),
        "bom": stored_gzip(b"\xef\xbb\xbf{}"),
        "invalid-utf8": stored_gzip(b"\xff{}"),
        "twice": stored_gzip(GZIP),
    }


def _brotli_bodies() -> dict[str, bytes]:
    return {
        "fine": BROTLI,
        "empty-body": b"",
        "plain": SMALL,
        "truncated": BROTLI[:20],
        "last-byte-missing": BROTLI[:-1],
        "first-byte": BROTLI[:1],
        "trailing-garbage": BROTLI + b"garbage",
        "two-streams": BROTLI + BROTLI,
        "big": BROTLI_BIG,
        "big-last-byte-missing": BROTLI_BIG[:-1],
        "big-trailing-garbage": BROTLI_BIG + b"garbage",
        "empty-stream": b"\x06",
    }


def _encoded(label: bytes, body: bytes, framing: Framing = Framing.LENGTH) -> Response:
    return Response(headers=(JSON, (CE, label)), body=body, framing=framing)


LABELS: dict[bytes, bytes] = {
    b"GZIP": GZIP,
    b"Gzip": GZIP,
    b"x-gzip": GZIP,
    b"gzip ": GZIP,
    b"gzip;q=1": GZIP,
    b"BR": BROTLI,
    b"Br": BROTLI,
    b"brotli": BROTLI,
    b"deflate": ZLIB,
    b"compress": GZIP,
    b"zstd": ZSTD,
    b"identity": SMALL,
    b"Identity": SMALL,
    b"": SMALL,
    b"utf-8": SMALL,
    b"aws-chunked": SMALL,
    b"gzip, br": GZIP_THEN_BROTLI,
    b"gzip,br": GZIP_THEN_BROTLI,
    b"br, gzip": stored_gzip(BROTLI),
    b"gzip, gzip": stored_gzip(GZIP),
    b"gzip, identity": GZIP,
    b"identity, gzip": GZIP,
    b"gzip,": GZIP,
    b"g\xc3\xa9zip": GZIP,
}


def encodings() -> Iterator[Case]:
    """Content encodings of the response: right, wrong, broken, oddly labelled; and of the request."""
    for name, body in _gzip_bodies().items():
        yield case(f"gzip-{name}", None, _encoded(b"gzip", body))
    for name, body in _brotli_bodies().items():
        yield case(f"br-{name}", None, _encoded(b"br", body))
    for index, (label, body) in enumerate(LABELS.items()):
        yield case(f"encoding-{index:02}-{slug(label)}", None, _encoded(label, body))
    yield case("encoding-deflate-raw", None, _encoded(b"deflate", RAW))
    yield case(
        "encoding-two-headers", None, Response(headers=(JSON, (CE, b"gzip"), (CE, b"br")), body=GZIP_THEN_BROTLI)
    )
    yield case(
        "encoding-two-headers-same",
        None,
        Response(headers=(JSON, (CE, b"gzip"), (CE, b"gzip")), body=stored_gzip(GZIP)),
    )
    yield case("gzip-chunked", None, _encoded(b"gzip", GZIP, Framing.CHUNKED))
    yield case("gzip-close-delimited", None, _encoded(b"gzip", GZIP, Framing.CLOSE))
    yield case("gzip-broken-chunked", None, _encoded(b"gzip", GZIP[:30], Framing.CHUNKED))
    yield case("gzip-html", post(b"{}", JSON), Response(headers=(HTML, (CE, b"gzip")), body=GZIP))
    yield case("gzip-204", None, Response(204, b" No Content", (JSON, (CE, b"gzip")), b"", Framing.NONE))
    yield case("gzip-404", None, Response(404, b" Not Found", (JSON, (CE, b"gzip")), GZIP))
    for label, body in ((b"gzip", GZIP), (b"br", BROTLI), (b"deflate", ZLIB), (b"zstd", ZSTD), (b"gzip", b"plain")):
        name = "plain" if body == b"plain" else slug(label)
        yield case(f"request-encoding-{name}", post(body, JSON, (CE, label)), Response(headers=(HTML,)))


REASON_PHRASES: dict[str, bytes] = {
    "empty": b" ",
    "absent": b"",
    "other": b" Very Well",
    "lower": b" ok",
    "long": b" " + b"long " * 100 + b"end",
    "inner-spaces": b" a  b",
    "outer-spaces": b"   a  ",
    "only-spaces": b"    ",
    "tab": b" a\tb",
    "utf8": " caf\u00e9".encode(),
    "latin1": b" caf\xe9",
    "invalid": b" \xff\xfe",
    "invalid-cut": b" a\xe2\x82",
    "quote": b' say "hi" \\',
    "control": b" a\x01b",
    "delete": b" a\x7fb",
    "digits": b" 404",
}


def reasons() -> Iterator[Case]:
    """The reason phrase, and the other parts of the status line."""
    for name, reason in REASON_PHRASES.items():
        yield case(f"reason-{name}", None, Response(reason=reason))
    yield case("reason-empty-204", None, Response(204, b" ", body=b"", framing=Framing.NONE))
    yield case("reason-empty-302", None, Response(302, b" ", (JSON, (b"location", b"/"))))
    yield Case(
        "reason-http10",
        Request().encode("reason-http10"),
        b"HTTP/1.0 200 Fine\r\ncontent-type: application/json\r\n\r\n{}",
    )
    name = "status-100-then-200"
    yield Case(name, Request().encode(name), b"HTTP/1.1 100 Continue\r\n\r\n" + Response().encode())
    name = "status-103-then-200"
    yield Case(name, Request().encode(name), b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n" + Response().encode())


def framings() -> Iterator[Case]:
    """Every way to end a body, in both directions."""
    trailers = ((b"x-trailer", b"t"),)
    for framing in (Framing.CHUNKED, Framing.CLOSE, Framing.LENGTH):
        yield case(f"framing-{framing.value}-response", None, Response(framing=framing))
        yield case(f"framing-{framing.value}-empty-response", None, Response(body=b"", framing=framing))
    for framing in (Framing.CHUNKED, Framing.LENGTH):
        yield case(f"framing-{framing.value}-request", post(b'{"a":1}', JSON, framing=framing))
        yield case(f"framing-{framing.value}-empty-request", post(b"", JSON, framing=framing))
    announced = (JSON, (b"trailer", b"x-trailer"))
    yield case(
        "framing-trailers-response", None, Response(headers=announced, framing=Framing.CHUNKED, trailers=trailers)
    )
    request = Request(b"POST", headers=announced, body=b'{"a":1}', framing=Framing.CHUNKED, trailers=trailers)
    yield case("framing-trailers-request", request)
    yield case("framing-chunked-204-request", post(b'{"a":1}', JSON, framing=Framing.CHUNKED), _status(204, ()))
    name = "framing-chunk-extensions"
    head = (
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    yield Case(name, Request().encode(name), head + b'3;a=b\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n')
    name = "framing-one-byte-chunks"
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in "\u20ac{}".encode())
    yield Case(name, Request().encode(name), head + chunks + b"0\r\n\r\n")
    name = "framing-cut-short-response"
    yield Case(name, Request().encode(name), Response(body=b"x" * 100).encode()[:-50])
    name = "framing-cut-short-chunked"
    yield Case(name, Request().encode(name), head + b'40\r\n{"a":1}')
    name = "framing-http10-request"
    yield Case(name, Request().encode(name).replace(b"HTTP/1.1", b"HTTP/1.0"), Response().encode())
    name = "framing-http10-request-close-delimited"
    yield Case(name, Request().encode(name).replace(b"HTTP/1.1", b"HTTP/1.0"), Response(framing=Framing.CLOSE).encode())
    name = "framing-no-host"
    yield Case(name, Request().encode(name).replace(b"Host: api.example.com\r\n", b""), Response().encode())
    name = "framing-lf-only"
    yield Case(name, Request().encode(name), Response().encode().replace(b"\r\n", b"\n"))


def _websocket(
    *extra: Header, upgrade: bytes = b"websocket", method: bytes = b"GET", target: bytes = b"/ws"
) -> Request:
    handshake = ((b"upgrade", upgrade), (b"sec-websocket-key", WEBSOCKET_KEY), (b"sec-websocket-version", b"13"))
    return Request(method, target, headers=(*handshake, *extra), connection=b"Upgrade")


def _accept(*extra: Header, reason: bytes = b" Switching Protocols") -> Response:
    fixed = ((b"upgrade", b"websocket"), (b"sec-websocket-accept", ACCEPT_PLACEHOLDER))
    return Response(101, reason, (*fixed, *extra), b"", Framing.NONE, connection=b"Upgrade")


def websockets() -> Iterator[Case]:
    """WebSocket handshakes, accepted and refused; upgrades to other protocols."""
    yield case("websocket-accepted", _websocket(), _accept())
    yield case("websocket-accepted-json", _websocket(JSON), _accept(JSON))
    yield case("websocket-accepted-reason", _websocket(), _accept(reason=b" Fine"))
    yield case("websocket-accepted-no-reason", _websocket(), _accept(reason=b" "))
    yield case(
        "websocket-accepted-cookies",
        _websocket((b"cookie", b"a=1")),
        _accept((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")),
    )
    yield case("websocket-accepted-query", _websocket(target=b"/ws/../{x}?token=1"), _accept())
    yield case(
        "websocket-subprotocol",
        _websocket((b"sec-websocket-protocol", b"chat, v2")),
        _accept((b"sec-websocket-protocol", b"chat")),
    )
    yield case("websocket-ip", _websocket((b"cf-connecting-ip", b"203.0.113.9")), _accept())
    for value in (b"WebSocket", b"WEBSOCKET", b"websocket ", b"websocket, h2c"):
        name = {b"WebSocket": "mixed", b"WEBSOCKET": "upper", b"websocket ": "space"}.get(value, "list")
        yield case(f"websocket-upgrade-{name}", _websocket(upgrade=value), _accept())
        yield case(f"websocket-upgrade-{name}-refused", _websocket(upgrade=value), _status(404, (JSON,)))
    for status in (200, 204, 302, 400, 403, 404, 426, 500, 503):
        yield case(f"websocket-refused-{status}-json", _websocket(), _status(status, (JSON,)))
    for status in (200, 403):
        yield case(f"websocket-refused-{status}-html", _websocket(), _status(status, (HTML,)))
    yield case("websocket-refused-untyped", _websocket(), _status(404, ()))
    yield case("websocket-refused-chunked", _websocket(), Response(403, b" Forbidden", framing=Framing.CHUNKED))
    yield case("websocket-refused-gzip", _websocket(), Response(403, b" Forbidden", (JSON, (CE, b"gzip")), GZIP))
    yield case("websocket-refused-no-reason", _websocket(), Response(403, b" "))
    yield from _not_quite_websockets()


def _not_quite_websockets() -> Iterator[Case]:
    plain = ((b"upgrade", b"websocket"),)
    yield case("websocket-post", Request(b"POST", b"/ws", (*plain, JSON), b"{}", Framing.LENGTH, connection=b"Upgrade"))
    yield case("websocket-no-connection-200", Request(headers=plain))
    yield case("websocket-no-connection-404", Request(headers=plain), _status(404, (HTML,)))
    yield case("websocket-no-key-200", Request(headers=plain, connection=b"Upgrade"))
    named = ((b"UPGRADE", b"websocket"),)
    yield case("websocket-upper-name", Request(headers=named, connection=b"Upgrade"), _status(404, (JSON,)))
    yield case("websocket-repeated-upgrade", _websocket((b"upgrade", b"websocket")), _status(404, (JSON,)))
    for value in (b"h2c", b"TLS/1.0", b"websockets"):
        yield case(f"upgrade-{slug(value)}-json", Request(headers=((b"upgrade", value),), connection=b"Upgrade, close"))
        yield case(
            f"upgrade-{slug(value)}-404",
            Request(headers=((b"upgrade", value),), connection=b"Upgrade, close"),
            _status(404, (JSON,)),
        )


TABLES = (
    statuses,
    content_types,
    content_type_headers,
    paths,
    methods,
    headers,
    header_lists,
    addresses,
    truncation,
    texts,
    encodings,
    reasons,
    framings,
    websockets,
)
