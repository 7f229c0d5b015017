"""The tee passes on what comes, keeps a prefix, and is put only where it belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from akto_mirror.capture import tee
from akto_mirror.capture.body import Body
from akto_mirror.capture.config import Mode
from akto_mirror.capture.tee import Rule, Tee
from tests.support.flows import flow, request, response

LIMIT = 65536
CHUNKS = st.lists(st.binary(min_size=1, max_size=9), max_size=12)


def joined(out: Iterable[bytes] | bytes) -> bytes:
    """Collect what a stream callable gave, as mitmproxy does."""
    return out if isinstance(out, bytes) else b"".join(out)


def run(tested: Tee, chunks: list[bytes]) -> bytes:
    """Send a whole body through, its end included."""
    return b"".join(joined(tested(chunk)) for chunk in [*chunks, b""])


class TestTee:
    """The callable itself."""

    @given(CHUNKS, st.integers(0, 40))
    def test_everything_passes_and_a_prefix_stays(self, chunks: list[bytes], keep: int) -> None:
        """Whatever the chunks, they go on untouched, and what is kept is their beginning."""
        tested = Tee(keep)
        whole = b"".join(chunks)
        assert run(tested, chunks) == whole
        assert tested.body() == Body(whole[:keep], complete=len(whole) <= keep)

    def test_a_body_without_an_end_is_not_complete(self) -> None:
        """Until the empty chunk has come, more may follow; an end without a body is an empty body."""
        tested = Tee(10)
        assert tested.body() == Body(b"", complete=False)
        tested(b"abc")
        assert tested.body() == Body(b"abc", complete=False)
        tested(b"")
        assert tested.body() == Body(b"abc", complete=True)
        empty = Tee(10)
        empty(b"")
        assert empty.body() == Body(b"", complete=True)

    def test_what_is_kept_is_a_copy(self) -> None:
        """A body that was asked for does not grow with what comes later."""
        tested = Tee(10)
        tested(b"abc")
        kept = tested.body()
        tested(b"def")
        assert kept.prefix == b"abc"

    @pytest.mark.parametrize(
        "inner",
        [
            lambda chunk: chunk.upper() if chunk else b"!",
            lambda chunk: [chunk[:1].upper(), chunk[1:].upper()] if chunk else [b"!"],
            lambda chunk: (piece for piece in ([chunk.upper()] if chunk else [b"!"])),
            lambda chunk: iter([chunk.upper()]) if chunk else (b"!",),
        ],
    )
    def test_another_addons_callable_is_wrapped(self, inner: object) -> None:
        """Its output goes on and is kept, be it bytes, a list or a generator; what it adds at the end too."""
        assert callable(inner)
        tested = Tee(100, inner)
        assert run(tested, [b"ab", b"cd"]) == b"ABCD!"
        assert tested.body() == Body(b"ABCD!", complete=True)

    def test_a_generator_is_not_run_ahead(self) -> None:
        """Each piece is passed on before the next is asked for."""
        asked: list[int] = []

        def inner(chunk: bytes) -> Iterator[bytes]:
            for number in range(3):
                asked.append(number)
                yield chunk

        out = iter(Tee(100, inner)(b"x"))
        next(out)
        assert asked == [0]

    def test_a_callable_that_swallows_everything_leaves_an_empty_body(self) -> None:
        """What did not go on is not reported."""
        tested = Tee(100, lambda _: b"")
        assert run(tested, [b"ab"]) == b""
        assert tested.body() == Body(b"", complete=True)

    def test_an_error_of_another_addon_is_not_hidden(self) -> None:
        """It is dealt with as it would be without the tee."""

        def inner(_: bytes) -> bytes:
            raise RuntimeError("theirs")

        with pytest.raises(RuntimeError, match="theirs"):
            Tee(10, inner)(b"x")

    @pytest.mark.parametrize("wanted", [True, False])
    def test_its_truth_is_asked_for_late(self, wanted: bool) -> None:
        """What is true when all addons have had their say is streamed."""
        assert bool(Tee(1, wanted=lambda: wanted)) is wanted
        assert bool(Tee(1))


SHORT = [(b"content-length", b"10")]
LONG = [(b"content-length", b"65537")]
EXACT = [(b"content-length", b"65536")]
HELD = [(b"content-length", b"67108864")]
LONGER = [(b"content-length", b"67108865")]
CHUNKED = [(b"transfer-encoding", b"chunked")]


def typed(content_type: bytes, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Make header fields with a content type."""
    return [(b"content-type", content_type), *more]


