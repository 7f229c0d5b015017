"""Headers in entries."""

from __future__ import annotations

import json
import re

from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.headers import header_map, shortened, to_json
from tests.support.flows import Fields


def names(fields: Fields, *, all_cookies: bool = False) -> list[str]:
    """Return the names in the order of the encoded JSON."""
    return list(json.loads(to_json(header_map(list(fields), all_cookies=all_cookies))))


class TestHeaders:
    """Headers become one JSON object, as with `JSON.stringify(Object.fromEntries(headers))`."""

    def test_names_are_lower_case_and_sorted(self) -> None:
        """Names of any case come out lower-case, in byte order."""
        fields = [(b"X_B", b"1"), (b"x-C", b"2"), (b"X.d", b"3"), (b"xA", b"4"), (b"X~", b"5")]
        assert names(fields) == ["x-c", "x.d", "x_b", "xa", "x~"]

    def test_javascripts_integer_keys_come_first(self) -> None:
        """Canonical array indices come before all other names, in numeric order; similar names do not."""
        given_names = [b"b", b"10", b"9", b"0", b"01", b"4294967294", b"4294967295", b"-1", b"1.0", b"1e3", b"!"]
        assert names([(name, b"") for name in given_names]) == [
            "0", "9", "10", "4294967294", "!", "-1", "01", "1.0", "1e3", "4294967295", "b",
        ]  # fmt: skip

    def test_other_scripts_digits_are_no_integer_keys(self) -> None:
        """Digits of other scripts are not array indices in JavaScript."""
        assert names([("٣".encode(), b""), ("²".encode(), b""), (b"a", b"")]) == ["a", "²", "٣"]

    def test_objects_own_names_are_ordinary(self) -> None:
        """`__proto__` is a name like any other."""
        assert names([(b"constructor", b"1"), (b"__proto__", b"2")]) == ["__proto__", "constructor"]

    def test_repeated_values_are_joined(self) -> None:
        """Values are joined by a comma and a space, in order, empty ones too, whatever the case of the name."""
        fields = [(b"x", b""), (b"X", b"a"), (b"x", b"")]
        assert header_map(fields, all_cookies=False) == {"x": ", a, "}

    def test_cookies_in_pieces_are_put_together_as_in_one_header(self) -> None:
        """Cookies in several fields, as from HTTP/2 clients, are joined by semicolons; in the Worker, by commas."""
        fields = [(b"cookie", b"a=1"), (b"Cookie", b"b=2")]
        assert header_map(fields, all_cookies=True) == {"cookie": "a=1; b=2"}
        assert header_map(fields, all_cookies=False) == {"cookie": "a=1, b=2"}

    def test_of_several_set_cookies_the_worker_keeps_the_last(self) -> None:
        """The Worker keeps only the last `set-cookie`, and `akto` keeps all."""
        fields = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"SET-COOKIE", b"c=3")]
        assert header_map(fields, all_cookies=False) == {"set-cookie": "c=3"}
        assert header_map(fields, all_cookies=True) == {"set-cookie": "a=1, b=2, c=3"}

    def test_bytes_are_read_as_utf_8_one_value_at_a_time(self) -> None:
        """Invalid bytes become U+FFFD; two halves of a character in two values are not joined."""
        assert header_map([(b"x", b"caf\xc3\xa9"), (b"y", b"\xff\xfe")], all_cookies=False) == {
            "x": "café",
            "y": "\ufffd\ufffd",
        }
        assert header_map([(b"x", b"\xc3"), (b"x", b"\xa9")], all_cookies=False) == {"x": "\ufffd, \ufffd"}

    def test_the_json_is_compact_and_escapes_as_javascript_does(self) -> None:
        """Only the quotation mark, the backslash and characters below U+0020 are escaped; a byte order mark stays."""
        value = '"\\/\b\t\n\f\r\x01\x7f\u2028é\ufeff😀'
        assert to_json({"a": value, "b": ""}) == ('{"a":"\\"\\\\/\\b\\t\\n\\f\\r\\u0001\x7f\u2028é\ufeff😀","b":""}')

    @given(
        st.lists(
            st.tuples(
                st.one_of(
                    st.sampled_from(
                        [
                            b"Set-Cookie",
                            b"set-cookie",
                            b"cookie",
                            b"Cookie",
                            b"Host",
                            b"HOST",
                            b"7",
                            b"07",
                            b"X" * 65,
                            b"\xff" * 65,
                        ]
                    ),
                    st.binary(max_size=6),
                    st.integers(0, 2**33).map(lambda n: str(n).encode()),
                ),
                st.binary(max_size=6),
            ),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_any_fields_become_what_a_naive_model_makes(self, fields: list[tuple[bytes, bytes]], every: bool) -> None:
        """The result equals a naive implementation of the rules, and encodes to a JSON object."""
        made = header_map(fields, all_cookies=every)
        assert list(made.items()) == naive(fields, every)
        assert json.loads(to_json(made)) == made


def naive(fields: list[tuple[bytes, bytes]], every: bool) -> list[tuple[str, str]]:
    """Implement the rules for headers naively."""
    lowered = [(name.decode("utf-8", "replace").lower(), value.decode("utf-8", "replace")) for name, value in fields]
    whole: dict[str, str] = {}
    for name in dict.fromkeys(name for name, _ in lowered):
        values = [value for other, value in lowered if other == name]
        joint = "; " if name == "cookie" and every else ", "
        whole[name] = joint.join(values[-1:] if name == "set-cookie" and not every else values)
    indices = [name for name in whole if re.fullmatch("0|[1-9][0-9]*", name) and int(name) <= 4294967294]
    others = sorted(set(whole) - set(indices))
    return [(name, whole[name]) for name in sorted(indices, key=int) + others]


def test_repeated_headers_take_linear_time() -> None:
    """A name repeated a hundred thousand times takes linear time; quadratic time would be minutes."""
    fields = [(b"a", b"b" * 100)] * 100_000
    assert len(header_map(fields, all_cookies=True)["a"]) == 102 * 100_000 - 2


def test_headers_are_shortened() -> None:
    """Long values are cut, and headers that do not fit are left out; headers within the limit stay unchanged."""
    text = to_json({"a": "x" * 50, "b": "y" * 50, "c": "z" * 50})
    assert shortened(text, len(text), 3) == text
    assert json.loads(shortened(text, 70, 60)) == {"a": "x" * 50, "b": "y" * 50}
    assert json.loads(shortened(text, 10, 5)) == {"a": "x" * 5, "b": "y" * 5}
