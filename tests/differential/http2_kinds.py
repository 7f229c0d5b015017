"""The kinds of HTTP/2 exchanges; each draws its details."""

from __future__ import annotations

from collections.abc import Sequence

from tests.differential import http1_kinds
from tests.differential.drawing import GRPC_TYPES, HOSTILE_PATHS, KIB, METHODS, SMALL_SIZES, TYPES, Maker, chunked
from tests.differential.plan import ID_HEADER, Exchange, Field, Half, Twist

AUTHORITIES = (b"api.example.test", b"API.Example.TEST:8443", b"127.0.0.1", b"[::1]:8443")
PATHS = tuple(path for path in HOSTILE_PATHS if path != b"*")
REQUEST_FIELDS: tuple[Field, ...] = (
    (b"user-agent", b"differential/2.0"),
    (b"accept", b"*/*"),
    (b"cookie", b"a=1"),
    (b"cookie", b"b=2"),
    (b"cookie", b"c=\xff"),
    (b"x-rep", b"1"),
    (b"x-rep", b"2"),
    (b"x-empty", b""),
    (b"x-latin", b"caf\xe9"),
    (b"x-bytes", b"\xff\xfe\x80"),
    (b"x-control", b"\x01\x02\x08\x7f"),
    (b"x-long", b"v" * 9000),
    (b"x_under.score", b"1"),
    (b"te", b"trailers"),
    (b"priority", b"u=1, i"),
    (b"expect", b"nothing"),
    (b"cf-connecting-ip", b"203.0.113.7"),
)
ANSWER_FIELDS: tuple[Field, ...] = (
    (b"server", b"target/2.0"),
    (b"set-cookie", b"a=1"),
    (b"set-cookie", b"b=2"),
    (b"vary", b"accept"),
    (b"vary", b"origin"),
    (b"x-empty", b""),
    (b"x-bytes", b"\xff\xfe\x80"),
    (b"x-control", b"\x01\x02\x08\x7f"),
    (b"x-long", b"v" * 9000),
    (b"content-encoding", b"gzip"),
    (b"etag", b'"x"'),
    (b"alt-svc", b'h3=":443"; ma=86400'),
)
TRAILERS: tuple[Field, ...] = (
    (b"x-sum", b"1"),
    (b"x-sum", b"2"),
    (b"x-bytes", b"\xff"),
    (b"grpc-status", b"0"),
    (b"grpc-message", b"caf%C3%A9"),
    (b"x-empty", b""),
)
STATUSES = (b"200", b"200", b"200", b"201", b"206", b"302", b"400", b"404", b"500", b"599", b"799")


def request(
    maker: Maker,
    fields: Sequence[Field] = (),
    body: bytes = b"",
    *,
    method: bytes = b"POST",
    path: bytes = b"/v1/users",
    authority: bytes | None = b"api.example.test",
    trailers: Sequence[Field] = (),
) -> Half:
    """Build a request, with its id at a random position, and sometimes an empty frame at its end."""
    pseudo = [(b":method", method), (b":scheme", b"https"), (b":path", path)]
    if authority is not None:
        pseudo.insert(maker.random.randint(0, 3), (b":authority", authority))
    every = list(fields)
    every.insert(maker.random.randint(0, len(every)), (ID_HEADER, maker.id.encode()))
    lone_end = not trailers and maker.chance(0.3)
    return Half(fields=(*pseudo, *every), body=body, trailers=tuple(trailers), pieces=maker.pieces(), lone_end=lone_end)


def answer(
    maker: Maker,
    fields: Sequence[Field] = (),
    body: bytes = b"",
    *,
    status: bytes = b"200",
    trailers: Sequence[Field] = (),
    lone_end: bool | None = None,
) -> Half:
    """Build a response, sometimes with an empty frame at its end."""
    lone = not trailers and maker.chance(0.3) if lone_end is None else lone_end
    every = ((b":status", status), *fields)
    return Half(fields=every, body=body, trailers=tuple(trailers), pieces=maker.pieces(), lone_end=lone)


def exchange(
    maker: Maker, kind: str, asked: Half, given: Half, *, twist: Twist = Twist.NONE, interim: Half | None = None
) -> Exchange:
    """Build an exchange."""
    return Exchange(
        maker.id, "HTTP/2 " + kind, dict(asked.fields)[b":method"].decode("latin-1"), asked, given, twist, interim
    )


def typed(maker: Maker) -> list[Field]:
    """A content type, or none."""
    kind = maker.one(TYPES)
    return [(b"content-type", kind)] if kind else []


