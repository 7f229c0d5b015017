"""The kinds of HTTP/1 exchanges; each draws its details."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tests.differential.drawing import (
    ANSWER_LINES,
    GRPC_TYPES,
    HOSTILE_LINES,
    HOSTILE_PATHS,
    HOSTS,
    KIB,
    METHODS,
    ODD_METHODS,
    PATHS,
    REQUEST_LINES,
    SMALL_SIZES,
    STATUSES,
    TYPES,
    Maker,
    chunked,
    join,
)
from tests.differential.plan import ID_HEADER, Exchange, Half, Twist

HOST = HOSTS[0]
CHUNKED = b"Transfer-Encoding: chunked"


def request(
    maker: Maker,
    lines: Sequence[bytes] = (),
    body: bytes = b"",
    *,
    method: bytes = b"POST",
    path: bytes = b"/v1/users",
    version: bytes = b"HTTP/1.1",
    host: Sequence[bytes] = HOST,
    end: bytes = b"\r\n",
) -> Half:
    """Build a request, with its id at a random position among its lines."""
    every = [*host, *lines]
    name = maker.one((ID_HEADER, b"X-Exchange", b"X-EXCHANGE"))
    every.insert(maker.random.randint(0, len(every)), name + b": " + maker.id.encode())
    return Half(join(b"%b %b %b" % (method, path, version), every, end), body=body, pieces=maker.pieces())


def answer(
    maker: Maker,
    lines: Sequence[bytes] = (),
    body: bytes = b"",
    *,
    status: bytes = b"200 OK",
    version: bytes = b"HTTP/1.1",
    end: bytes = b"\r\n",
) -> Half:
    """Build a response."""
    return Half(join(version + b" " + status, lines, end), body=body, pieces=maker.pieces())


def exchange(
    maker: Maker,
    kind: str,
    asked: Half,
    given: Half,
    *,
    twist: Twist = Twist.NONE,
    interim: Half | None = None,
    closes: bool = False,
    last: bool = False,
) -> Exchange:
    """Build an exchange; its method is taken from the request."""
    method = asked.head.split(b" ", 1)[0].decode("latin-1")
    return Exchange(maker.id, kind, method, asked, given, twist, interim, closes, last)


def sized(body: bytes) -> bytes:
    """The header line that gives a body's length."""
    return b"Content-Length: %d" % len(body)


def typed(maker: Maker) -> list[bytes]:
    """A content type, or none."""
    kind = maker.one(TYPES)
    return [maker.one((b"Content-Type: ", b"content-type: ", b"CONTENT-TYPE:")) + kind] if kind else []


def plain_answer(maker: Maker) -> Half:
    """A short ordinary answer."""
    body = maker.json(maker.one(SMALL_SIZES))
    lines = [*maker.some(ANSWER_LINES, 4), *typed(maker), sized(body)]
    return answer(maker, lines, body, status=maker.one(STATUSES))


def plain_request(maker: Maker) -> Half:
    """A short ordinary request."""
    method = maker.one(METHODS)
    body = b"" if method == b"GET" else maker.json(maker.one(SMALL_SIZES))
    lines = [*maker.some(REQUEST_LINES, 5), *typed(maker), *([sized(body)] if method != b"GET" else [])]
    return request(maker, lines, body, method=method, path=maker.one(PATHS))


def ordinary(maker: Maker) -> Exchange:
    """An ordinary exchange."""
    return exchange(maker, "ordinary", plain_request(maker), plain_answer(maker))


def odd_method(maker: Maker) -> Exchange:
    """An unknown method, or a known one in the wrong case."""
    asked = request(maker, typed(maker), method=maker.one(ODD_METHODS))
    return exchange(maker, "odd method", asked, plain_answer(maker))


def hostile_path(maker: Maker) -> Exchange:
    """Unencoded bytes in the request target."""
    path = maker.one(HOSTILE_PATHS)
    if maker.chance(0.3) and path != b"*":
        path += b"&" + bytes(maker.random.choices(range(0x21, 0x100), k=40))
    return exchange(maker, "hostile path", request(maker, path=path, method=b"GET"), plain_answer(maker))


