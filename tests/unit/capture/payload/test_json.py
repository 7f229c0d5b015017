"""Cut JSON is repaired, and the kept part is not changed."""

from __future__ import annotations

import json as stdlib
import re
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import json
from tests.support.texts import is_cut_of, json_texts, read_json, read_json_values

LIMIT = 65_536


def close(text: str, limit: int | None = None) -> str:
    """Close a text that was cut at its end."""
    closed = json.close(text.encode(), len(text.encode()) + 600 if limit is None else limit)
    assert closed is not None
    return closed.decode()


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ('{"a":[{"b":1},{"b":2', '{"a":[{"b":1},{}]}'),
        ('{"items":[{"id":1,"name":"n1"},{"i', '{"items":[{"id":1,"name":"n1"},{}]}'),
        ('[{"id":2509,"', '[{"id":2509}]'),
        ('{"a":1,"b":tru', '{"a":1}'),
        ('{"a":1,"b":true', '{"a":1,"b":true}'),
        ('{"a":1,"b":-', '{"a":1}'),
        ('{"a":1,"b":12.', '{"a":1}'),
        ('{"a":1,"b"', '{"a":1}'),
        ('{"a":1,"b":', '{"a":1}'),
        ('{"a":1,', '{"a":1}'),
        ('{"a":"text', '{"a":"text"}'),
        ('{"a":"text\\', '{"a":"text"}'),
        ('{"a":"text\\u00e', '{"a":"text"}'),
        ('{"a":"text\\ud83d', '{"a":"text"}'),
        ('{"a":"text\\ud83d\\ude0', '{"a":"text"}'),
        ('{"a":"text\\ud83d\\ude00', '{"a":"text\\ud83d\\ude00"}'),
        ('{"a":"\\\\ud83d', '{"a":"\\\\ud83d"}'),
        ('{"a":"\\\\', '{"a":"\\\\"}'),
        ('{"a":"\\"', '{"a":"\\""}'),
        ('{"a":1.0e5,"a":2, "n":12345678901234567890123 ,', '{"a":1.0e5,"a":2, "n":12345678901234567890123}'),
        ("[1,2", "[1]"),
        ("[[[", "[[[]]]"),
        ('"abc', '"abc"'),
        ("123", ""),
        ("{", "{}"),
        ('[{"jsonrpc":"2.0","id":1,"result":{}},{"jsonrpc":"2.0","id":2,"res', None),
        ('{"a":1}\n{"a":2}\n{"a"', '{"a":1}\n{"a":2}\n{}'),
        ('\x1e{"a":1}\n\x1e{"a":"x', '\x1e{"a":1}\n\x1e{"a":"x"}'),
        ('{"a":NaN,"b":[1,],"c":"x', '{"a":NaN,"b":[1,],"c":"x"}'),
    ],
)
def test_what_is_closed(cut: str, closed: str | None) -> None:
    """Unfinished keys, numbers and literals are dropped, strings and brackets closed; spellings and duplicates stay."""
    assert close(cut) == (closed if closed is not None else cut[: cut.rindex(',"res')] + "}]")


@pytest.mark.parametrize(
    "text", ["<html><body>", "this is a failure", "[2024-01-01] started", "{]", '{"a" "b"', "]", "(1", '{"a":1, b=2']
)
def test_what_is_not_a_json(text: str) -> None:
    """Text that is not JSON is recognised and left alone."""
    assert json.close(text.encode(), 100) is None


@pytest.mark.parametrize("limit", range(30))
def test_the_end_fits_the_limit_too(limit: int) -> None:
    """Closing quotes and brackets are within the limit; if nothing fits, the result is empty."""
    closed = close('{"a":{"b":"' + "€" * 40, limit)
    assert len(closed.encode()) <= limit
    assert closed == "" or read_json(closed) is not None
    assert limit < 14 or len(closed.encode()) > limit - 3


def test_a_string_that_is_whole_but_does_not_fit_is_shortened() -> None:
    """The last string is shortened to make room for the closing brackets."""
    assert close('{"a":"12345678"', 15) == '{"a":"1234567"}'


@given(json_texts, st.data())
def test_any_json_at_any_cut(text: str, data: st.DataObject) -> None:
    """The result fits, parses strictly, and is a prefix of the text followed by quotes and brackets."""
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    limit = data.draw(st.integers(0, cut + 5))
    closed = json.close(raw[:cut], limit)
    assert closed is not None
    assert len(closed) <= limit
    if closed:
        read_json(closed.decode())
        assert is_cut_of(closed.decode(), text, r'"?[\]}]*')


