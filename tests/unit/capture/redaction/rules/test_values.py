"""Secrets recognised by their format, and values that only look like them."""

from __future__ import annotations

import json
import random
import re
import uuid
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from time import process_time

import mitmproxy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from akto_mirror.capture.redaction.rules import cards, expressions
from akto_mirror.capture.redaction.rules.known import COMMON, Rule
from akto_mirror.capture.redaction.rules.values import MOST_FOUND, TooManyError, Values
from tests.support.proxy import ROOT
from tests.support.secrets import CARDS, KEYS

VALUES = Values(["common"])


def kinds(text: str) -> list[str]:
    """Return the kinds of the secrets found."""
    return [found.kind for found in VALUES.found(text.encode())]


AROUND = [
    "{}",
    "a={}&b=1",
    "/x/{}/y",
    r'{{"a":"x\n{}\ny"}}',
    r'{{"a":"{{\"b\":\"x\\t{}\\r\"}}"}}',
    "a=%20{}%22",
    "a=%2520{}%2C",
]


@pytest.mark.parametrize(("kind", "key"), KEYS, ids=[f"{kind}-{number}" for number, (kind, _) in enumerate(KEYS)])
@pytest.mark.parametrize("around", [*AROUND, '{{"a":"{}"}}', "Bearer {}", "<a>{}</a>", "my_{}_2", r"é\u00e9{}\u00e9"])
def test_keys(kind: str, key: str, around: str) -> None:
    """Keys are found anywhere in a text."""
    assert kinds(around.format(key)) == [kind]


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(COMMON), st.data())
def test_every_rule_finds_what_it_describes(rule: Rule, data: st.DataObject) -> None:
    """Every rule finds its secret, also in a line of a file inside a JSON string."""
    key = data.draw(
        st.from_regex(re.compile(rule.pattern, re.ASCII), fullmatch=True, alphabet=st.characters(codec="ascii"))
    )
    text = json.dumps({"env": f"A=1\n{key}\n"})
    assert rule.kind in kinds(text) or set("\\%") & set(json.dumps(key))


@pytest.mark.parametrize("card", CARDS)
@pytest.mark.parametrize("around", [*AROUND, '{{"a":{}}}', "pay {}.", "[{},1]"])
def test_cards(card: str, around: str) -> None:
    """Card numbers of all issuers are found, with or without groups."""
    assert kinds(around.format(card)) == ["card"]


@pytest.mark.parametrize(
    "text",
    [
        "4111111111111112",
        "0.4111111111111111",
        "4111111111111111.5",
        "a4111111111111111",
        "41111111-1111-4111-8111-111111111111",
        "4111111111111111111111",
        "1700000000000",
        "1700000000000000000",
        "4006381333931",
        "9781234567897",
    ],
)
def test_numbers_that_are_no_cards(text: str) -> None:
    """Numbers with a wrong check digit, fractions, identifiers, times and article numbers are not cards."""
    assert kinds(text) == []


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([f"{number * 7**40:032x}" for number in range(3_000)]),
        b64encode(random.Random(1).randbytes(80_000)).decode(),
    ],
    ids=["hexadecimal", "base64"],
)
def test_long_texts_without_secrets_are_gone_through_once(text: str) -> None:
    """The automaton of all expressions stays small, and sends none of them through the text, nor the one for cards."""
    data = text.encode()
    assert VALUES._which is not None
    assert not expressions.is_linear() or VALUES._which(data) == []
    started = process_time()
    assert VALUES.found(data) == []
    assert not expressions.is_linear() or process_time() - started < 0.1


