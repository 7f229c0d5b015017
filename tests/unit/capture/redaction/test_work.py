"""Work is linear in the length of the text, counted in function calls, and none is done without redaction."""

from __future__ import annotations

import sys
import time
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

# Function calls that any payload of 160 KB may take, which is less than 30 ms.
MOST_CALLS = 160_000


def calls(work: Callable[[], object]) -> int:
    """Return the number of function calls, including C functions."""
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
    """Doubling a text, hostile or not, at most doubles the work."""
    half = calls(partial(Hiding(ALL).payload, before + unit * (80_000 // len(unit))))
    whole = calls(partial(Hiding(ALL).payload, before + unit * (160_000 // len(unit))))
    assert whole <= 2.2 * half + 1_000
    assert whole <= MOST_CALLS


JSON, FORM, XML, CSV = "application/json", "application/x-www-form-urlencoded", "text/xml", "text/csv"
MULTIPART = "multipart/form-data; boundary=x"
PART = '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n{"token":1}\r\n'

SHAPES = [
    (CSV, "token,a\n", "1,2\n"),
    ("", "token,a\n", ","),
    ("", "token,a\n", '"'),
    ("", "token,a\n1,2\n", "\n"),
    (JSON, '{"columns":["a","token"],"rows":[', "[1,2],"),
    (JSON, '{"columns":["a","token"],"rows":[', '["abc","hunter2"],'),
    (JSON, '{"columns":["a","token"],"rows":[', '{"a":1},'),
    (JSON, '[["a","b","token"],', "[1,2,3],"),
    (JSON, '[["a","b","token"],', "[11,22,33,44,55,66,77,88],"),
    (JSON, '[["a","b","token"],', '["a","b","token"],'),
    (JSON, "", '[["a","b","token"],[["a","b","token"],1]]'),
    (JSON, "[" * 50, '["a","b","token"],'),
    (JSON, '[["a","b","token"],' * 50, "[1,2,3],"),
    (JSON, '[["a","token"],', "[],"),
    (JSON, "[", '"\\u0061",'),
    (JSON, "{", '"\\u0061":1,'),
    (JSON, "[", '"token=b",'),
    (JSON, "[", '"token","x",'),
    (JSON, "[", '["token","x"],'),
    (JSON, "[", '"token",[],'),
    (JSON, "[", '"{\\"token\\":1}",'),
    (JSON, "[", '"<token>x</token>",'),
    (JSON, "[", '"https://a:b@host/",'),
    (JSON, "[", '"cGFzc3dvcmQ9eA==",'),
    (JSON, "[", '{"name":"token","value":1},'),
    (JSON, "", '{"token":"x"}\n'),
    (JSON, '{"token":[', '{"a":[1]},'),
    (JSON, "", '{"query":"query($p:A){a(token:$p)}"}\n'),
    (FORM, "token=x", "&a=b"),
    (FORM, "", "a[0][name]=token&a[0][value]=x&"),
    (FORM, "", "a=%7B%22token%22%3A1%7D&"),
    (XML, "<a ", 'token="x" '),
    (XML, "", '<input name="token" value="x">'),
    (XML, "", "&lt;token&gt;x&lt;/token&gt;"),
    (XML, "<token>", "<token>"),
    (XML, "<token>", "</tokens>"),
    (XML, "<token>", "<!--"),
    (XML, "<token>", "<!---->"),
    (XML, '<a token="x" ', 'b="&c;" '),
    (FORM, "a=%26lt%3BYT0xJnBhc3N3b3JkPXg=", "%3D"),
    (FORM, "a=%70", "%"),
    (MULTIPART, "", PART),
    ("text/event-stream", "", 'data: {"token":1}\n\n'),
    ("text/event-stream", "data: [", '{"name":"token","value":1},'),
    (FORM, "a=%40&", "b=%22&"),
    (FORM, "", "data:data:data:token=x&a=%26b%3Da%3D"),
    ("text/event-stream", "", "retry: token is 5105105105105100 "),
    ("text/event-stream", "", "\x1etoken:"),
    (JSON, '{"a":"token: x', "4000000000000000,"),
    (JSON, '{"a":"{\\"a\\":\\"token: x', '\\\\"a\\\\"(4111 1111 1111 1112'),
    ("text/html", "<a>token", "&b;"),
    ("text/html", "", "YT0xJnBhc3N3b3JkPXg="),
    ("", 'token: {"a":', '"a",'),
    ("", "", "token:\n" + " \n" * 3_000),
    ("", "", 'token: {"a":' + '"a",' * 1_000 + "}\n"),
    ("application/yaml", "token:\n", "- a\n"),
    ("application/yaml", "", "- name: token\n  value: x\n"),
    (JSON, '{"token":1,"a":["', '"]{]{"'),
    (MULTIPART, '--x\r\nContent-Disposition: form-data; name="token"' + ";a=b" * 30_000 + "\r\n\r\n", "x"),
]


@pytest.mark.parametrize(("kind", "before", "unit"), SHAPES)
def test_no_shape_takes_much_work(kind: str, before: str, unit: str) -> None:
    """Each item of tables, pairs and other structures takes few calls."""
    text = before + unit * (160_000 // len(unit))
    assert calls(partial(Hiding(ALL).payload, text, kind)) <= MOST_CALLS


BROKEN = [
    (XML, "<", "a", "&#112;"),
    (XML, "<a ", "b", ' token="x">'),
    ("", "[password, x", " ", "y"),
    (FORM, "", "a", "!=token&a=token"),
    ("", "-" * 200 + "!token: x", "", ""),
    ("", "A" * 200 + "!token: x", "", ""),
    ("", "", "\\" * 250 + "u0061 ", ""),
    ("", "password", "\ufeff", ""),
    ("", "", '"token"\n//a', ""),
    ("", "", "token%5D[name", ""),
    ("", "", "token][name", ""),
    ("", "", "#(password:\n", ""),
    ("", "", '["token",\n//', ""),
    ("", '"password"', " ", ""),
    (MULTIPART, '--x\r\nContent-Disposition: form-data; name="', "=?a?q?", '"\r\n\r\npassword=x\r\n'),
]


@pytest.mark.parametrize(("kind", "before", "unit", "after"), BROKEN)
def test_what_breaks_off_is_not_read_again(kind: str, before: str, unit: str, after: str) -> None:
    """Broken syntax is not read again from each character: an expression that backtracks so would take minutes."""
    started = time.process_time()
    Hiding(ALL).payload(before + unit * (160_000 // max(len(unit), 1)) + after, kind)
    assert time.process_time() - started < 0.5


BEHIND = [
    (FORM, "", "a=%7B%22b%22%3A1%7D&", "&password=hunter2&"),
    (FORM, "", "a=%7B%22token%22%3A1%7D&", "&password=hunter2&"),
    (FORM, "", "a=b&", "&password=hunter2&"),
    ("", "", "token=", "&password=hunter2&"),
    (XML, "", "<a>&#97;</a>", "<password>hunter2</password>"),
    (XML, "", "&#97;", "<password>hunter2</password>"),
    ("", "", "&#97; ", "\npassword: hunter2\n"),
    ("", "token", "\ufeff\\n", "\npassword: hunter2\n"),
    ("", "", "token: x\n", "\npassword: hunter2\n"),
    ("", "password: x\n", "4111111111111112 ", "\npassword: hunter2\n"),
    (XML, "", '<a token="x" b="c"/>', "<password>hunter2</password>"),
    ("text/event-stream", "", 'data: {"token":1}\n\n', 'data: {"password":"hunter2"}\n\n'),
    (MULTIPART, "", PART, '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--'),
    (MULTIPART, PART.replace('{"token":1}', "&#97;" * 9_000), PART, PART.replace("1", '"hunter2"')),
]


@pytest.mark.parametrize("size", [1_000, 12_000, 40_000, 160_000])
@pytest.mark.parametrize(("kind", "before", "unit", "after"), BEHIND)
def test_nothing_is_shown_behind_what_takes_much_work(kind: str, before: str, unit: str, after: str, size: int) -> None:
    """Secrets after text that takes much work are hidden, at any distance."""
    text = before + unit * (size // len(unit)) + after
    assert "hunter2" not in Hiding(ALL).payload(text, kind)


@pytest.mark.parametrize("count", range(1_490, 1_510))
@pytest.mark.parametrize(
    ("kind", "unit", "after"),
    [
        (FORM, "a=%70&", "password=hunter2"),
        (XML, "<a>&#97;</a>", "<password>hunter2</password>"),
        ("", "%70 ", "password: hunter2"),
    ],
)
def test_nothing_is_shown_behind_the_last_place(kind: str, unit: str, after: str, count: int) -> None:
    """The first secret after the limit of places that are searched one by one is hidden."""
    assert "hunter2" not in Hiding(ALL).payload(unit * count + after, kind)


def test_work_on_one_text_is_none_on_another() -> None:
    """Headers and path are searched even after a payload that used up its work."""
    hiding = Hiding(ALL)
    hiding.payload("&#97; " * 20_000 + "4111111111111112 " * 9_000)
    assert "hunter2" not in hiding.path("/a?password=hunter2")
    assert "hunter2" not in str(hiding.headers({"x-a": "password=hunter2", "accept": "*/*"}))
    assert "hunter2" not in hiding.payload('{"password":"hunter2"}')


def test_nothing_is_added_without_redaction() -> None:
    """Without redaction the number of calls is small and does not depend on the size."""
    text = '{"token":"x"}' * 10_000
    off = Redaction()
    assert calls(lambda: redaction.payload(text, "application/json", off)) < 10
    assert calls(lambda: Hiding(off).payload(text, "application/json")) < 10
    assert Hiding(off).payload(text) is text
