"""Plans: connections and the exchanges on them, as data. `generate` makes plans from a seed."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

ID_HEADER = b"x-exchange"

Field = tuple[bytes, bytes]


class Twist(Enum):
    """Deviations from a plain request and response."""

    NONE = "request, then answer"
    EARLY = "the target answers before it reads the body"
    CONTINUE = "the client sends the body after a 100 Continue"
    UPGRADE = "after the answer's head, client and target exchange bytes that are not HTTP"
    IDLE_CLOSE = "the target ends its connection after the answer, which did not say so"
    INTERIM = "the target sends an interim response first"
    LEAVES = "the client leaves once the target has sent what it will send"
    CUT_REQUEST = "the client leaves in the middle of its request"
    CUT_ANSWER = "the target leaves in the middle of its answer"
    REFUSED = "the target answers an upload, as its `Refusal` says, and may not read the rest"


class Protocol(Enum):
    """The protocols that client and target use with the proxy."""

    HTTP1 = "HTTP/1 in plain text"
    HTTP1_TLS = "HTTP/1 over TLS"
    HTTP2 = "HTTP/2 on both sides"
    HTTP2_TO_1 = "HTTP/2 from the client, HTTP/1 to the target"
    HTTP2_CLEAR = "HTTP/2 without TLS on both sides, which plain mitmdump does not speak"


@dataclass(frozen=True)
class Half:
    """A request or a response, as its sender writes it.

    Attributes:
        head: HTTP/1: the bytes of the head.
        fields: HTTP/2: the header fields, pseudo-headers first.
        body: the body's bytes; in HTTP/1 with the chunked coding, if it has one.
        trailers: HTTP/2: the trailing fields.
        pieces: the number of writes for the body.
        lone_end: HTTP/2: a separate, empty DATA frame ends the stream.
    """

    head: bytes = b""
    fields: tuple[Field, ...] = ()
    body: bytes = b""
    trailers: tuple[Field, ...] = ()
    pieces: int = 1
    lone_end: bool = False

    def split(self) -> list[bytes]:
        """Return the pieces of the body."""
        step = max(1, -(-len(self.body) // self.pieces))
        return [self.body[start : start + step] for start in range(0, len(self.body), step)]


class End(Enum):
    """What a target does after it has refused an upload."""

    READS = "reads the rest"
    LINGERS = "ends its side, reads the rest, closes"
    STOPS = "ends its side, reads nothing, closes once the client has its answer"
    CLOSES = "closes at once"
    RESETS = "resets the connection at once"


@dataclass(frozen=True)
class Refusal:
    """How an upload is refused.

    Attributes:
        after: bytes of the body that the target reads before it responds.
        end: what it does then.
        writes_first: the client reads nothing until it has written everything.
        pause: seconds between the client's writes, and between the target's reads before it responds.
    """

    after: int
    end: End
    writes_first: bool = False
    pause: float = 0


@dataclass(frozen=True)
class Exchange:
    """A request and its response.

    Attributes:
        id: the value of the request's `ID_HEADER`, by which the target finds the response.
        kind: the name of the kind, for reports.
        interim: an HTTP/1 response, or HTTP/2 fields, sent before the response.
        closes: the target closes the connection after the response.
        last: nothing can follow on the client's connection.
        refusal: how the upload is refused, with `Twist.REFUSED`.
    """

    id: str
    kind: str
    method: str
    request: Half
    answer: Half
    twist: Twist = Twist.NONE
    interim: Half | None = None
    closes: bool = False
    last: bool = False
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Connection:
    """One connection of the client.

    Attributes:
        pipelined: HTTP/1: all requests are written before any response is read.
        server_name: the server name in the client's TLS handshake.
    """

    id: str
    protocol: Protocol
    exchanges: tuple[Exchange, ...]
    pipelined: bool = False
    server_name: str = "api.example.test"


@dataclass(frozen=True)
class Plan:
    """All connections of a run."""

    connections: tuple[Connection, ...] = field(default=())

    def exchanges(self) -> dict[str, Exchange]:
        """Every exchange by its id."""
        return {exchange.id: exchange for connection in self.connections for exchange in connection.exchanges}


# An HTTP/2 exchange outside any plan, which shows that the proxy has processed what came before.
SETTLE = Exchange(
    "settle",
    "settle",
    "GET",
    Half(
        fields=(
            (b":method", b"GET"),
            (b":scheme", b"https"),
            (b":path", b"/"),
            (b":authority", b"api.example.test"),
            (ID_HEADER, b"settle"),
        )
    ),
    Half(fields=((b":status", b"204"),)),
)
