"""The only list of what streaming may change, with reasons. Everything else must be equal byte for byte.

With `akto_stream=auto` and `always` bodies pass through the proxy as they arrive, where plain mitmdump holds each until
it is complete. That changes the framing of bodies, and what one peer sees of a message that the other never finished.
With `akto_stream=never` no difference is allowed.

Each allowance removes the permitted difference from the record of an exchange. It is applied to both runs alike, and
uses nothing beyond what its reason names.

Three things are never compared, because two runs of plain mitmdump differ in them: the sizes of HTTP/2 DATA frames,
which follow the flow control of the moment; whether TCP ended with FIN or RST at the target, which depends on what the
proxy had not read; and the proxy's own port, which it writes into `Alt-Svc`.

One case is not generated, because plain mitmdump cannot have it: a client that acts on a response which comes before
its request is complete. A request that mitmdump holds gets no response before that.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from tests.differential.plan import End, Exchange, Half, Twist
from tests.differential.record import Arrival
from tests.differential.wire import COMPLETE, CUT, FIELD, Message, dechunk, is_chunked, lines_of


@dataclass(frozen=True)
class Sighting:
    """The record of one exchange: the responses at the client, and the request at the target."""

    answers: tuple[Message, ...] | None
    arrivals: tuple[Arrival, ...]


@dataclass(frozen=True)
class Allowance:
    """A difference that streaming may cause."""

    reason: str
    apply: Callable[[Exchange, Sighting], Sighting]


def chunk_sizes(_: Exchange, seen: Sighting) -> Sighting:
    """Forget the sizes of chunks."""
    return _each_message(seen, lambda message: _framed(message, "chunked"))


def end_of_stream(_: Exchange, seen: Sighting) -> Sighting:
    """Forget which frame ended an HTTP/2 stream."""
    return _each_message(seen, lambda message: _framed(message, "ended"))


def cut_answer(exchange: Exchange, seen: Sighting) -> Sighting:
    """Treat mitmproxy's error page as equal to a response that the target broke off."""
    if exchange.twist is not Twist.CUT_ANSWER or not seen.answers or len(seen.answers) != 1:
        return seen
    message = seen.answers[0]
    if not (_is_error_page(message) or _is_begun_answer(message, exchange)):
        return seen
    return replace(seen, answers=(Message((b"cut answer",)),))


def cut_request(exchange: Exchange, seen: Sighting) -> Sighting:
    """Treat a request that never reached the target as equal to one that reached it in part."""
    if exchange.twist is not Twist.CUT_REQUEST:
        return seen
    return replace(
        seen, arrivals=tuple(each for each in seen.arrivals if not _is_begun_request(each.message, exchange))
    )


def rest_of_refused_request(exchange: Exchange, seen: Sighting) -> Sighting:
    """Forget what reached a target after it had responded and closed its side."""
    if not exchange.refusal or exchange.refusal.end is not End.LINGERS:
        return seen
    size = exchange.refusal.after
    return replace(seen, arrivals=tuple(_begun_arrival(each, exchange, size) for each in seen.arrivals))


ALLOWED = (
    Allowance(
        "A buffered body is sent on as one chunk, a passing one as the chunks in which it was read.", chunk_sizes
    ),
    Allowance(
        "A buffered HTTP/2 message that turns out to have no body is ended by its HEADERS frame; of a passing one that "
        "is not known yet, and an empty DATA frame ends it.",
        end_of_stream,
    ),
    Allowance(
        "The target breaks off in mid-body: mitmdump throws away what it holds and answers 502; of a passing body the "
        "client has got all that the target sent, and the break itself, as without a proxy.",
        cut_answer,
    ),
    Allowance(
        "The client breaks off in mid-body: mitmdump throws away what it holds; of a passing body the target gets what "
        "was sent, and the break itself, as without a proxy.",
        cut_request,
    ),
    Allowance(
        "The target answers, ends its side and reads on to throw away what comes: mitmdump has taken the whole request "
        "by then and sends it; of a passing one the rest is thrown away by the proxy.",
        rest_of_refused_request,
    ),
)


CONTINUE = Message((b"HTTP/1.1 100 Continue",), framing="none")
EXPECTS = re.compile(rb"(?im)^expect: 100-continue\r$")
REFUSED = Message((b"refused",))