def many_fields(maker: Maker) -> Exchange:
    """Many fields: repeated, in odd cases, and with odd whitespace."""
    asked = request(maker, maker.some(REQUEST_LINES, 25) + maker.some(REQUEST_LINES, 25), method=b"GET")
    body = maker.json(KIB)
    given = answer(maker, [*maker.some(ANSWER_LINES, 17), *maker.some(ANSWER_LINES, 17), sized(body)], body)
    return exchange(maker, "many fields", asked, given)


def hostile_fields(maker: Maker) -> Exchange:
    """Bytes in fields that no parser should accept."""
    asked = request(maker, [*maker.some(HOSTILE_LINES, 8), *typed(maker)], method=b"GET")
    body = maker.json(KIB)
    given = answer(maker, [*maker.some(HOSTILE_LINES, 8), *typed(maker), sized(body)], body)
    return exchange(maker, "hostile fields", asked, given)


def bare_line_feeds(maker: Maker) -> Exchange:
    """Heads whose lines end without a carriage return."""
    body = maker.json(100)
    asked = request(maker, typed(maker), method=b"GET", end=b"\n")
    return exchange(maker, "bare line feeds", asked, answer(maker, [sized(body)], body, end=b"\n"))


def hosts(maker: Maker) -> Exchange:
    """Host fields of all kinds, and none."""
    asked = request(maker, typed(maker), method=b"GET", host=maker.one(HOSTS))
    return exchange(maker, "hosts", asked, plain_answer(maker))


def absolute(maker: Maker) -> Exchange:
    """A request target in absolute form, whose host may contradict the field."""
    path = maker.one(
        (b"http://api.example.test/x?y", b"http://Other.test:8080/", b"https://api.test", b"http://[::1]/")
    )
    asked = request(maker, typed(maker), method=b"GET", path=path, host=maker.one(HOSTS))
    return exchange(maker, "absolute form", asked, plain_answer(maker))


def sized_up(maker: Maker) -> Exchange:
    """A request body of known length."""
    body = maker.body(maker.size())
    return exchange(maker, "sized request", request(maker, [*typed(maker), sized(body)], body), plain_answer(maker))


def chunked_up(maker: Maker) -> Exchange:
    """A chunked request body."""
    asked = request(maker, [*typed(maker), chunk_line(maker)], chunked(maker, maker.body(maker.size())))
    return exchange(maker, "chunked request", asked, plain_answer(maker))


def sized_down(maker: Maker) -> Exchange:
    """A response body of known length."""
    body = maker.body(maker.size())
    given = answer(maker, [*typed(maker), sized(body)], body, status=maker.one(STATUSES))
    return exchange(maker, "sized answer", plain_request(maker), given)


def chunked_down(maker: Maker) -> Exchange:
    """A chunked response body."""
    given = answer(maker, [*typed(maker), chunk_line(maker)], chunked(maker, maker.body(maker.size())))
    return exchange(maker, "chunked answer", plain_request(maker), given)


def chunked_both(maker: Maker) -> Exchange:
    """Chunked bodies in both directions."""
    asked = request(maker, [*typed(maker), chunk_line(maker)], chunked(maker, maker.body(maker.size())))
    given = answer(maker, [*typed(maker), chunk_line(maker)], chunked(maker, maker.body(maker.size())))
    return exchange(maker, "chunked both ways", asked, given)


def chunk_line(maker: Maker) -> bytes:
    """The field that announces the chunked coding, in the forms that mitmproxy accepts."""
    return maker.one((CHUNKED, b"transfer-encoding: Chunked", b"TRANSFER-ENCODING:gzip, chunked"))