@given(st.lists(json_texts, min_size=2, max_size=6), st.sampled_from(["\n", "\r\n", "\n\x1e"]), st.data())
def test_any_lines_at_any_cut(lines: list[str], between: str, data: st.DataObject) -> None:
    """The same holds for JSON lines."""
    raw = between.join(f"[{line}]" for line in lines).encode()
    cut = data.draw(st.integers(0, len(raw)))
    closed = json.close(raw[:cut], cut)
    assert closed is not None
    assert len(closed) <= cut
    read_json_values(closed.decode())


@given(st.lists(json_texts, min_size=1, max_size=4), st.data())
def test_texts_longer_than_the_tail(items: list[str], data: st.DataObject) -> None:
    """The same holds where most of the text is not tokenised."""
    inner = ",".join(items)
    raw = f"[{','.join([inner] * (1_500 // len(inner) + 1))}]".encode()
    cut = data.draw(st.integers(0, len(raw)))
    closed = json.close(raw[:cut], cut)
    assert closed is not None
    assert len(closed) <= cut
    assert closed == b"" or isinstance(read_json(closed.decode()), list)


@given(st.binary(max_size=300), st.integers(0, 300))
def test_any_bytes(data: bytes, limit: int) -> None:
    """Any bytes are closed without an error, and the result is not longer."""
    closed = json.close(data, limit)
    assert closed is None or len(closed) <= limit
    json.depth_cut(data)
    json.is_deep(data)
    json.is_balanced(data)
    json.is_json(data)


@given(st.text('[]{}",:\\1a\n'), st.integers(0, 80))
def test_any_structure(text: str, limit: int) -> None:
    """The same holds for texts that are almost JSON."""
    closed = json.close(text.encode(), limit)
    assert closed is None or len(closed) <= limit


def levels(text: str) -> int:
    """Return the maximum nesting of brackets, counted one by one."""
    depth, deepest = 0, 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        depth += (found[0] in "[{") - (found[0] in "]}")
        deepest = max(deepest, depth)
    return deepest


class TestDepth:
    """Text nested so deeply that parsers' stacks would overflow."""

    def test_deep_text_is_cut_at_its_level(self) -> None:
        """Five hundred levels are kept."""
        closed = close("[" * 3_000)
        assert closed == "[" * 500 + "]" * 500
        assert read_json(closed) is not None

    @pytest.mark.parametrize("depth", [499, 500])
    def test_what_is_not_too_deep_is_not_cut(self, depth: int) -> None:
        """Text nested exactly to the limit is not cut."""
        assert json.depth_cut(('{"a":' * depth + "1" + "}" * depth).encode()) == -1

    def test_brackets_in_strings_are_no_levels(self) -> None:
        """Brackets in strings neither add to the depth nor hide it."""
        assert json.depth_cut(('["' + "[" * 3_000 + '"]').encode()) == -1
        hidden = b'["' + b"]" * 3_000 + b'",' + b"[" * 600
        assert json.depth_cut(hidden) == len(hidden) - 600 + 499

    def test_many_arrays_side_by_side_are_not_deep(self) -> None:
        """Only brackets that are open at the same time count."""
        assert json.depth_cut(b"[" + b"[[]]," * 3_000 + b"1]") == -1

    @pytest.mark.parametrize("depth", [500, 501, 700, 3_000])
    @pytest.mark.parametrize("before", ["", "[1]," * 900, '{"a":"[[[{{"},' * 900, '{"s":"}{]["},' * 900])
    @pytest.mark.parametrize("behind", ["", ',{"b":[2]}' * 900, ',"]]}}"' * 900])
    def test_whole_text_is_deep_or_not(self, depth: int, before: str, behind: str) -> None:
        """Deep nesting is found anywhere in the text."""
        text = "[" + before + "[" * (depth - 1) + "]" * (depth - 1) + behind + "]"
        assert json.is_deep(text.encode()) == (depth > 500)

    @given(json_texts, st.integers(1, 60))
    def test_any_whole_text(self, text: str, deepest: int) -> None:
        """Only the real nesting decides, whatever the quick count says."""
        assert json.is_deep(text.encode(), deepest) == (levels(text) > deepest)

    @given(st.text("[]{}", max_size=80), st.integers(0, 20))
    def test_brackets_that_do_not_match(self, text: str, deepest: int) -> None:
        """A bracket that closes nothing lowers the level."""
        assert (json.depth_cut(text.encode(), deepest) >= 0) == (levels(text) > deepest)

    def test_the_rest_behind_shallow_text_is_found(self) -> None:
        """Deep text is found after any amount of shallow text."""
        shallow = b"[" + b"[1]," * 3_000
        assert json.depth_cut(shallow + b"[" * 600) == len(shallow) + 499