class TestResponses:
    """Which responses pass while they come."""

    @pytest.mark.parametrize(
        ("fields", "passes"),
        [
            (SHORT, False),
            (EXACT, False),
            (LONG, True),
            (CHUNKED, True),
            ([], True),
            ([(b"content-length", b"0")], False),
            (typed(b"application/json", *SHORT), False),
            (typed(b"text/event-stream", *SHORT), True),
            (typed(b"Text/Event-Stream; charset=utf-8"), True),
            (typed(b"application/grpc+proto", *SHORT), True),
            (typed(b"application/x-ndjson", *SHORT), True),
            (typed(b"application/jsonl", *SHORT), True),
            (typed(b"application/json-seq", *SHORT), True),
            ([(b"content-length", b"nonsense")], False),
            ([(b"content-length", b"-1")], False),
            ([(b"content-length", b"9" * 40)], True),
            ([(b"Content-Length", b"10"), (b"x-live-typed", b"text/event-stream")], False),
            ([(b"CONTENT-LENGTH", b"10"), (b"x-other-length", b"99999")], False),
            ([(b"content-length", b"10"), (b"x-transfer-codings", b"chunked")], False),
            ([(b"content-length", b"10"), (b"x-transfer-coding", b"chunked")], False),
            ([(b"Content-Length", b"10"), (b"Transfer-Encoding", b"chunked")], True),
        ],
    )
    def test_auto_lets_long_and_live_ones_pass(self, fields: list[tuple[bytes, bytes]], passes: bool) -> None:
        """Longer than the limit, of unknown length, or of a kind that is of use part by part."""
        made = flow(answer=response(fields=fields, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.AUTO, LIMIT))
        assert isinstance(made.response.stream, Tee) is passes

    @pytest.mark.parametrize(
        ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"CONNECT", 200), (b"GET", 101)]
    )
    def test_a_response_without_a_body_does_not_pass(self, method: bytes, status: int) -> None:
        """There is nothing to let pass."""
        made = flow(request(method), response(status, fields=CHUNKED, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.AUTO, LIMIT))
        assert not made.response.stream

    @pytest.mark.parametrize(
        ("fields", "passes"),
        [([], False), (CHUNKED, False), (typed(b"text/event-stream"), False), (LONG, True), (SHORT, False)],
    )
    def test_where_sizes_are_bounded_an_unknown_one_stays(
        self, fields: list[tuple[bytes, bytes]], passes: bool
    ) -> None:
        """Mitmproxy's `body_size_limit` counts what it takes in; what passes it never counts."""
        made = flow(answer=response(fields=fields, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.AUTO, LIMIT, bounded=True))
        assert isinstance(made.response.stream, Tee) is passes
        if not passes and fields != SHORT:
            tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, LIMIT, bounded=True))
            assert not made.response.stream

    @pytest.mark.parametrize("fields", [SHORT, LONG, CHUNKED, typed(b"text/event-stream")])
    def test_always_and_never_do_what_they_say(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Whatever the body."""
        for mode, passes in ((Mode.ALWAYS, True), (Mode.NEVER, False)):
            made = flow(answer=response(fields=fields, content=None))
            assert made.response
            tee.attach_to_response(made, made.response, Rule(mode, LIMIT))
            assert bool(made.response.stream) is passes

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("theirs", [True, lambda chunk: chunk.upper()])
    def test_what_another_addon_streams_is_wrapped_in_every_mode(self, mode: Mode, theirs: object) -> None:
        """Its decision and its callable stay in force, and come back in the end."""
        made = flow(answer=response(fields=SHORT, content=None))
        assert made.response
        made.response.stream = theirs  # type: ignore[assignment]
        tee.attach_to_response(made, made.response, Rule(mode, LIMIT))
        assert isinstance(made.response.stream, Tee)
        assert made.response.stream.inner is theirs
        tee.detach(made.response)
        assert made.response.stream is theirs

    def test_another_addon_may_ask_for_the_whole_body(self) -> None:
        """`stream = False` is what mitmproxy documents for addons that change bodies."""
        made = flow(answer=response(fields=CHUNKED, content=None))
        assert made.response
        made.response.stream = False
        tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, LIMIT))
        assert made.response.stream is False


class TestRequests:
    """Which requests pass while they come."""

    @pytest.mark.parametrize(
        ("version", "fields", "passes"),
        [
            (b"HTTP/1.1", [], False),
            (b"HTTP/1.1", SHORT, False),
            (b"HTTP/1.1", HELD, False),
            (b"HTTP/1.1", LONGER, True),
            (b"HTTP/1.1", CHUNKED, True),
            (b"HTTP/2.0", [], True),
            (b"HTTP/2.0", SHORT, False),
            (b"HTTP/2.0", HELD, False),
            (b"HTTP/2.0", LONGER, True),
            (b"HTTP/3", [], True),
            (b"HTTP/2.0", [(b"content-length", b"nonsense")], False),
            (b"HTTP/1.1", [(b"content-length", b"nonsense")], False),
            (b"HTTP/1.1", typed(b"application/grpc", *SHORT), True),
        ],
    )
    def test_auto_lets_long_and_live_ones_pass(
        self, version: bytes, fields: list[tuple[bytes, bytes]], passes: bool
    ) -> None:
        """Of more than 64 MiB, of unknown length or live; HTTP/2 need not announce that there is a body at all."""
        made = flow(request(b"POST", fields=fields, content=None, version=version))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.AUTO, LIMIT))
        assert isinstance(made.request.stream, Tee) is passes

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    @pytest.mark.parametrize(("method", "passes"), [(b"GET", False), (b"DELETE", False), (b"POST", True)])
    def test_what_should_have_no_content_stays(self, mode: Mode, method: bytes, passes: bool) -> None:
        """Whether its head announces a body to a target of HTTP/1 is known only when it is complete."""
        made = flow(request(method, content=None, version=b"HTTP/2.0"))
        made.request.headers.pop("content-length", None)
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        assert isinstance(made.request.stream, Tee) is passes

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    def test_a_request_for_another_protocol_stays(self, mode: Mode) -> None:
        """Mitmproxy forbids HTTP/2 in clear text in its `request` hook, after a streamed request has left."""
        made = flow(request(fields=[*CHUNKED, (b"Upgrade", b"h2c")], content=None))
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        assert not made.request.stream

    @pytest.mark.parametrize(("version", "fields"), [(b"HTTP/1.1", CHUNKED), (b"HTTP/2.0", [])])
    def test_where_sizes_are_bounded_an_unknown_one_stays(
        self, version: bytes, fields: list[tuple[bytes, bytes]]
    ) -> None:
        """As for responses."""
        made = flow(request(b"POST", fields=fields, content=None, version=version))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.ALWAYS, LIMIT, bounded=True))
        assert not made.request.stream

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    def test_a_head_of_thousands_of_fields_is_left_to_mitmproxy(self, mode: Mode) -> None:
        """They are not looked at, so one of them could ask for another protocol."""
        fields = [*CHUNKED, *[(b"a", b"")] * 2_000]
        made, answer = flow(request(fields=fields)), response(fields=fields)
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        tee.attach_to_response(made, answer, Rule(mode, LIMIT))
        assert not made.request.stream
        assert not answer.stream

    def test_what_another_addon_streams_is_wrapped(self) -> None:
        """Its callable stays in force."""
        made = flow(request(b"POST", fields=SHORT, content=None))
        made.request.stream = theirs = bytes.upper
        tee.attach_to_request(made, Rule(Mode.NEVER, LIMIT))
        assert isinstance(made.request.stream, Tee)
        assert made.request.stream.inner is theirs

    def test_an_answer_of_another_addon_ends_the_streaming(self) -> None:
        """No proxy can both stream a request and answer it by itself."""
        made = flow(request(b"POST", fields=CHUNKED, content=None))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.AUTO, LIMIT))
        assert made.request.stream
        made.response = response()
        assert not made.request.stream

    def test_another_addon_may_ask_for_the_whole_body(self) -> None:
        """As for responses."""
        made = flow(request(b"POST", fields=CHUNKED, content=None))
        made.request.stream = False
        tee.attach_to_request(made, Rule(Mode.ALWAYS, LIMIT))
        assert made.request.stream is False


class TestBodies:
    """What is taken of a message in the end."""

    def streamed(self, *chunks: bytes, limit: int = LIMIT) -> http.Response:
        """Make a response whose body went through a tee."""
        made = flow(answer=response(fields=CHUNKED, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, limit))
        assert isinstance(made.response.stream, Tee)
        for chunk in chunks:
            made.response.stream(chunk)
        return made.response

    def test_a_buffered_body_is_taken_from_mitmproxy(self) -> None:
        """The wire bytes, bounded."""
        assert tee.body_of(response(content=b"abc"), LIMIT) == Body(b"abc", complete=True)
        assert tee.body_of(response(content=bytes(999_999)), LIMIT) == Body(bytes(2 * LIMIT), complete=False)

    def test_a_streamed_body_is_taken_from_the_tee(self) -> None:
        """What was kept of it, and whether that is all."""
        assert tee.body_of(self.streamed(b"ab", b"c", b""), LIMIT) == Body(b"abc", complete=True)
        assert tee.body_of(self.streamed(b"ab"), LIMIT) == Body(b"ab", complete=False)

    def test_a_body_that_mitmproxy_stored_as_well_is_taken_from_there(self) -> None:
        """With `store_streamed_bodies` mitmproxy has the body, and other addons may have changed it."""
        message = self.streamed(b"ab", b"")
        message.raw_content = b"changed"
        assert tee.body_of(message, LIMIT) == Body(b"changed", complete=True)

    def test_a_body_that_was_not_kept_is_unknown(self) -> None:
        """Streamed by another addon, without a tee."""
        message = response(content=None)
        message.stream = True
        assert tee.body_of(message, LIMIT) == Body(b"", complete=False)

    def test_a_body_kept_whole_is_given_to_mitmproxy(self) -> None:
        """For its screens and files; a part of one would be a lie there."""
        whole, part, endless = self.streamed(b"ab", b""), self.streamed(bytes(999_999), b""), self.streamed(b"ab")
        for message in (whole, part, endless):
            tee.detach(message)
        assert (whole.raw_content, part.raw_content, endless.raw_content) == (b"ab", None, None)
        assert not isinstance(whole.stream, Tee)

    def test_detaching_twice_or_nothing_does_no_harm(self) -> None:
        """A flow may end by more than one hook."""
        message = response(content=b"abc")
        tee.detach(message)
        tee.detach(message)
        assert message.raw_content == b"abc"
