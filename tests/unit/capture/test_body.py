"""Payloads of bodies: decoded where possible, and always bounded."""

from __future__ import annotations

import base64
import gzip
import random
import tracemalloc
import zlib

import brotlicffi
import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture import body, sides
from akto_mirror.capture.body import Body
from akto_mirror.capture.payload.codings import decode, prefix_bound
from tests.support.coders import CODERS, encode, raw_deflate, zstd

LIMIT = 65536
TEXT = b'{"greeting": "\xc3\xbcber"}'
LONG = b"".join(b"%d," % number for number in range(40_000))
JSON = "application/json"
CHAINS = ["gzip, br", "br,gzip", "deflate, zstd", "zstd, gzip, br", "gzip,gzip,gzip,gzip", "identity, gzip, identity"]


def akto(data: bytes, coding: str = "", limit: int = LIMIT, content_type: str = JSON) -> str:
    """Return the payload of a whole body in the fidelity `akto`."""
    return sides.akto(
        body.snapshot(data, limit), {"content-type": content_type, "content-encoding": coding}, limit
    ).payload.text


def worker(data: bytes, coding: str = "", limit: int = LIMIT) -> str:
    """Return the payload of a whole body in the fidelity `worker`."""
    return body.worker_payload(body.snapshot(data, limit), coding, limit)