def head(maker: Maker) -> Exchange:
    """HEAD, whose response announces a body that does not follow."""
    announced = maker.one((b"Content-Length: 12345", b"Content-Length: 0", CHUNKED, b"X-No-Length: 1"))
    given = answer(maker, [*typed(maker), announced], status=maker.one(STATUSES))
    asked = request(maker, maker.some(REQUEST_LINES, 3), method=maker.one((b"HEAD", b"HEAD", b"hEAD")))
    return exchange(maker, "HEAD", asked, given)


def no_content(maker: Maker) -> Exchange:
    """Statuses that have no body, whatever their fields say."""
    status, lines = maker.one(
        (
            (b"204 No Content", []),
            (b"204 No Content", [b"Content-Length: 0"]),
            (b"204 No Content", [b"Content-Length: 10"]),
            (b"304 Not Modified", [b'ETag: "x"']),
            (b"304 Not Modified", [b"Content-Length: 4711"]),
        )
    )
    return exchange(maker, "no content", plain_request(maker), answer(maker, [*lines, *typed(maker)], status=status))


def chunked_not_modified(maker: Maker) -> Exchange:
    """A 304 that announces chunks: mitmproxy adds an end of chunks that no client expects."""
    given = answer(maker, [CHUNKED, *typed(maker)], status=b"304 Not Modified")
    return exchange(maker, "chunked 304", plain_request(maker), given, last=True)


def expect_continue(maker: Maker) -> Exchange:
    """A client that waits for a 100 before it sends its body, or does not wait."""
    body = maker.body(maker.one((1, KIB, 200 * KIB)))
    field = maker.one((b"Expect: 100-continue", b"expect: 100-Continue"))
    if maker.chance(0.5):
        asked = request(maker, [field, *typed(maker), sized(body)], body)
    else:
        asked = request(maker, [*typed(maker), field, CHUNKED], chunked(maker, body))
    twist = maker.one((Twist.CONTINUE, Twist.NONE))
    return exchange(maker, "expect continue", asked, plain_answer(maker), twist=twist)


def compressed(maker: Maker) -> Exchange:
    """Content codings in both directions, some with wrong labels or truncated data."""
    up, asked_body = maker.coded(maker.json(maker.one((100, 5 * KIB, 300 * KIB))))
    down, given_body = maker.coded(maker.json(maker.one((100, 5 * KIB, 300 * KIB))))
    asked = request(
        maker, [b"Content-Type: application/json", b"Content-Encoding: " + up, sized(asked_body)], asked_body
    )
    lines = [b"Content-Type: application/json", b"content-encoding: " + down]
    if maker.chance(0.5):
        given = answer(maker, [*lines, sized(given_body)], given_body)
    else:
        given = answer(maker, [*lines, CHUNKED], chunked(maker, given_body))
    return exchange(maker, "compressed", asked, given)


def event_stream(maker: Maker) -> Exchange:
    """Server-sent events that end by themselves."""
    events = b"".join(b'id: %d\ndata: {"n": %d}\n\n' % (n, n) for n in range(maker.random.randint(0, 300)))
    lines = [b"Content-Type: text/event-stream", b"Cache-Control: no-cache", CHUNKED]
    given = replace(answer(maker, lines, chunked(maker, events)), pieces=9)
    asked = request(maker, [b"Accept: text/event-stream"], method=b"GET")
    return exchange(maker, "event stream", asked, given)


def grpc(maker: Maker) -> Exchange:
    """The content types of gRPC over HTTP/1, as in gRPC-Web, and NDJSON."""
    kind = b"Content-Type: " + maker.one((*GRPC_TYPES, b"application/x-ndjson"))
    body = b"\x00" + (KIB).to_bytes(4, "big") + maker.random.randbytes(KIB)
    asked = request(maker, [kind, sized(body)], body)
    return exchange(maker, "gRPC over HTTP/1", asked, answer(maker, [kind, CHUNKED], chunked(maker, body * 3)))