def sized(maker: Maker, body: bytes) -> list[Field]:
    """A content length, or none: HTTP/2 does not need it."""
    return [(b"content-length", b"%d" % len(body))] if maker.chance(0.5) else []


def plain_answer(maker: Maker) -> Half:
    """A short ordinary answer."""
    body = maker.json(maker.one(SMALL_SIZES))
    fields = [*maker.some(ANSWER_FIELDS, 5), *typed(maker), *sized(maker, body)]
    return answer(maker, fields, body, status=maker.one(STATUSES))


def plain_request(maker: Maker) -> Half:
    """A short ordinary request."""
    method = maker.one(METHODS)
    body = b"" if method == b"GET" else maker.json(maker.one(SMALL_SIZES))
    return request(maker, [*maker.some(REQUEST_FIELDS, 6), *typed(maker), *sized(maker, body)], body, method=method)


def ordinary(maker: Maker) -> Exchange:
    """An ordinary exchange."""
    return exchange(maker, "ordinary", plain_request(maker), plain_answer(maker))


def hostile(maker: Maker) -> Exchange:
    """Odd bytes in path, method and fields."""
    asked = request(
        maker, maker.some(REQUEST_FIELDS, 17), method=maker.one((b"get", b"FOO!", b"GET")), path=maker.one(PATHS)
    )
    return exchange(maker, "hostile", asked, answer(maker, maker.some(ANSWER_FIELDS, 12), b"x"))


def authorities(maker: Maker) -> Exchange:
    """`:authority`, a host field, or both."""
    name = maker.one(AUTHORITIES)
    with_host = maker.one((0, 1, 2))
    fields = [(b"host", name)] if with_host else []
    asked = request(maker, [*typed(maker), *fields], method=b"GET", authority=None if with_host == 2 else name)
    return exchange(maker, "authority", asked, plain_answer(maker))


def body_up(maker: Maker) -> Exchange:
    """A request body."""
    body = maker.body(maker.size())
    trailers = maker.some(TRAILERS, 3) if maker.chance(0.4) else ()
    asked = request(maker, [*typed(maker), *sized(maker, body)], body, trailers=trailers)
    return exchange(maker, "request body", asked, plain_answer(maker))


def body_down(maker: Maker) -> Exchange:
    """A response body."""
    body = maker.body(maker.size())
    trailers = maker.some(TRAILERS, 3) if maker.chance(0.4) else ()
    given = answer(maker, [*typed(maker), *sized(maker, body)], body, trailers=trailers)
    return exchange(maker, "response body", plain_request(maker), given)


def grpc(maker: Maker) -> Exchange:
    """A gRPC call: framed messages in both directions and trailers, or a trailers-only error."""
    kind = (b"content-type", maker.one(GRPC_TYPES))
    body = b"".join(
        b"\x00" + size.to_bytes(4, "big") + maker.random.randbytes(size) for size in maker.some((0, 5, 70 * KIB), 3)
    )
    asked = request(maker, [kind, (b"te", b"trailers")], body, path=b"/pkg.Service/Method")
    if maker.chance(0.3):
        return exchange(maker, "gRPC", asked, answer(maker, [kind, (b"grpc-status", b"12")], lone_end=False))
    given = answer(maker, [kind], body, trailers=[(b"grpc-status", b"0"), (b"grpc-message", b"")])
    return exchange(maker, "gRPC", asked, given)


def event_stream(maker: Maker) -> Exchange:
    """Server-sent events that end by themselves."""
    events = b"".join(b"data: %d\n\n" % n for n in range(maker.random.randint(0, 300)))
    given = answer(maker, [(b"content-type", b"text/event-stream")], events)
    return exchange(maker, "event stream", request(maker, method=b"GET"), given)


def bodiless(maker: Maker) -> Exchange:
    """HEAD, 204 and 304."""
    method, status = maker.one(((b"HEAD", b"200"), (b"GET", b"204"), (b"GET", b"304")))
    length = [(b"content-length", b"12345")] if method == b"HEAD" else []
    given = answer(maker, [*length, *typed(maker)], status=status)
    return exchange(maker, "without body", request(maker, method=method), given)


def compressed(maker: Maker) -> Exchange:
    """Content codings in both directions, some with wrong labels or truncated data."""
    up, asked_body = maker.coded(maker.json(maker.one((100, 5 * KIB, 300 * KIB))))
    down, given_body = maker.coded(maker.json(maker.one((100, 5 * KIB, 300 * KIB))))
    json = (b"content-type", b"application/json")
    asked = request(maker, [json, (b"content-encoding", up)], asked_body)
    return exchange(maker, "compressed", asked, answer(maker, [json, (b"content-encoding", down)], given_body))


