"""Untrusted text becomes one harmless line."""

from __future__ import annotations

import json
from html import escape
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.escaping import ELLIPSIS, as_json, hide, host_and_port, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("GET /a?b=c", "GET /a?b=c"),
        ("café 日本", "café 日本"),
        ("a\nb", r"a\nb"),
        ("a\r\nakto: forged", r"a\r\nakto: forged"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\x00\x7f\x85", r"\x00\x7f\x85"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\u202eevil\u2066", r"\u202eevil\u2066"),
        ("\udcff", r"\udcff"),
        ("\U000e0001", r"\U000e0001"),
        ("\ufeff", r"\ufeff"),
        ("\\n", r"\\n"),
        ("\\\n", r"\\\n"),
        ("\xa0", r"\xa0"),
    ],
)
def test_what_could_forge_a_line_is_escaped(text: str, shown: str) -> None:
    """Line breaks, control and bidirectional characters, lone surrogates and backslashes are escaped, nothing else."""
    assert printable(text) == shown


@pytest.mark.parametrize(("length", "cut"), [(199, False), (200, False), (201, True), (100_000, True)])
def test_long_text_is_cut(length: int, cut: bool) -> None:
    """Text over the limit is cut to exactly the limit, including the ellipsis."""
    shown = printable("a" * length)
    assert len(shown) == min(length, 200)
    assert shown.endswith(ELLIPSIS) is cut


@given(st.text(st.characters(), max_size=300), st.integers(1, 250))
def test_any_text_becomes_one_printable_line(text: str, limit: int) -> None:
    """The result is printable, encodable, and at most ten times as long as the limit."""
    shown = printable(text, limit)
    assert shown.isprintable()
    shown.encode("utf-8")
    assert len(shown) <= 10 * limit


@given(st.text(st.characters(), max_size=50), st.text(st.characters(), max_size=50))
def test_different_texts_are_shown_differently(one: str, other: str) -> None:
    """Escaping is unambiguous: different texts never look the same."""
    assert (printable(one) == printable(other)) is (one == other)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_json_stays_json(text: str) -> None:
    """Unprintable characters in JSON become JSON escapes, so that it is printable and has the same value."""
    shown = as_json(json.dumps(text, ensure_ascii=False))
    assert shown.isprintable()
    assert json.loads(shown) == text


TOKENS = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\\"), min_size=3, max_size=12)


@given(TOKENS)
def test_a_secret_is_hidden_however_it_is_quoted(token: str) -> None:
    """A token that a service quotes in JSON, a URL or HTML is hidden."""
    spelt = "".join(f"\\u{ord(char):04X}" for char in token)
    for quoted in (token, json.dumps(token)[1:-1], quote(token, safe=""), quote_plus(token), escape(token), spelt):
        assert hide(f"\n{quoted}\n", token) == "\n(token)\n"
        assert hide(quoted.replace("/", r"\/"), token) == "(token)"


def test_without_a_secret_nothing_is_hidden() -> None:
    """An empty token hides nothing."""
    assert hide("no token", "") == "no token"


@pytest.mark.parametrize(
    ("host", "shown"), [("::1", "[::1]:80"), ("127.0.0.1", "127.0.0.1:80"), ("localhost", "localhost:80")]
)
def test_an_address_of_ipv6_stands_in_brackets(host: str, shown: str) -> None:
    """The port cannot be taken for a part of the address."""
    assert host_and_port(host, 80) == shown