def early(maker: Maker) -> Exchange:
    """A target that responds before it has read the body."""
    body = maker.body(maker.one((KIB, 64 * KIB, 200 * KIB)))
    if maker.chance(0.5):
        asked = request(maker, [*typed(maker), sized(body)], body)
    else:
        asked = request(maker, [*typed(maker), CHUNKED], chunked(maker, body))
    given = answer(maker, [*typed(maker), CHUNKED], chunked(maker, maker.json(KIB)))
    return exchange(maker, "early answer", asked, maker.one((plain_answer(maker), given)), twist=Twist.EARLY)


def idle_close(maker: Maker) -> Exchange:
    """A target that closes a connection although it promised to keep it."""
    return exchange(
        maker, "closed while idle", plain_request(maker), plain_answer(maker), twist=Twist.IDLE_CLOSE, closes=True
    )


def kept_alive_http10(maker: Maker) -> Exchange:
    """HTTP/1.0 with a request to keep the connection."""
    body = maker.json(KIB)
    asked = request(maker, [b"Connection: keep-alive"], method=b"GET", version=b"HTTP/1.0")
    return exchange(maker, "HTTP/1.0 kept alive", asked, answer(maker, [*typed(maker), sized(body)], body))


def closed_by_client(maker: Maker) -> Exchange:
    """A request that asks for the connection to be closed."""
    asked = request(maker, [maker.one((b"Connection: close", b"connection: x, close"))], method=b"GET")
    return exchange(maker, "closed by the client", asked, plain_answer(maker), last=True)


def closed_by_target(maker: Maker) -> Exchange:
    """A response that announces the end of the connection."""
    body = maker.body(maker.size())
    given = answer(maker, [*typed(maker), b"Connection: close", sized(body)], body)
    return exchange(maker, "closed by the target", plain_request(maker), given, closes=True, last=True)


def unknown_length(maker: Maker) -> Exchange:
    """A body that ends with the connection."""
    version = maker.one((b"HTTP/1.1", b"HTTP/1.0"))
    lines = [
        *typed(maker),
        *maker.some((b"Connection: close", b"Transfer-Encoding: identity")[: 1 + (version[-1:] == b"1")], 2),
    ]
    given = answer(maker, lines, maker.body(maker.size()), version=version)
    return exchange(maker, "unknown length", plain_request(maker), given, closes=True, last=True)


def http10(maker: Maker) -> Exchange:
    """An HTTP/1.0 request."""
    body = maker.json(KIB)
    asked = request(maker, [sized(body)], body, version=b"HTTP/1.0", host=maker.one((HOST, ())))
    given = maker.one((answer(maker, [sized(body)], body), answer(maker, [CHUNKED], chunked(maker, body))))
    return exchange(maker, "HTTP/1.0", asked, given, last=True)


def interim(maker: Maker) -> Exchange:
    """An interim response, which mitmproxy takes for the final one."""
    status = maker.one((b"103 Early Hints", b"100 Continue", b"102 Processing", b"199 "))
    first = answer(maker, [b"Link: </a.css>; rel=preload", *typed(maker)], status=status)
    given = answer(maker, [b"Content-Length: 2"], b"ok")
    asked = request(maker, method=b"GET")
    return exchange(maker, "interim", asked, given, twist=Twist.INTERIM, interim=first, last=True)


def upgrade(maker: Maker) -> Exchange:
    """A switch to another protocol, which must not begin with an empty line, because mitmproxy drops that."""
    asked = request(maker, [b"Connection: Upgrade", b"Upgrade: " + maker.one((b"custom", b"h2c"))], method=b"GET")
    given = answer(
        maker, [b"Connection: upgrade", b"Upgrade: custom", *typed(maker)], status=b"101 Switching Protocols"
    )
    up, down = b">" + maker.body(maker.size()), b"<" + maker.body(maker.size())
    asked, given = replace(asked, body=up), replace(given, body=down)
    return exchange(maker, "upgrade", asked, given, twist=Twist.UPGRADE, closes=True, last=True)