def expect_continue(maker: Maker) -> Exchange:
    """A client that expects an interim response, but does not wait for it."""
    body = maker.body(KIB)
    asked = request(maker, [(b"expect", b"100-continue"), *typed(maker)], body)
    return exchange(maker, "expect continue", asked, plain_answer(maker))


def interim(maker: Maker) -> Exchange:
    """An interim response, which mitmproxy does not forward."""
    first = Half(fields=((b":status", maker.one((b"103", b"100", b"102"))), (b"link", b"</a.css>")))
    return exchange(maker, "interim", plain_request(maker), plain_answer(maker), interim=first)


def early(maker: Maker) -> Exchange:
    """A target that responds before it has read the body."""
    body = maker.body(maker.one((KIB, 64 * KIB, 200 * KIB)))
    return exchange(maker, "early answer", request(maker, typed(maker), body), plain_answer(maker), twist=Twist.EARLY)


def client_leaves(maker: Maker) -> Exchange:
    """A client that resets its stream before the response, or in the middle of it."""
    kind = [(b"content-type", maker.one((b"text/event-stream", b"application/json", b"application/grpc")))]
    given = maker.one((Half(), answer(maker, kind, maker.json(5 * KIB))))
    return exchange(maker, "client leaves", plain_request(maker), given, twist=Twist.LEAVES)


def cut_request(maker: Maker) -> Exchange:
    """A client that resets its stream in the middle of its body."""
    asked = request(maker, [(b"content-type", b"application/json")], maker.json(5 * KIB))
    return exchange(maker, "cut request", asked, Half(), twist=Twist.CUT_REQUEST)


def cut_answer(maker: Maker) -> Exchange:
    """A target that resets the stream in the middle of its body, or before its head."""
    kind = [(b"content-type", maker.one((b"text/event-stream", b"application/json", b"application/grpc")))]
    given = maker.one((Half(), answer(maker, kind, maker.json(maker.one((100, 5 * KIB))))))
    return exchange(maker, "cut answer", plain_request(maker), given, twist=Twist.CUT_ANSWER)


def refused_request(maker: Maker) -> Exchange:
    """Requests that mitmproxy refuses by ending the whole connection."""
    asked = maker.one(
        (
            request(maker, [(b"X-Upper", b"1")]),
            request(maker, [(b"connection", b"close")]),
            request(maker, [(b"te", b"gzip")]),
            request(maker, authority=b"\xff\xfe"),
            request(maker, authority=b"user@api.test"),
            request(maker, path=b""),
            request(maker, [(b"host", b"other.test")]),
        )
    )
    return exchange(maker, "refused request", asked, Half())


def translated(maker: Maker) -> Exchange:
    """A request over HTTP/2, answered over HTTP/1."""
    body = b"" if maker.chance(0.4) else maker.body(maker.size())
    length = [(b"content-length", b"%d" % len(body))] if body else []
    asked = request(
        maker, [*maker.some(REQUEST_FIELDS, 6), *typed(maker), *length], body, method=b"POST" if body else b"GET"
    )
    return exchange(maker, "to HTTP/1", asked, http1_kinds.plain_answer(maker))


def translated_body(maker: Maker) -> Exchange:
    """A response body in each framing of HTTP/1, which mitmproxy translates to HTTP/2."""
    body = maker.body(maker.size())
    forms = (
        http1_kinds.answer(maker, [http1_kinds.sized(body)], body),
        http1_kinds.answer(maker, [http1_kinds.CHUNKED], chunked(maker, body)),
        http1_kinds.answer(maker, [b"Content-Type: text/event-stream", http1_kinds.CHUNKED], chunked(maker, body)),
    )
    return exchange(maker, "body to HTTP/1", request(maker, method=b"GET"), maker.one(forms))


STREAMS = (
    ordinary,
    hostile,
    authorities,
    body_up,
    body_down,
    grpc,
    event_stream,
    bodiless,
    compressed,
    expect_continue,
    interim,
    early,
    client_leaves,
    cut_request,
    cut_answer,
)

# mitmproxy does not forward interim responses, and answers an `expect` in place of the target.
CLEAR = tuple(kind for kind in STREAMS if kind not in (interim, expect_continue))

# End their connection, including all other streams.
ALONE = (refused_request,)

TRANSLATED = (translated, translated_body)
