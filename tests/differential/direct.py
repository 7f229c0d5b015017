"""The only place that says what mitmproxy's HTTP/2 may change against a direct connection, and why.

Plain mitmdump refuses HTTP/2 without TLS: there the comparison is with a client that talks to the target itself. Not
generated are interim responses and `expect`, with which mitmproxy deals by itself.
"""

from __future__ import annotations

from dataclasses import replace

from tests.differential.plan import Exchange, Plan, Twist
from tests.differential.record import Arrival, Record
from tests.differential.wire import Message


def forget(plan: Plan, record: Record) -> Record:
    """Return a run's record in a form in which what mitmproxy may change is gone; apply it to both runs."""
    exchanges = plan.exchanges()
    answers = {name: _answers(exchanges[name], given) for name, given in record.answers.items()}
    arrivals = {name: [_arrival(each) for each in every] for name, every in record.arrivals.items()}
    return replace(record, answers=answers, arrivals=arrivals)


def _answers(exchange: Exchange, given: tuple[Message, ...]) -> tuple[Message, ...]:
    """A stream that the target resets before it has answered is answered by mitmproxy with 502."""
    if exchange.twist is not Twist.CUT_ANSWER or exchange.answer.fields or len(given) != 1:
        return given
    reset = not given[0].head and given[0].end.startswith("reset")
    return (Message((b"cut answer",)),) if reset else given


def _arrival(arrival: Arrival) -> Arrival:
    """The order of pseudo-headers, which means nothing (RFC 9113, section 8.3), is mitmproxy's own."""
    head = arrival.message.head
    pseudo = sorted(line for line in head if line.startswith(b":"))
    rest = [line for line in head if not line.startswith(b":")]
    return replace(arrival, message=replace(arrival.message, head=(*pseudo, *rest)))
