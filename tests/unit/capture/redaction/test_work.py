"""Work in proportion to the text, counted in calls, and none where nothing is to be hidden."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest

from akto_mirror.capture import redaction
from akto_mirror.capture.redaction import Hiding, Redaction

ALL = Redaction.of(["common"], ["common"], ["common"])

UNITS = [
    '"',
    "\\",
    '{"token":',
    "[",
    "&a",
    "<token>",
    "<!--",
    "token=",
    "%70",
    "token: ",
    "://a:b@",
    "eyJhIjoxfQeyJh",
    "\ntoken:",
    ";pin=1",
    "4111111111111111 ",
    "\\u00e9",
    "%2520",
    "<name>token</name>",
    "<value>a</value><name>token</name>",
    "name: token\n",
    "name=token&",
    "- name: token\n  value: x\n",
    "password=&a;",
    "password:'a''",
    "data: token\n",
    "data: token\n\n",
    "login(password:$p) ",
    "password:\n- a\n",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90-",
    "Basic dTpw ",
    "curl -u a:b ",
    "curl -u ",
    "mysql ",
    "[password, x] ",
    "cGFzc3dvcmQ9",
    "YT0xJnBhc3N3b3JkPXgmYj",
    "YT0xJnBhc3N3b3JkPXg= ",
]

# Calls that a payload of 160 KB may take, whatever it is; this many take less than 30 ms.
MOST_CALLS = 160_000


def calls(work: Callable[[], object]) -> int:
    """Return how many functions are called, Python's own and others."""
    count = 0

    def counted(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(counted)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("before", ["", '{"body":"{\\"token\\":['])
def test_twice_the_text_is_at_most_twice_the_work(unit: str, before: str) -> None:
    """Hostile or not."""
    half = calls(partial(Hiding(ALL).payload, before + unit * (80_000 // len(unit))))
    whole = calls(partial(Hiding(ALL).payload, before + unit * (160_000 // len(unit))))
    assert whole <= 2.2 * half + 1_000
    assert whole <= MOST_CALLS


@pytest.mark.parametrize(
    ("before", "unit"),
    [
        ("token,a\n", "1,2\n"),
        ("token,a\n", ","),
        ("token,a\n", '"'),
        ("token,a\n1,2\n", "\n"),
        ('{"columns":["a","token"],"rows":[', "[1,2],"),
        ('[["a","b","token"],', "[1,2,3],"),
        ('[["a","b","token"],', '["a","b","token"],'),
        ("", '[["a","b","token"],[["a","b","token"],1]]'),
        ("[" * 50, '["a","b","token"],'),
        ('[["a","b","token"],' * 50, "[1,2,3],"),
    ],
)
def test_tables_take_work_in_proportion(before: str, unit: str) -> None:
    """Also those that are cut; reading each bracket of JSON takes some calls, with tables or without."""
    half = calls(partial(Hiding(ALL).payload, before + unit * (80_000 // len(unit))))
    whole = calls(partial(Hiding(ALL).payload, before + unit * (160_000 // len(unit))))
    assert whole <= 2.2 * half + 1_000
    assert whole <= 5 * MOST_CALLS


def test_nothing_is_added_without_redaction() -> None:
    """A few calls, whatever the size."""
    text = '{"token":"x"}' * 10_000
    off = Redaction()
    assert calls(lambda: redaction.payload(text, "application/json", off)) < 10
    assert calls(lambda: Hiding(off).payload(text, "application/json")) < 10
    assert Hiding(off).payload(text) is text
