"""Exchanges that are sent or left out, and a check that nothing new is missed."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.sampling.features import Head
from akto_mirror.sampling.payloads import Payload, read_payload
from akto_mirror.sampling.sampler import Look, Policy, Sampler
from tests.support.memory import traced_bytes

# Maps hexadecimal digits to letters, so that words do not look like ids.
LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")

JSON = {"content-type": "application/json"}


def head(path: str = "/orders", *, query: str = "", status: int = 200, **headers: str) -> Head:
    """Return the head of a JSON exchange."""
    request = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return Head("api.example", "POST", path, query, status, "", request, JSON)


def payloads(request: Any, response: Any = None) -> Callable[[], tuple[Payload, Payload]]:
    """Return a function that decodes these payloads on demand."""
    return lambda: (
        read_payload(json.dumps(request), "application/json"),
        read_payload(json.dumps(response), "application/json"),
    )


def never() -> tuple[Payload, Payload]:
    """Fail: the head is enough, so that no body may be decoded."""
    raise AssertionError("no body may be decoded for this")


def run(sampler: Sampler, of: Head, bodies: Callable[[], tuple[Payload, Payload]], now: float = 0.0) -> Look:
    """Sample one exchange."""
    look = sampler.look(of, bodies, now)
    if look.wanted and sampler.may_send(look):
        sampler.sent(look, 1_000)
    else:
        sampler.leave_out(look)
    return look


def settled(per_window: int = 2) -> Sampler:
    """Return a sampler that knows everything about one endpoint."""
    sampler = Sampler(Policy(novel=True, per_window=per_window))
    for _ in range(per_window + 1):
        run(sampler, head(), payloads({"a": 1}))
    assert not run(sampler, head(), payloads({"a": 1})).wanted
    return sampler


def test_the_first_few_of_a_window_are_sent() -> None:
    """The first few exchanges of each window are sent without decoding their bodies."""
    sampler = Sampler(Policy(novel=True, window_s=600, per_window=3))
    assert [run(sampler, head(), never, 1.0).wanted for _ in range(3)] == [True] * 3
    assert run(sampler, head(), payloads({"a": 1}), 2.0).is_new
    assert not run(sampler, head(), payloads({"a": 1}), 3.0).wanted
    assert [run(sampler, head(), never, 601.0).wanted for _ in range(3)] == [True] * 3


def test_what_the_head_shows_as_new_is_sent_undecoded() -> None:
    """A new status, content type, query parameter, type or kind of authentication is found without decoding bodies."""
    sampler = settled()
    for new in (
        head(status=201),
        head(query="page=1"),
        head(query="page=first"),
        head(authorization="Bearer x"),
        head(authorization="Basic x"),
        head(cookie="session=1"),
        head(x_api_key="1"),
        head(content_type="application/xml"),
    ):
        assert run(sampler, new, never).is_new
        assert not run(sampler, head(), payloads({"a": 1})).wanted


def test_new_fields_types_and_operations_are_sent() -> None:
    """Fields, types and operations are new once."""
    sampler = settled()
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "forecast"}}
    for new in ({"b": 1}, {"a": "text"}, {"a": None}, {"c": {"d": [{"e": True}]}}, call):
        assert run(sampler, head(), payloads(new)).is_new
        assert not run(sampler, head(), payloads(new)).wanted
    other = call | {"params": {"name": "history"}}
    assert run(sampler, head(), payloads(other)).is_new
    assert run(sampler, head(), payloads({"a": 1}, {"answer": 1})).is_new


def test_what_a_cap_keeps_back_is_still_new() -> None:
    """An exchange that a cap keeps back is not learnt, so that it is still new the next time."""
    sampler = Sampler(Policy(novel=True, per_window=1, entries_s=1))
    looks = [run(sampler, head(f"/new/{'x' * number}"), never, 0.0) for number in range(1, 10)]
    assert not sampler.may_send(looks[-1])
    assert all(look.is_new for look in looks)
    assert sampler.look(head("/new/xxxxxxxxx"), never, 0.0).is_new


def test_what_is_left_out_is_accounted_for() -> None:
    """Exchanges that were left out are counted by endpoint."""
    sampler = settled()
    for _ in range(7):
        run(sampler, head(), payloads({"a": 1}))
    account = sampler.account(10)
    assert account.most == [(("api.example", "POST", "/orders", "2"), 8)]
    assert (account.endpoints, account.forgotten, account.left_out) == (1, 0, 8)
    assert account.size > 0


def test_what_is_sent_reports_what_was_left_out_before_it() -> None:
    """Each exchange that was left out is reported once, by the next one that is sent."""
    sampler = settled()
    for _ in range(7):
        run(sampler, head(), payloads({"a": 1}))
    assert run(sampler, head(status=201), never).left_out == 8
    assert run(sampler, head(status=202), never).left_out == 0
    run(sampler, head(), payloads({"a": 1}))
    assert run(sampler, head(status=203), never).left_out == 1


def test_without_sampling_the_caps_hold_and_what_is_new_goes_first() -> None:
    """Bodies are decoded only when room is short; then new exchanges pass before known ones."""
    sampler = Sampler(Policy(entries_s=5))
    sent = [run(sampler, head(), never if number < 5 else payloads({"a": 1})) for number in range(5)]
    assert all(look.wanted for look in sent)
    first = sampler.look(head(), payloads({"a": 1}), 0.0)
    assert first.is_new
    sampler.sent(first, 10)
    known = sampler.look(head(), payloads({"a": 1}), 0.0)
    assert known.wanted
    assert not sampler.may_send(known)
    new = sampler.look(head(), payloads({"b": 1}), 0.0)
    assert sampler.may_send(new)
    assert sampler.may_send(sampler.look(head(), never, 10.0))


def test_a_cap_of_bytes_holds() -> None:
    """An exchange that is larger than the bucket passes once, and the debt is paid off."""
    sampler = Sampler(Policy(bytes_s=1_000))
    look = sampler.look(head(), never, 0.0)
    assert sampler.may_send(look)
    sampler.sent(look, 10_000)
    assert not sampler.may_send(sampler.look(head("/new"), never, 7.0))
    assert sampler.may_send(sampler.look(head("/new"), never, 9.0))


def test_another_policy_forgets_nothing() -> None:
    """Changing options keeps what was learnt, unless the bound on memory changes."""
    sampler = settled()
    sampler.follow(Policy(novel=True, per_window=2, window_s=60))
    assert not run(sampler, head(), payloads({"a": 1})).wanted
    sampler.follow(Policy(novel=True, per_window=2, memory=2**24))
    assert run(sampler, head(), payloads({"a": 1})).is_new


def flood(sampler: Sampler) -> None:
    """Sample exchanges with new paths, hosts, fields and headers."""
    for number in range(4_000):
        text = f"{number:x}".translate(LETTERS)
        of = head(f"/{text}/{text[::-1]}", query=f"{text}=1")
        run(sampler, of._replace(host=f"{text}.example", request=JSON | {f"x-{text}": "1"}), payloads({text: 1}))


def test_memory_is_bounded_under_a_flood() -> None:
    """The memory in use is measured by the interpreter, after the readers' own bounded caches are full."""
    flood(Sampler(Policy(novel=True)))
    tracemalloc.start()
    sampler = Sampler(Policy(novel=True, memory=2**20))
    flood(sampler)
    taken = traced_bytes()
    tracemalloc.stop()
    assert taken <= 2**20
    assert sampler.account(0).forgotten > 0