def test_innocent_values() -> None:
    """UUIDs, hashes, times, article numbers, base64 and a minified script: none is taken for a secret."""
    seeded = random.Random(1)
    texts = [str(uuid.UUID(int=seeded.getrandbits(128), version=4)) for _ in range(5_000)]
    texts += [sha256(text.encode()).hexdigest() for text in texts[:2_000]]
    texts += [b64encode(seeded.randbytes(60)).decode() for _ in range(2_000)]
    texts += [str(1_500_000_000_000 + 86_399_999 * day) for day in range(2_000)]
    texts += [_ean(seeded.randrange(10**12)) for _ in range(2_000)]
    texts += [f"2026-01-01T00:00:{second:02}.123456Z" for second in range(60)]
    assert [text for text in texts if kinds(f'{{"v":"{text}"}}')] == []


def _ean(number: int) -> str:
    digits = [int(digit) for digit in f"{number:012}"]
    return f"{number:012}{-(sum(digits[::2]) + 3 * sum(digits[1::2])) % 10}"


@pytest.mark.parametrize("path", sorted(ROOT.glob("tests/**/*.har")), ids=lambda path: path.name)
def test_recorded_traffic_has_no_secrets(path: object) -> None:
    """Nothing in the fixtures is taken for a secret."""
    assert VALUES.found(path.read_bytes()) == []  # type: ignore[attr-defined]


def test_minified_scripts_have_no_secrets() -> None:
    """Nothing in mitmweb's minified scripts is taken for a secret; they are large and always installed."""
    scripts = sorted((Path(mitmproxy.__file__).parent / "tools/web/static").glob("**/*.js"))
    assert sum(script.stat().st_size for script in scripts) > 100_000
    for script in scripts:
        assert VALUES.found(script.read_bytes()[:400_000]) == [], script.name


def test_email_is_a_kind_of_its_own() -> None:
    """The preset `common` does not hide email addresses."""
    text = b'{"mail":"ann.b+c@example.co.uk"}'
    assert [text[found.start : found.end] for found in Values(["email"]).found(text)] == [b"ann.b+c@example.co.uk"]
    assert VALUES.found(text) == []


def test_own_expressions() -> None:
    """Only the group named `secret` is hidden, if there is one."""
    found = Values(["badge=B-[0-9]{4}", r"order=order (?P<secret>\d+)"]).found(b"B-1234 order 99")
    assert [(each.start, each.end, each.kind) for each in found] == [(0, 6, "badge"), (13, 15, "order")]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("x=(a", "is not valid"),
        ("x=", "must have 1 to 1,000 characters"),
        ("x=a*", "matches the empty text"),
        ("1=a", "must begin with a name"),
        ("emails", "must be common, email or NAME=PATTERN"),
    ],
)
def test_what_is_not_a_expression(given: str, problem: str) -> None:
    """One line says what is wrong with an expression."""
    with pytest.raises(ValueError, match=problem):
        Values([given])


def test_too_many_are_not_hidden_one_by_one() -> None:
    """A payload with too many values is hidden as a whole."""
    assert len(VALUES.found(b"4111111111111111 " * MOST_FOUND)) == MOST_FOUND
    with pytest.raises(TooManyError):
        VALUES.found(b"4111111111111111 " * (MOST_FOUND + 1))


def test_the_slower_way_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own module, used where google-re2 has no wheel, finds the same."""
    monkeypatch.setattr(expressions, "re2", None)
    slower = Values(["common"])
    for kind, key in KEYS:
        assert [found.kind for found in slower.found(json.dumps([key]).encode())] == [kind], key
    assert not expressions.is_linear()


def test_each_keyword_stands_in_what_its_rule_finds() -> None:
    """The slower way looks for keywords first, so that with a wrong one it would find nothing."""
    for rule in COMMON:
        for _, key in KEYS:
            if list(expressions.spans(rule.pattern)(key.encode())):
                assert rule.keyword in key, rule.kind


@given(st.integers(10**14, 10**15 - 1))
def test_check_digits(number: int) -> None:
    """Exactly one of the ten possible last digits is right."""
    assert sum(cards.has_check_digit(f"{number}{digit}".encode()) for digit in range(10)) == 1
