"""The record of a run at client and target."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from tests.differential.wire import Message


@dataclass(frozen=True)
class Arrival:
    """A request as it reached the target.

    Attributes:
        position: the number of requests before it on the same connection; always 0 where that depends on timing.
        server_name: the server name in the proxy's TLS handshake.
        protocol: the protocol negotiated by ALPN.
        end: how the connection ended after its last request.
    """

    message: Message
    position: int = 0
    server_name: str = ""
    protocol: str = ""
    end: str = ""


@dataclass
class Record:
    """What client and target received in one run.

    Attributes:
        ports: the ports of the proxy.
        answers: responses at the client, by exchange, interim ones first; none if the client left or could not send.
        arrivals: requests at the target, by exchange.
        ends: what the client received after the last response of a connection, and how the connection ended.
        strays: what the target received on each connection besides the requests.
        hung: connections that did not end in time.
    """

    ports: tuple[int, ...] = ()
    answers: dict[str, tuple[Message, ...]] = field(default_factory=dict)
    arrivals: dict[str, list[Arrival]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    strays: list[bytes] = field(default_factory=list)
    hung: list[str] = field(default_factory=list)
