"""Bodies in the content coding of their headers, and missing bodies."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload.codings import decode
from akto_mirror.replay.har.bodies import Bodies, coded, unbase64

HEADERS = [["gzip"], ["deflate"], ["br"], ["zstd"], ["gzip", "br"], ["x-gzip"]]


@pytest.mark.parametrize("names", HEADERS, ids=str)
def test_a_body_gets_its_codings_back(names: list[str]) -> None:
    """A body, which HAR has decoded, is encoded again, because flows are decoded when they are captured."""
    fields = [(b"Content-Encoding", name.encode()) for name in names]
    made = coded(b'{"a":1}' * 9, fields)
    assert made != b'{"a":1}' * 9
    assert decode(made, ", ".join(names), 1000) == b'{"a":1}' * 9


def test_a_body_that_is_still_coded_stays() -> None:
    """A body that is still encoded, because its tool could not decode it, is not changed."""
    gzipped = [(b"content-encoding", b"gzip")]
    once = coded(b"x", gzipped)
    assert coded(once, gzipped) == once
    assert coded(b"x", [(b"content-encoding", b"unheard-of")]) == b"x"
    assert coded(b"", gzipped) == b""


@given(st.binary(max_size=60), st.integers(0, 3))
def test_base64_that_was_cut_gives_what_is_there(content: bytes, lost: int) -> None:
    """Cut base64 gives a prefix of the body."""
    text = b64encode(content).decode()
    assert content.startswith(unbase64(text[: len(text) - lost]))


@pytest.mark.parametrize(
    ("content", "method", "status", "found"),
    [
        ({"text": "{}"}, "GET", 200, b"{}"),
        ({"text": "e30=", "encoding": "base64"}, "GET", 200, b"{}"),
        ({"text": "{ }", "encoding": "base64"}, "GET", 200, b"{ }"),
        ({"size": 9}, "GET", 200, None),
        ({"size": 0}, "GET", 200, b""),
        ({"size": 9}, "HEAD", 200, b""),
        ({"size": 9}, "GET", 204, b""),
        ({"_file": "x", "size": 9}, "GET", 200, None),
    ],
)
def test_a_body_that_is_missing_is_not_an_empty_one(
    content: dict[str, object], method: str, status: int, found: bytes | None
) -> None:
    """A body is missing if the tool gives a size and the exchange can have one."""
    assert Bodies().of_response({"content": content}, [], method, status) == found