def client_leaves(maker: Maker) -> Exchange:
    """A client that leaves before the response, or in the middle of it."""
    kind = [b"Content-Type: " + maker.one((b"text/event-stream", b"application/json"))]
    forms = (
        Half(),
        answer(maker, [*kind, b"Content-Length: 100000"], maker.json(5 * KIB)),
        answer(maker, [*kind, CHUNKED], chunked(maker, maker.json(5 * KIB)).removesuffix(b"0\r\n\r\n")),
        answer(maker, kind, maker.json(5 * KIB)),
        Half(b"HTTP/1.1 200 O"),
    )
    return exchange(maker, "client leaves", plain_request(maker), maker.one(forms), twist=Twist.LEAVES, last=True)


def answer_with_trailers(maker: Maker) -> Exchange:
    """HTTP/1 trailers in a response, which make mitmproxy fail: nothing more arrives, and the client leaves."""
    body = chunked(maker, maker.json(KIB)).removesuffix(b"\r\n") + b"X-Sum: 1\r\n\r\n"
    given = answer(maker, [b"Content-Type: application/json", CHUNKED, b"Trailer: X-Sum"], body)
    return exchange(maker, "answer with trailers", plain_request(maker), given, twist=Twist.LEAVES, last=True)


def request_with_trailers(maker: Maker) -> Exchange:
    """HTTP/1 trailers in a request, which make mitmproxy fail before it has forwarded a buffered body."""
    body = chunked(maker, maker.json(KIB)).removesuffix(b"\r\n") + b"X-Sum: 1\r\n\r\n"
    asked = request(maker, [b"Content-Type: application/json", CHUNKED, b"Trailer: X-Sum"], body)
    return exchange(maker, "request with trailers", asked, Half(), twist=Twist.CUT_REQUEST, last=True)


def cut_request(maker: Maker) -> Exchange:
    """A client that leaves in the middle of its body."""
    body = maker.json(maker.one((100, 5 * KIB, 70 * KIB)))
    forms = (
        request(maker, [b"Content-Type: application/json", b"Content-Length: 100000"], body),
        request(maker, [b"Content-Type: application/json", b"Content-Length: 900000"], body),
        request(maker, [b"Content-Type: application/json", CHUNKED], chunked(maker, body).removesuffix(b"0\r\n\r\n")),
    )
    return exchange(maker, "cut request", maker.one(forms), Half(), twist=Twist.CUT_REQUEST, last=True)