class TestAkto:
    """The fidelity `akto`, which decodes what it can."""

    @pytest.mark.parametrize("coding", [*CODERS, *CHAINS, "GZip", " br ", ",gzip,,", "identity", "", "unheard-of"])
    def test_every_coding_is_undone(self, coding: str) -> None:
        """Codings and chains are decoded, in any case and spacing; with an unknown coding the body is not changed."""
        assert akto(encode(TEXT, coding), coding) == TEXT.decode()

    def test_deflate_without_zlibs_frame_is_undone(self) -> None:
        """RFC 9110 defines deflate as zlib's format; raw deflate is decoded too."""
        assert akto(raw_deflate(TEXT), "deflate") == TEXT.decode()

    @pytest.mark.parametrize("coding", list(CODERS))
    def test_the_limit_counts_decoded_bytes(self, coding: str) -> None:
        """A longer body is cut to exactly the limit, after decoding; a shorter one is kept whole."""
        assert akto(encode(LONG, coding), coding) == LONG[:LIMIT].decode()
        assert akto(encode(LONG[:LIMIT], coding), coding) == LONG[:LIMIT].decode()
        assert akto(encode(LONG[: LIMIT - 1], coding), coding) == LONG[: LIMIT - 1].decode()

    @pytest.mark.parametrize("coding", [*CODERS, "", *CHAINS])
    @pytest.mark.parametrize("limit", [0, 1, 2])
    def test_tiny_limits_hold(self, coding: str, limit: int) -> None:
        """Tiny limits, including 0, hold with any coding."""
        assert len(decode(encode(TEXT, coding), coding, limit)) == limit

    @pytest.mark.parametrize("coding", ["gzip", "x-gzip", "br", "zstd"])
    def test_members_that_follow_one_another_are_one_body(self, coding: str) -> None:
        """Concatenated members are one body: of gzip by RFC 1952, section 2.2, and likewise of zstd and br."""
        assert akto(encode(b"one ", coding) + encode(b"two ", coding) + encode(b"three", coding), coding) == (
            "one two three"
        )

    @pytest.mark.parametrize("coding", list(CODERS))
    def test_of_a_body_cut_short_the_decodable_part_is_kept(self, coding: str) -> None:
        """Half of a coded body is decoded to a prefix of the text."""
        whole = encode(b"".join(b"%d," % number for number in range(300_000)), coding)
        kept = decode(whole[: len(whole) // 2], coding, LIMIT)
        assert kept == LONG[:LIMIT]

    @pytest.mark.parametrize("coding", list(CODERS))
    @pytest.mark.parametrize("garbage", [b"\x00", bytes(100), b"garbage" * 9, b"\xff" * 3])
    def test_garbage_behind_the_end_is_left_out(self, coding: str, garbage: bytes) -> None:
        """Bytes after the end of the coded stream are left out."""
        assert akto(encode(TEXT, coding) + garbage, coding) == TEXT.decode()

    @pytest.mark.parametrize(("coding", "place"), [("gzip", -6), ("gzip", -2), ("deflate", -2)])
    def test_a_wrong_checksum_loses_nothing(self, coding: str, place: int) -> None:
        """The text is kept even if its checksum is wrong."""
        coded = bytearray(encode(TEXT, coding))
        coded[place] ^= 0xFF
        assert akto(bytes(coded), coding) == TEXT.decode()

    def test_a_frame_of_zstd_behind_a_sound_one_may_be_broken(self) -> None:
        """The first frame of zstd is kept even if the next one is broken."""
        assert akto(zstd(TEXT) + zstd(LONG)[:-9] + b"garbage", "zstd").startswith(TEXT.decode())

    @pytest.mark.parametrize("coding", list(CODERS))
    def test_of_an_empty_body_nothing_is_left(self, coding: str) -> None:
        """An empty body stays empty in every coding; in br it is one byte that could pass for text."""
        assert akto(encode(b"", coding), coding) == ""

    @pytest.mark.parametrize("coding", list(CODERS))
    def test_text_under_a_wrong_label_stays_as_it_is(self, coding: str) -> None:
        """Plain text under a content coding's label is kept."""
        assert akto(b'{"plain": true}', coding) == '{"plain": true}'
        assert akto(b"[" + b'"ab\xc3', coding) == '["ab\ufffd'

    @pytest.mark.parametrize(("label", "real"), [("gzip", "zstd"), ("zstd", "br"), ("gzip", "br"), ("zstd", "gzip")])
    def test_coded_bytes_under_a_wrong_label_are_left_out(self, label: str, real: str) -> None:
        """Bytes in another coding than the label's are left out: they would only be noise."""
        assert akto(encode(LONG, real), label) == ""

    def test_binary_bytes_under_a_wrong_label_are_left_out(self) -> None:
        """Binary bytes that are not in the label's coding are left out."""
        assert akto(b"\xff\xfe\xfd\xfc", "gzip") == ""
        assert akto(b"text\x00", "gzip") == ""

    def test_a_chain_may_swell_in_the_middle(self) -> None:
        """Incompressible data, which grows with each coding of a chain, is decoded as a whole."""
        noise = random.Random(0).randbytes(LIMIT)
        assert decode(encode(noise, "gzip, br"), "gzip, br", LIMIT) == noise

    @pytest.mark.parametrize("coding", ["a,b,c,d,e", "a", "a, b", "gzip," * 5, "gzip," * 100_000])
    def test_no_list_of_codings_hides_a_body(self, coding: str) -> None:
        """Each coding costs a pass, so that long chains are not decoded; the bytes are kept as they arrived."""
        assert akto(TEXT, coding) == TEXT.decode()

    def test_thousands_of_members_are_not_followed(self) -> None:
        """Of thousands of empty members only the first are read, because each costs time."""
        assert akto(gzip.compress(b"") * 5000 + gzip.compress(b"late"), "gzip") == ""

    @pytest.mark.parametrize(
        "content_type",
        ["application/grpc", "application/GRPC+proto", "application/grpc-web ;a=b", "application/grpc-web+proto"],
    )
    @pytest.mark.parametrize("coding", ["", "gzip"])
    def test_grpc_is_base64_of_its_messages(self, content_type: str, coding: str) -> None:
        """Frames of gRPC become base64, which Akto's runtime decodes, even under a wrong content coding."""
        message = b"\x0a\x1e" + b"a" * 30
        frames = (b"\x00\x00\x00\x00\x20" + message) * 4_000
        for wire in (frames, encode(frames, coding)):
            found = base64.b64decode(akto(wire, coding, content_type=content_type), validate=True)
            assert (message * 4_000).startswith(found[5 : len(found) // 32 * 32 - 27])
            assert LIMIT * 3 // 4 - 40 < len(found) <= LIMIT * 3 // 4

    @pytest.mark.parametrize("content_type", ["application/json; v=grpc", "application/json;grpc", "text/x-grpc-log"])
    def test_grpc_in_a_parameter_is_not_grpc(self, content_type: str) -> None:
        """Only the essence of the media type decides: otherwise, JSON would be hidden from Akto."""
        assert akto(TEXT, content_type=content_type) == TEXT.decode()

    def test_grpc_web_text_is_base64_already(self) -> None:
        """A body of gRPC-web-text is base64 already, and is not encoded again."""
        assert akto(b"AAAAAAMKAWE=", content_type="application/grpc-web-text+proto") == "AAAAAAMKAWE="


class TestWorker:
    """The fidelity `worker`, which loses what the Worker loses, as recorded in workerd."""

    @pytest.mark.parametrize("coding", ["gzip", "br"])
    def test_two_codings_are_decoded_by_the_platform(self, coding: str) -> None:
        """Bodies in gzip and br are decoded, of several members too."""
        assert worker(encode(TEXT, coding), coding) == TEXT.decode()
        assert worker(encode(LONG, coding), coding) == LONG[:LIMIT].decode()
        assert worker(encode(b"one ", coding) + encode(b"two", coding), coding) == "one two"

    @pytest.mark.parametrize(
        "coding", ["GZIP", "x-gzip", "gzip, br", "gzip,", "identity", "deflate", "zstd", "brotli", "br, br", ""]
    )
    def test_every_other_spelling_leaves_the_body_coded(self, coding: str) -> None:
        """Other codings and spellings are not decoded: the platform compares exactly."""
        coded = gzip.compress(TEXT)
        assert worker(coded, coding) == coded.decode("utf-8", "replace")

    @pytest.mark.parametrize("coding", ["gzip", "br"])
    @pytest.mark.parametrize(
        "damage",
        [
            lambda coded: coded[:-1],
            lambda coded: coded[: len(coded) // 2],
            lambda coded: coded + b"\x00",
            lambda coded: coded + bytes(64),
            lambda coded: coded + b"garbage",
            lambda _: b'{"plain": true}',
            lambda _: zlib.compress(TEXT),
            lambda coded: coded[:4],
            lambda coded: coded + coded[:-1],
        ],
    )
    def test_any_damage_in_a_coded_body_empties_it(self, coding: str, damage: object) -> None:
        """Truncation, trailing bytes or a wrong label make the platform's stream fail; the Worker catches the error."""
        assert callable(damage)
        assert worker(damage(encode(TEXT, coding)), coding) == ""

    @pytest.mark.parametrize("place", [-1, -5])
    def test_a_wrong_gzip_trailer_empties_the_body(self, place: int) -> None:
        """A wrong length or checksum in the gzip trailer empties the body."""
        coded = bytearray(gzip.compress(TEXT))
        coded[place] ^= 1
        assert worker(bytes(coded), "gzip") == ""

    def test_it_is_decoded_once(self) -> None:
        """Only one coding is decoded: gzip inside gzip stays gzip."""
        inner = gzip.compress(TEXT)
        assert worker(gzip.compress(inner), "gzip") == inner.decode("utf-8", "replace")

    @pytest.mark.parametrize("coding", ["gzip", "br"])
    def test_an_empty_body_is_empty(self, coding: str) -> None:
        """An empty body is not treated as damaged."""
        assert worker(b"", coding) == ""

    def test_damage_far_behind_the_limit_is_found(self) -> None:
        """Damage after the limit is found, because the Worker reads the whole body before it cuts it."""
        coded = gzip.compress(bytes(10 * LIMIT))
        assert worker(coded, "gzip") == "\x00" * LIMIT
        assert worker(coded[:-1], "gzip") == ""

    @pytest.mark.parametrize("coding", ["gzip", "br"])
    @pytest.mark.parametrize("limit", [LIMIT, 1 << 22])
    def test_the_search_for_damage_is_bounded(self, coding: str, limit: int) -> None:
        """The search for damage ends at a fixed distance after the limit, and its memory is bounded."""
        coded = encode(bytes(16 * (1 << 22)), coding)[:-1]
        wire = Body(coded[: prefix_bound(limit)])
        tracemalloc.start()
        found = body.worker_payload(wire, coding, limit)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(found) == limit
        assert peak < 4 * (limit + body.DRAIN)

    @pytest.mark.parametrize("coding", ["gzip", "br"])
    def test_members_do_not_lengthen_the_search(self, coding: str) -> None:
        """All members and trailing bytes share one bound."""
        wire = Body(encode(bytes(LIMIT + body.DRAIN), coding) * 3 + b"\xff" * 1000)
        assert body.worker_payload(wire, coding, LIMIT) == "\0" * LIMIT

    def test_a_prefix_that_was_kept_of_a_longer_body_is_not_damage(self) -> None:
        """The kept part of a longer body is decoded; the rest cannot be judged."""
        coded = brotlicffi.compress(LONG)
        half = Body(coded[: len(coded) // 2], complete=False)
        assert LONG.decode().startswith(body.worker_payload(half, "br", 1000))
        assert body.worker_payload(half, "br", 1000) == LONG[:1000].decode()

    @pytest.mark.parametrize("limit", [0, 1])
    @pytest.mark.parametrize("coding", ["", "gzip", "br"])
    def test_tiny_limits_hold(self, coding: str, limit: int) -> None:
        """Tiny limits, including 0, hold."""
        assert len(worker(encode(TEXT, coding), coding, limit)) == limit


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", ""),
        (b"\xef\xbb\xbfa", "a"),
        (b"\xef\xbb\xbf\xef\xbb\xbfa", "\ufeffa"),
        (b"\xef\xbb", "\ufffd"),
        (b"\xef", "\ufffd"),
        (b"a\xff", "a\ufffd"),
        (b"\xed\xa0\x80", "\ufffd\ufffd\ufffd"),
        (b"\xf0\x9f\x98", "\ufffd"),
        (b"\xc0\xaf", "\ufffd\ufffd"),
        (b"\xfe\xff\x00a", "\ufffd\ufffd\x00a"),
        ("日本".encode("utf-16"), "\ufffd\ufffd\ufffde,g"),
        (b"a\x00b", "a\x00b"),
    ],
)
def test_text_is_what_a_text_decoder_makes_of_it(data: bytes, expected: str) -> None:
    """Text is decoded like `TextDecoder` does: UTF-8, U+FFFD for each maximal part, and no leading byte order mark."""
    assert body.text(data) == expected


@pytest.mark.parametrize("length", [LIMIT - 1, LIMIT, LIMIT + 1])
def test_the_cut_may_fall_into_a_character(length: int) -> None:
    """A character that is cut at the limit becomes U+FFFD in `worker`, and is left out in `akto`."""
    data = b"a" * (length - 2) + "日".encode()
    expected = ("a" * (length - 2) + "日") if length + 1 <= LIMIT else "a" * (length - 2) + "\ufffd"
    assert worker(data) == expected
    assert akto(data, content_type="text/plain") == expected.removesuffix("\ufffd")


def test_a_byte_order_mark_counts_before_it_is_dropped() -> None:
    """A byte order mark counts towards the limit: the body is cut before the mark is removed."""
    assert worker(b"\xef\xbb\xbf" + b"a" * LIMIT) == "a" * (LIMIT - 3)


@pytest.mark.parametrize("size", [0, 1, 2 * LIMIT - 1, 2 * LIMIT, 2 * LIMIT + 1])
def test_a_snapshot_is_a_bounded_prefix(size: int) -> None:
    """At most twice the limit is kept, and it is known whether that is the whole body."""
    taken = body.snapshot(bytes(size), LIMIT)
    assert taken.prefix == bytes(min(size, 2 * LIMIT))
    assert taken.complete is (size <= 2 * LIMIT)


def test_a_body_that_was_not_kept_is_not_complete() -> None:
    """A missing body is incomplete, unlike an empty one."""
    assert body.snapshot(None, LIMIT) == Body(b"", complete=False)


coded = st.one_of(
    st.binary(max_size=400),
    st.tuples(st.sampled_from(list(CODERS)), st.binary(max_size=2000), st.binary(max_size=8), st.integers(0, 60)).map(
        lambda parts: encode(parts[1], parts[0])[parts[3] % 7 : -1 - parts[3]] + parts[2]
    ),
    st.binary(max_size=300).map(lambda data: zstd(data) + zstd(data)),
)
codings = st.lists(st.sampled_from([*CODERS, "identity", "GZIP", "", "x", " br"]), max_size=5).map(",".join)


@given(coded, st.one_of(codings, st.text(max_size=20)), st.integers(0, 600))
def test_no_body_raises_or_passes_the_limit(data: bytes, coding: str, limit: int) -> None:
    """Any bytes under any label become text within the limit, in both fidelities."""
    assert len(decode(data, coding, limit)) <= limit
    assert len(worker(data, coding, limit)) <= limit
    assert len(akto(data, coding, limit)) <= limit
    assert len(akto(data, coding, limit, "application/grpc")) <= 4 * (limit // 3 + 1)
