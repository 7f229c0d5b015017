"""Forms, queries, parameters and cookies."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction import Hiding, Redaction, pairs, path
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import Hidden, Look
from akto_mirror.capture.redaction.rules.names import Names
from tests.unit.capture.redaction.samples import FIELDS, SECRET, hidden

FORM = "application/x-www-form-urlencoded"


@pytest.mark.parametrize(
    "text",
    [
        "a=b&password=%s",
        "user%5Bpassword%5D=%s",
        "api%20key=%s",
        "api+key=%s",
        "%2570assword=%s",
        "name=password&value=%s",
        "value=%s&key=token",
        "params[0][name]=password&params[0][value]=%s",
        "params%5B0%5D%5Bname%5D=password&params%5B0%5D%5Bvalue%5D=%s",
        "password=a;%s",
        "a=1\r\npassword=%s",
        "redirect=%2Fcb%3Ftoken%3D%s%26a%3D1",
        "q=%7B%22token%22%3A%7B%22a%22%3A%22%FF%FF%22%7D%2C%22password%22%3A%22%s%22%7D",
    ],
)
def test_secrets(text: str) -> None:
    """Secrets are hidden in forms and queries."""
    assert SECRET not in hidden(text, FORM)
    assert SECRET not in path("/x?" + text.replace("%s", SECRET), FIELDS)


def test_work_that_ends_at_a_pair() -> None:
    """What follows the pair at which the work ends is hidden and counted, and the last pair has nothing behind it."""
    for text, expected, count in (("a=1", "a=1", 0), ("a=1&", "a=1&", 0), ("a=1&b=2&c=3", "a=1&[redacted]", 1)):
        found = Hidden()
        found.steps = 0
        look = Look(Names(["x"]), found, 0, lambda value: value)
        assert pairs.walk(text.encode(), [Place(0, 1)], look) == expected.encode()
        assert found.counts["name", "text"] == count


def test_values_of_other_names_stay() -> None:
    """Each name has its own value, so that values of other names stay."""
    text = "p[0][name]=password&p[0][value]=%s&p[1][name]=b&p[1][value]=kept"
    assert hidden(text, FORM) == "p[0][name]=password&p[0][value]=[redacted]&p[1][name]=b&p[1][value]=kept"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/a;token=S/b", "/a;token=[redacted]/b"),
        ("/http://u:S@h/x", "/http://[redacted]:[redacted]@h/x"),
        ("//u:S@h/x", "//[redacted]:[redacted]@h/x"),
        ("/reset-password/9f86d081884c7d65", "/reset-password/[redacted]"),
        ("/auth/login", "/auth/login"),
        ("/oauth/token", "/oauth/token"),
        ("/api/tokens/1234567890123456a", "/api/tokens/1234567890123456a"),
        ("/users/password/edit", "/users/password/edit"),
    ],
)
def test_paths(target: str, expected: str) -> None:
    """Path parameters, credentials in URLs, and tokens after their names are hidden."""
    assert path(target, FIELDS) == expected


def test_cookies() -> None:
    """Names of cookies stay, and a comma in an attribute does not split a cookie."""
    look = Look(Names(["common"]), Hidden(), 1, lambda text: text)
    assert pairs.cookies("a=1; sid=2; b", look, whole=False) == "a=1; sid=[redacted]; b"
    assert pairs.cookies("a=1; b", look, whole=True) == "a=[redacted]; [redacted]"
    text = "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT, sid=2; HttpOnly"
    assert pairs.set_cookies(text, look, whole=False) == text.replace("sid=2", "sid=[redacted]")


def test_forms() -> None:
    """A form has pairs, and none of the characters of other formats."""
    assert pairs.is_form(b"a=1&b=2")
    assert not pairs.is_form(b"a=<b>")
    assert not pairs.is_form(b"YWJj==")


def test_pairs_are_counted() -> None:
    """A value beside a name is counted as a pair."""
    hides = Hiding(Redaction.of([], ["common"]))
    hides.payload("name=password&value=x", FORM)
    assert hides.counts == {("name", "pair"): 1}
