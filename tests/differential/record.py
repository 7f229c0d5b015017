"""What a run left behind at client and target."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.differential.wire import Message


@dataclass(frozen=True)
class Arrival:
    """A request as it reached the target.

    Attributes:
        position: how many requests came before it on the same connection; always 0 where that is a matter of timing.
        server_name: what the proxy's TLS handshake asked for.
        protocol: what was agreed on by ALPN.
        end: how the connection ended after its last request.
    """

    message: Message
    position: int = 0
    server_name: str = ""
    protocol: str = ""
    end: str = ""


@dataclass
class Record:
    """What client and target saw in one run.

    Attributes:
        ports: the proxy's own.
        answers: to the client, by exchange; interim responses first. Missing: the client left, or could not send.
        arrivals: at the target, by exchange.
        ends: what came to the client after the last answer of a connection, and how the connection ended.
        strays: what came on each connection to the target, other than the requests.
        hung: what did not end in time.
    """

    ports: tuple[int, ...] = ()
    answers: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    strays: list[bytes] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