def test_an_array_is_filled_as_far_as_it_goes() -> None:
    """The array is filled up to the limit, and the item at the limit is closed."""
    items = [b'{"a":1}', b'{"b":"xxxxxxxx"}', b'{"c":1}']
    assert json.array(items, 100) == b'[{"a":1},{"b":"xxxxxxxx"},{"c":1}]'
    assert json.array(items, 20) == b'[{"a":1},{"b":"xx"}]'
    assert json.array(items, 9) == b'[{"a":1}]'
    assert json.array(items, 1) == b""


@pytest.mark.parametrize("prefix", [")]}'\n", ")]}',\n", ")]}", "for(;;);", "while(1);", " )]}',\r\n"])
def test_prefixes_against_scripts_are_taken_off(prefix: str) -> None:
    """Prefixes against script inclusion, after which Akto reads nothing, are removed."""
    assert json.without_prefix(prefix.encode() + b'{"a":1}') == b'{"a":1}'


@pytest.mark.parametrize("before", ["cb(", "a.b['c']( ", "/**/ cb(\n", "/**/ typeof cb === 'function' && cb("])
@pytest.mark.parametrize("behind", [")", ");", " ) ;\n", ""])
def test_a_call_around_json_is_taken_off(before: str, behind: str) -> None:
    """JSONP padding is removed, even from a cut text without the end of the call."""
    assert json.without_padding((before + '[{"a":"b)"}]' + behind).encode()).strip() == b'[{"a":"b)"}]'


@pytest.mark.parametrize(
    "text", ['{"a":"cb({"}', "f([1].map(g))", 'cb({"a":1});', "f({}, [1])", "f()", "", "if (x) {", "3([1])"]
)
def test_what_akto_reads_and_what_is_no_json_stays(text: str) -> None:
    """Calls from which Akto extracts the object itself, and text that is not JSON, are unchanged."""
    assert json.bare(text.encode()) == text.encode()


@pytest.mark.parametrize("text", ['/* (c) */cb({"a":1})', 'cb( {"a":1})', "cb([1])", ")]}',\ncb([1])"])
def test_calls_that_akto_does_not_read(text: str) -> None:
    """Only the argument of such a call is sent."""
    assert read_json(json.bare(text.encode()).decode()) in ({"a": 1}, [1])


def test_lone_surrogates_and_what_is_not_a_number_are_json() -> None:
    """Lone surrogates and NaN, as written by JavaScript and Python, are accepted."""
    assert json.is_json(b'{"a":"\\ud800"}')
    assert json.is_json(b"[NaN]")
    assert not json.is_json(b'{"a":1}{')
    assert not json.is_json(b"[" * 100_000)


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "arrays": lambda size: b"[" * size,
    "objects": lambda size: b'{"a":' * (size // 5),
    "comb": lambda size: b"[[]," * (size // 4),
    "late depth": lambda size: b"[" + b"[]," * (size // 6) + b"[" * (size // 2),
    "escapes": lambda size: b'["' + b"\\n" * (size // 2),
    "backslashes": lambda size: b'["' + b"\\" * size,
    "quotes": lambda size: b"[" + b'""' * (size // 2),
    "commas": lambda size: b"[" + b"," * size,
    "lines": lambda size: b"1\n" * (size // 2),
    "blanks": lambda size: b"[" + b" " * size,
    "digits": lambda size: b"[" + b"1" * size,
    "strings of commas": lambda size: b'["' + b'","' * (size // 3),
}


@pytest.mark.parametrize("shape", HOSTILE)
def test_the_work_is_linear(shape: str) -> None:
    """A megabyte of any shape takes far less than a second; quadratic work would take minutes."""
    data = HOSTILE[shape](1 << 20)
    start = time.thread_time()
    json.close(data, len(data))
    json.depth_cut(data)
    json.is_deep(data)
    assert time.thread_time() - start < 3


def test_a_whole_text_costs_next_to_nothing() -> None:
    """Checking a whole text costs a fraction of parsing it."""
    data = b'{"items":[' + b",".join(b'{"id":%d,"name":"n%d"}' % (i, i) for i in range(2_500)) + b"]}"

    def best(work: Callable[[bytes], object]) -> float:
        times = []
        for _ in range(9):
            start = time.thread_time()
            work(data)
            times.append(time.thread_time() - start)
        return min(times)

    assert best(json.is_deep) < best(stdlib.loads) / 2