def lost_answer(exchange: Exchange, seen: Sighting) -> Sighting:
    """Treat a refusal as equal to mitmproxy's replacement, where the target closes during an upload.

    Whether mitmdump reads the response before its own write fails is a matter of timing, with and without the
    addon. Where a request is streamed, the response is not lost: `test_refusals` checks that.
    """
    if not (exchange.refusal and exchange.refusal.end in (End.CLOSES, End.RESETS) and exchange.answer.head):
        return seen
    *before, last = seen.answers or (None,)
    if last == CONTINUE and not before and EXPECTS.search(exchange.request.head):
        # After it, `Http1Server.send` in mitmproxy/proxy/layers/http/_http1.py sends no error page.
        return replace(seen, answers=(CONTINUE, REFUSED))
    if last and (_is_error_page(last) or is_whole_answer(last, exchange)):
        return replace(seen, answers=(*before, REFUSED))
    return seen


def is_whole_answer(message: Message, exchange: Exchange) -> bool:
    """Return whether an HTTP/1 message is the complete response of the target."""
    half = exchange.answer
    body = dechunk(half.body) if is_chunked(half.head) else half.body
    return message.head == lines_of(half.head) and message.body == body and message.end == COMPLETE


def hide_own_port(seen: Sighting, ports: tuple[int, ...]) -> Sighting:
    """Replace the proxy's port that mitmproxy writes into `Alt-Svc`, which in reverse mode leads back to the proxy."""
    own = re.compile(b":(%b)\\b" % b"|".join(b"%d" % port for port in ports))
    hide = lambda line: own.sub(b":OWN", line) if line.lower().startswith(b"alt-svc") else line  # noqa: E731 - one use
    return _each_message(seen, lambda message: replace(message, head=tuple(map(hide, message.head))))


def allow(exchange: Exchange, seen: Sighting) -> Sighting:
    """Apply all allowances."""
    seen = lost_answer(exchange, seen)
    for allowance in ALLOWED:
        seen = allowance.apply(exchange, seen)
    return seen


def _each_message(seen: Sighting, change: Callable[[Message], Message]) -> Sighting:
    answers = None if seen.answers is None else tuple(change(message) for message in seen.answers)
    return Sighting(answers, tuple(replace(each, message=change(each.message)) for each in seen.arrivals))


def _framed(message: Message, family: str) -> Message:
    return replace(message, framing=family) if message.framing.startswith(family) else message


def _is_error_page(message: Message) -> bool:
    """Recognise mitmproxy's own response in place of one that it could not complete."""
    if message.head[:1] not in ((b"HTTP/1.1 502 Bad Gateway",), (b":status" + FIELD + b"502",)):
        return False
    return any(line.startswith((b"Server: mitmproxy", b"server" + FIELD + b"mitmproxy")) for line in message.head)


def _is_begun_answer(message: Message, exchange: Exchange) -> bool:
    """Recognise a response that was cut: its head and the part of its body that was sent."""
    sent = _begun(exchange.answer)
    if exchange.answer.fields:
        part = message.head == sent.head and sent.body.startswith(message.body)
        return part and message.end.startswith("reset") and not message.trailers
    return message == replace(sent, framing=message.framing)


def _is_begun_request(message: Message, exchange: Exchange) -> bool:
    """Recognise a part of the request: its head, apart from the Host that mitmproxy writes, and some of its body."""
    sent = _begun(exchange.request)
    same_head = _without_host(message.head) == _without_host(sent.head)
    return same_head and sent.body.startswith(message.body) and message.end != COMPLETE and not message.trailers


def _begun_arrival(arrival: Arrival, exchange: Exchange, size: int) -> Arrival:
    """Cut a request, or a prefix that is at least this long, to this size."""
    message, whole = arrival.message, _begun(exchange.request).body
    if len(message.body) < size or not whole.startswith(message.body):
        return arrival
    return replace(arrival, message=replace(message, body=message.body[:size], end="not read"))


def _begun(half: Half) -> Message:
    """The part of a message that its sender wrote before it left."""
    if half.fields:
        return Message(tuple(name + FIELD + value for name, value in half.fields), half.body, end=CUT)
    lines = lines_of(half.head)
    return Message(lines, dechunk(half.body) if is_chunked(half.head) else half.body, end=CUT)


def _without_host(head: tuple[bytes, ...]) -> list[bytes]:
    hosts = (b"host:", b":authority" + FIELD)
    return sorted(line for line in head if not line.lower().startswith(hosts))