FIELDS = st.dictionaries(
    st.sampled_from("abcdef"), st.sampled_from([1, "x", True, None, 1.5, [1], {"n": 1}]), max_size=4
)
EXCHANGES = st.lists(
    st.tuples(
        st.sampled_from(["/orders", "/users", "/carts/7", "/carts/9"]),
        FIELDS,
        st.sampled_from([200, 201, 302]),
        st.sampled_from(["", "page=1", "page=x", "sort=a&page=2"]),
        st.sampled_from([{}, {"authorization": "Bearer x"}, {"cookie": "sessionid=1"}]),
    ),
    max_size=60,
)


@given(EXCHANGES, st.integers(1, 3))
def test_everything_that_was_there_was_sent(
    exchanges: list[tuple[str, dict[str, Any], int, str, dict[str, str]]], per_window: int
) -> None:
    """Each field, type, status, parameter and kind of authentication of an endpoint is in an exchange that was sent."""
    sampler, there, sent = Sampler(Policy(novel=True, per_window=per_window)), set[object](), set[object]()
    for path, fields, status, query, headers in exchanges:
        template = path.rstrip("0123456789")
        facts: set[object] = {(template, status // 100, "field", name, type(value)) for name, value in fields.items()}
        facts |= {(template, status // 100, part.partition("=")[0]) for part in query.split("&") if part}
        facts |= {(template, status), (template, status // 100, *headers)}
        there |= facts
        if run(sampler, head(path, query=query, status=status, **headers), payloads(fields)).wanted:
            sent |= facts
    assert sent == there
