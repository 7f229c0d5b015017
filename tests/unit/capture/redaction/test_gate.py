"""The gate: a first pass that finds the places which may contain secrets."""

from __future__ import annotations

import re
from time import process_time

import pytest

from akto_mirror.capture.redaction import gate as gates
from akto_mirror.capture.redaction.gate import MOST_PLACES, gate
from akto_mirror.capture.redaction.rules.names import Names

COMMON = gate(Names(["common"]), values=False)


@pytest.mark.parametrize(
    "text",
    [
        b"password",
        b"xPASSWORD1",
        b"api%20key",
        b"api%2Dkey",
        rb"api\u005Fkey",
        rb"api\u002dkey",
        b"pass%77ord",
        rb"p\u0061ss",
        b"&#112;ass",
        b"https://u:p@h",
        b"//u:p@h",
        b"eyJ0b2tlbiI6",
        b"PD94bWwgdmVyc2lv",
        b"PGxvZ2luPjxh",
        b"YT0xJnBhc3N3b3JkPXg",
        b"Basic dTpw",
        b"curl -u a:b",
    ],
)
def test_it_fires(text: bytes) -> None:
    """The gate fires on names, and on anything that could spell one."""
    assert COMMON.places(b"{ " + text + b" }")


@pytest.mark.parametrize("text", [b"author", b"tokens_used", b"passenger", b"https://host/a", b"ann@host", b"a=1&b=2"])
def test_it_stays_shut(text: bytes) -> None:
    """The gate does not fire on other words."""
    assert not COMMON.places(text)


def test_own_names() -> None:
    """The user's own names are found in any spelling, and beyond ASCII."""
    assert gate(Names(["pin"]), values=False).places(b"P-I-N: 1")
    assert gate(Names(["clé"]), values=False).places("CLÉ=1".encode())
    assert not gate(Names(), values=False).places(b"password")


def test_many_places() -> None:
    """The last one reaches to the end of the text."""
    text = b"token " * (MOST_PLACES + 5)
    places = COMMON.places(text)
    assert len(places) == MOST_PLACES
    assert places[-1].end == len(text)


@pytest.mark.parametrize("unit", ["\\", "/", "\\/", "&amp;", "%25", "a_", "//a"])
def test_pythons_own_expressions_take_linear_time(unit: str) -> None:
    """Four times the text takes four times as long, not sixteen, where google-re2 has no wheel."""
    search = re.compile(gates._pattern(Names(["common"]), values=False).encode()).search

    def spent(size: int) -> float:
        start = process_time()
        search((unit * size)[:size].encode())
        return process_time() - start

    assert min(spent(32_000) for _ in range(3)) < 9 * max(spent(8_000) for _ in range(3))
