"""Compares two runs of a plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from tests.differential.framing import Sighting, allow, hide_own_port, lost_answer
from tests.differential.plan import Exchange, Plan
from tests.differential.record import Record

SHOWN = 300


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        where: the exchange or connection.
        plain: the record of the first run, shortened around the first difference.
        other: the record of the second run, shortened alike.
    """

    where: str
    what: str
    plain: str
    other: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n  plain: {self.plain}\n  addon: {self.other}"


def compare(plan: Plan, plain: Record, other: Record, *, streams: bool) -> list[Difference]:
    """Return all differences, except those that streaming may cause if the second run's proxy streams."""
    return list(_differences(plan, plain, other, streams=streams))


def report(differences: list[Difference], most: int = 10) -> str:
    """Return a readable description of the differences."""
    more = [f"... and {len(differences) - most} more"] if len(differences) > most else []
    return "\n".join([f"{len(differences)} differences", *map(str, differences[:most]), *more])


def _differences(plan: Plan, plain: Record, other: Record, *, streams: bool) -> Iterator[Difference]:
    for exchange in plan.exchanges().values():
        seen, also = _seen(exchange, plain, streams=streams), _seen(exchange, other, streams=streams)
        where = f"exchange {exchange.id} ({exchange.kind})"
        yield from _unequal(where, "at the client", seen.answers, also.answers)
        yield from _unequal(where, "at the target", seen.arrivals, also.arrivals)
    for connection in plan.connections:
        where = f"connection {connection.id}"
        yield from _unequal(where, "end at the client", plain.ends.get(connection.id), other.ends.get(connection.id))
    yield from _unequal("all connections to the target", "what came beside requests", plain.strays, other.strays)
    yield from _unequal("all connections", "what did not end in time", plain.hung, other.hung)


def _seen(exchange: Exchange, record: Record, *, streams: bool) -> Sighting:
    seen = Sighting(record.answers.get(exchange.id), tuple(record.arrivals.get(exchange.id, ())))
    seen = hide_own_port(seen, record.ports)
    return allow(exchange, seen) if streams else lost_answer(exchange, seen)


def _unequal(where: str, what: str, one: object, other: object) -> Iterator[Difference]:
    if one != other:
        yield Difference(where, what, *_excerpts(_text(one), _text(other)))


def _text(value: object) -> str:
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_text(each) for each in value) + "]"
    if hasattr(value, "__dataclass_fields__"):
        inner = ", ".join(f"{each.name}={_text(getattr(value, each.name))}" for each in fields(value))  # type: ignore[arg-type]
        return f"{type(value).__name__}({inner})"
    return repr(value)


def _excerpts(one: str, other: str) -> tuple[str, str]:
    same = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    start = max(0, same - SHOWN // 2)
    return tuple(("..." if start else "") + text[start : start + SHOWN] for text in (one, other))  # type: ignore[return-value]
