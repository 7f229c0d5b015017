"""The only list of what mitmproxy's HTTP/2 may change compared with a direct connection, with reasons.

Plain mitmdump refuses HTTP/2 without TLS: there the comparison is with a client that connects to the target directly.
Interim responses and `expect`, which mitmproxy handles itself, are not generated.
"""

from __future__ import annotations

from dataclasses import replace

from tests.differential.plan import Exchange, Plan, Twist
from tests.differential.record import Arrival, Record
from tests.differential.wire import Message


def forget(plan: Plan, record: Record) -> Record:
    """Return a run's record without what mitmproxy may change; apply it to both runs."""
    exchanges = plan.exchanges()
    answers = {name: _answers(exchanges[name], given) for name, given in record.answers.items()}
    arrivals = {name: [_arrival(each) for each in every] for name, every in record.arrivals.items()}
    return replace(record, answers=answers, arrivals=arrivals)


def _answers(exchange: Exchange, given: tuple[Message, ...]) -> tuple[Message, ...]:
    """For a stream that the target resets before responding, mitmproxy responds with 502."""
    if exchange.twist is not Twist.CUT_ANSWER or exchange.answer.fields or len(given) != 1:
        return given
    reset = not given[0].head and given[0].end.startswith("reset")
    return (Message((b"cut answer",)),) if reset else given


def _arrival(arrival: Arrival) -> Arrival:
    """The order of pseudo-headers, which has no meaning (RFC 9113, section 8.3), is chosen by mitmproxy."""
    head = arrival.message.head
    pseudo = sorted(line for line in head if line.startswith(b":"))
    rest = [line for line in head if not line.startswith(b":")]
    return replace(arrival, message=replace(arrival.message, head=(*pseudo, *rest)))
