"""Only graceful GOAWAY frames are removed from a connection's bytes, in chunks of any size."""

from __future__ import annotations

from itertools import pairwise

from hyperframe.frame import DataFrame, Frame, GoAwayFrame, PingFrame, SettingsFrame
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.layers.http2_frames import MOST, PREFACE, FrameReader, greets

GRACEFUL = st.builds(GoAwayFrame, last_stream_id=st.integers(0, 2**31 - 1), additional_data=st.binary(max_size=30))
OTHERS = st.one_of(
    st.builds(DataFrame, st.integers(1, 99), st.binary(max_size=300)),
    st.builds(PingFrame, opaque_data=st.binary(min_size=8, max_size=8)),
    st.builds(SettingsFrame, settings=st.dictionaries(st.integers(1, 6), st.integers(0, 99), max_size=3)),
    st.builds(GoAwayFrame, error_code=st.integers(1, 2**32 - 1), additional_data=st.binary(max_size=30)),
)


def fed(reader: FrameReader, data: bytes, cuts: list[int]) -> bytes:
    """Feed data in pieces, and return the bytes that were passed on."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return b"".join(reader.feed(data[start:end]) for start, end in pairwise(places))


@given(st.lists(st.one_of(OTHERS, GRACEFUL)), st.lists(st.integers(0, 10_000)), st.booleans())
def test_only_graceful_goaways_are_left_out(frames: list[Frame], cuts: list[int], preface: bool) -> None:
    """All other frames pass byte for byte, and the last stream is the last GOAWAY's."""
    start = PREFACE if preface else b""
    reader = FrameReader(skip=len(start))
    graceful = [each for each in frames if isinstance(each, GoAwayFrame) and not each.error_code]
    others = [each for each in frames if each not in graceful]
    assert fed(reader, start + b"".join(each.serialize() for each in frames), cuts) == start + b"".join(
        each.serialize() for each in others
    )
    assert reader.last_stream == (graceful[-1].last_stream_id if graceful else None)
    assert not reader.overlong


@given(st.binary(max_size=400), st.lists(st.integers(0, 400)))
def test_any_bytes_are_passed_on_in_order(data: bytes, cuts: list[int]) -> None:
    """Bytes that are not HTTP/2 cause no error, and a subsequence of them is passed on."""
    reader = FrameReader()
    passed = iter(fed(reader, data, cuts))
    rest = iter(data)
    assert all(byte in rest for byte in passed)


def test_overlong_frame_is_noticed_at_its_header() -> None:
    """A frame over mitmproxy's limit is noticed at its header, and so is an HTTP/1 response."""
    for length, overlong in ((MOST, False), (MOST + 1, True)):
        reader = FrameReader()
        reader.feed(length.to_bytes(3, "big") + bytes(6))
        assert reader.overlong is overlong
    reader = FrameReader()
    reader.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    assert reader.overlong


def test_greeting() -> None:
    """A server's first frame is SETTINGS; a prefix of one counts too."""
    settings = SettingsFrame(settings={3: 100}).serialize()
    assert all(greets(settings[:size]) for size in range(len(settings) + 1))
    for other in (b"HTTP/1.1 200 OK", b"220 mail.example", PingFrame(opaque_data=bytes(8)).serialize()):
        assert not greets(other)