def cut_answer(maker: Maker) -> Exchange:
    """A target that leaves in the middle of its body, or breaks its chunks."""
    body = maker.json(maker.one((100, 5 * KIB, 70 * KIB)))
    kind = b"Content-Type: " + maker.one((b"application/json", b"text/event-stream", b"text/html"))
    whole = chunked(maker, body)
    forms = (
        answer(maker, [kind, b"Content-Length: 100000"], body),
        answer(maker, [kind, b"Content-Length: 2000000"], body),
        answer(maker, [kind, CHUNKED], whole.removesuffix(b"0\r\n\r\n")),
        answer(maker, [kind, CHUNKED], whole[: len(whole) // 2]),
        answer(maker, [kind, CHUNKED], whole.removesuffix(b"0\r\n\r\n") + b"zz\r\n"),
    )
    cut = maker.one(forms)
    return exchange(maker, "cut answer", plain_request(maker), cut, twist=Twist.CUT_ANSWER, closes=True, last=True)


def no_answer(maker: Maker) -> Exchange:
    """A target that leaves before its head is complete."""
    given = maker.one((Half(), Half(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")))
    return exchange(maker, "no answer", plain_request(maker), given, closes=True, last=True)


def refused_request(maker: Maker) -> Exchange:
    """Requests that mitmproxy refuses."""
    lines = maker.one(
        (
            [b"Content-Length: 3", CHUNKED],
            [b"Content-Length: 3", b"Content-Length: 3"],
            [b"Content-Length: 3, 3"],
            [b"Content-Length: +3"],
            [b"Content-Length: x"],
            [b"Transfer-Encoding: foo"],
            [b"Transfer-Encoding: gzip"],
            [CHUNKED, CHUNKED],
            [b"X Space: 1"],
            [b"X-Space : 1"],
            [b"\xff: 1"],
            [b"no colon"],
            [b": no name"],
        )
    )
    return exchange(maker, "refused request", request(maker, lines), Half(), last=True)


def refused_line(maker: Maker) -> Exchange:
    """Request lines that mitmproxy refuses."""
    method, path, version = maker.one(
        (
            (b"GET", b"/two words", b"HTTP/1.1"),
            (b"GET", b"no-slash", b"HTTP/1.1"),
            (b"GET", b"/", b"HTTP/11"),
            (b"GET", b"/", b"SPDY/1.1"),
            (b"GET", b"", b""),
            (b"CONNECT", b"api.test:443", b"HTTP/1.1"),
            (b"GET", b"http://a b/", b"HTTP/1.1"),
            (b"GET", b"https://u@api.test", b"HTTP/1.1"),
            (b"GET", b"http://:x/", b"HTTP/1.1"),
        )
    )
    return exchange(
        maker, "refused request line", request(maker, method=method, path=path, version=version), Half(), last=True
    )


def refused_answer(maker: Maker) -> Exchange:
    """Answers that mitmproxy refuses."""
    version, status, lines = maker.one(
        (
            (b"HTTP/1.1", b"200 OK", [b"Content-Length: 3", CHUNKED]),
            (b"HTTP/1.1", b"200 OK", [b"Content-Length: 3", b"Content-Length: 4"]),
            (b"HTTP/1.1", b"200 OK", [b"Content-Length: -3"]),
            (b"HTTP/1.1", b"200 OK", [b"Transfer-Encoding: foo"]),
            (b"HTTP/1.0", b"200 OK", [CHUNKED]),
            (b"HTTP/1.1", b"204 No Content", [CHUNKED]),
            (b"HTTP/1.1", b"200 OK", [b"X-Space : 1", b"Content-Length: 0"]),
            (b"HTTP/1.1", b"200 OK", [b"\xff: 1", b"Content-Length: 0"]),
            (b"HTTP/1.1", b"200 OK", [b"no colon"]),
            (b"HTTP/1.1", b"abc OK", []),
            (b"HTTP/11", b"200 OK", []),
            (b"", b"garbage", []),
        )
    )
    given = answer(maker, lines, status=status, version=version)
    return exchange(maker, "refused answer", plain_request(maker), given, last=True)


# May occur anywhere on a connection, any number of times.
PLAIN = (
    ordinary,
    odd_method,
    hostile_path,
    many_fields,
    hostile_fields,
    bare_line_feeds,
    hosts,
    absolute,
    sized_up,
    chunked_up,
    sized_down,
    chunked_down,
    chunked_both,
    head,
    no_content,
    expect_continue,
    compressed,
    event_stream,
    grpc,
    early,
    kept_alive_http10,
)

# May occur in the middle of a connection, but not with TLS, whose closing takes time.
IDLE = (idle_close,)

# Can be pipelined: written at once without waiting for responses.
SMALL = (
    ordinary,
    odd_method,
    hostile_path,
    many_fields,
    hostile_fields,
    hosts,
    absolute,
    head,
    no_content,
    sized_down,
    chunked_down,
    grpc,
    event_stream,
)

# End their connection.
LAST = (
    ordinary,
    closed_by_client,
    closed_by_target,
    unknown_length,
    http10,
    interim,
    upgrade,
    client_leaves,
    cut_request,
    cut_answer,
    no_answer,
    chunked_not_modified,
    refused_request,
    refused_line,
    refused_answer,
)

# End their connection through a failure of mitmproxy, which with TLS would leave it open forever.
FAILING = (request_with_trailers, answer_with_trailers)
