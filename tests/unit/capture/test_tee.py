"""The tee passes chunks on, keeps a prefix, and is attached only where it belongs."""

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
    """Join the output of a stream callable, as mitmproxy does."""
    return out if isinstance(out, bytes) else b"".join(out)


def run(tested: Tee, chunks: list[bytes]) -> bytes:
    """Send a whole body through the tee, including its end."""
    return b"".join(joined(tested(chunk)) for chunk in [*chunks, b""])


class TestTee:
    """The callable."""

    @given(CHUNKS, st.integers(0, 40))
    def test_everything_passes_and_a_prefix_stays(self, chunks: list[bytes], keep: int) -> None:
        """Chunks pass unchanged, and a prefix of the body is kept."""
        tested = Tee(keep)
        whole = b"".join(chunks)
        assert run(tested, chunks) == whole
        assert tested.body() == Body(whole[:keep], complete=len(whole) <= keep)

    def test_a_body_without_an_end_is_not_complete(self) -> None:
        """A body is complete only after the empty chunk; an end without chunks is an empty body."""
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
        """A body that was returned does not grow with later chunks."""
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
        """The output of another addon's callable, as bytes, list or generator, passes and is kept, even at the end."""
        assert callable(inner)
        tested = Tee(100, inner)
        assert run(tested, [b"ab", b"cd"]) == b"ABCD!"
        assert tested.body() == Body(b"ABCD!", complete=True)

    def test_a_generator_is_not_run_ahead(self) -> None:
        """Each piece is passed on before the next is generated."""
        asked: list[int] = []

        def inner(chunk: bytes) -> Iterator[bytes]:
            for number in range(3):
                asked.append(number)
                yield chunk

        out = iter(Tee(100, inner)(b"x"))
        next(out)
        assert asked == [0]

    def test_a_callable_that_swallows_everything_leaves_an_empty_body(self) -> None:
        """Only output is reported: a callable that drops all chunks leaves an empty body."""
        tested = Tee(100, lambda _: b"")
        assert run(tested, [b"ab"]) == b""
        assert tested.body() == Body(b"", complete=True)

    def test_an_error_of_another_addon_is_not_hidden(self) -> None:
        """An exception of another addon's callable is raised, as without the tee."""

        def inner(_: bytes) -> bytes:
            raise RuntimeError("theirs")

        with pytest.raises(RuntimeError, match="theirs"):
            Tee(10, inner)(b"x")

    @pytest.mark.parametrize("wanted", [True, False])
    def test_its_truth_is_asked_for_late(self, wanted: bool) -> None:
        """A tee with a condition streams only if the condition holds when mitmproxy evaluates it, after all addons."""
        assert bool(Tee(1, wanted=lambda: wanted)) is wanted
        assert bool(Tee(1))


SHORT = [(b"content-length", b"10")]
LONG = [(b"content-length", b"65537")]
EXACT = [(b"content-length", b"65536")]
HELD = [(b"content-length", b"67108864")]
LONGER = [(b"content-length", b"67108865")]
CHUNKED = [(b"transfer-encoding", b"chunked")]


def typed(content_type: bytes, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    """Return header fields with this content type."""
    return [(b"content-type", content_type), *more]


class TestResponses:
    """Responses that are streamed."""

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
        """Responses longer than the limit, of unknown length, or of a type that is useful in parts are streamed."""
        made = flow(answer=response(fields=fields, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.AUTO, LIMIT))
        assert isinstance(made.response.stream, Tee) is passes

    @pytest.mark.parametrize(
        ("method", "status"), [(b"HEAD", 200), (b"GET", 204), (b"GET", 304), (b"CONNECT", 200), (b"GET", 101)]
    )
    def test_a_response_without_a_body_does_not_pass(self, method: bytes, status: int) -> None:
        """A response without a body is not streamed."""
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
        """With `body_size_limit` bodies of unknown length are not streamed: mitmproxy counts only buffered bytes."""
        made = flow(answer=response(fields=fields, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.AUTO, LIMIT, bounded=True))
        assert isinstance(made.response.stream, Tee) is passes
        if not passes and fields != SHORT:
            tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, LIMIT, bounded=True))
            assert not made.response.stream

    @pytest.mark.parametrize("fields", [SHORT, LONG, CHUNKED, typed(b"text/event-stream")])
    def test_always_and_never_do_what_they_say(self, fields: list[tuple[bytes, bytes]]) -> None:
        """The modes do not depend on the body."""
        for mode, passes in ((Mode.ALWAYS, True), (Mode.NEVER, False)):
            made = flow(answer=response(fields=fields, content=None))
            assert made.response
            tee.attach_to_response(made, made.response, Rule(mode, LIMIT))
            assert bool(made.response.stream) is passes

    @pytest.mark.parametrize("mode", list(Mode))
    @pytest.mark.parametrize("theirs", [True, lambda chunk: chunk.upper()])
    def test_what_another_addon_streams_is_wrapped_in_every_mode(self, mode: Mode, theirs: object) -> None:
        """Another addon's callable stays in use in every mode, and is restored by detaching."""
        made = flow(answer=response(fields=SHORT, content=None))
        assert made.response
        made.response.stream = theirs  # type: ignore[assignment]
        tee.attach_to_response(made, made.response, Rule(mode, LIMIT))
        assert isinstance(made.response.stream, Tee)
        assert made.response.stream.inner is theirs
        tee.detach(made.response)
        assert made.response.stream is theirs

    def test_another_addon_may_ask_for_the_whole_body(self) -> None:
        """`stream = False`, which mitmproxy documents for addons that change bodies, is left alone."""
        made = flow(answer=response(fields=CHUNKED, content=None))
        assert made.response
        made.response.stream = False
        tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, LIMIT))
        assert made.response.stream is False


class TestRequests:
    """Requests that are streamed."""

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
        """Requests over 64 MiB, of unknown length or live are streamed; HTTP/2 need not announce a body."""
        made = flow(request(b"POST", fields=fields, content=None, version=version))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.AUTO, LIMIT))
        assert isinstance(made.request.stream, Tee) is passes

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    @pytest.mark.parametrize(("method", "passes"), [(b"GET", False), (b"DELETE", False), (b"POST", True)])
    def test_what_should_have_no_content_stays(self, mode: Mode, method: bytes, passes: bool) -> None:
        """A method without content is not streamed: HTTP/1 targets need to know first whether there is a body."""
        made = flow(request(method, content=None, version=b"HTTP/2.0"))
        made.request.headers.pop("content-length", None)
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        assert isinstance(made.request.stream, Tee) is passes

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    def test_a_request_for_another_protocol_stays(self, mode: Mode) -> None:
        """Mitmproxy rejects an upgrade to h2c in its `request` hook, which comes too late for a streamed request."""
        made = flow(request(fields=[*CHUNKED, (b"Upgrade", b"h2c")], content=None))
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        assert not made.request.stream

    @pytest.mark.parametrize(("version", "fields"), [(b"HTTP/1.1", CHUNKED), (b"HTTP/2.0", [])])
    def test_where_sizes_are_bounded_an_unknown_one_stays(
        self, version: bytes, fields: list[tuple[bytes, bytes]]
    ) -> None:
        """Requests of unknown length are not streamed either."""
        made = flow(request(b"POST", fields=fields, content=None, version=version))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.ALWAYS, LIMIT, bounded=True))
        assert not made.request.stream

    @pytest.mark.parametrize("mode", [Mode.AUTO, Mode.ALWAYS])
    def test_a_head_of_thousands_of_fields_is_left_to_mitmproxy(self, mode: Mode) -> None:
        """Thousands of fields are not searched, although one of them could ask for another protocol."""
        fields = [*CHUNKED, *[(b"a", b"")] * 2_000]
        made, answer = flow(request(fields=fields)), response(fields=fields)
        made.response = None
        tee.attach_to_request(made, Rule(mode, LIMIT))
        tee.attach_to_response(made, answer, Rule(mode, LIMIT))
        assert not made.request.stream
        assert not answer.stream

    def test_what_another_addon_streams_is_wrapped(self) -> None:
        """Another addon's callable stays in use."""
        made = flow(request(b"POST", fields=SHORT, content=None))
        made.request.stream = theirs = bytes.upper
        tee.attach_to_request(made, Rule(Mode.NEVER, LIMIT))
        assert isinstance(made.request.stream, Tee)
        assert made.request.stream.inner is theirs

    def test_an_answer_of_another_addon_ends_the_streaming(self) -> None:
        """A request that another addon answers is not streamed any more: mitmproxy cannot do both."""
        made = flow(request(b"POST", fields=CHUNKED, content=None))
        made.response = None
        tee.attach_to_request(made, Rule(Mode.AUTO, LIMIT))
        assert made.request.stream
        made.response = response()
        assert not made.request.stream

    def test_another_addon_may_ask_for_the_whole_body(self) -> None:
        """`stream = False` is left alone in requests too."""
        made = flow(request(b"POST", fields=CHUNKED, content=None))
        made.request.stream = False
        tee.attach_to_request(made, Rule(Mode.ALWAYS, LIMIT))
        assert made.request.stream is False


class TestBodies:
    """The bodies that are captured."""

    def streamed(self, *chunks: bytes, limit: int = LIMIT) -> http.Response:
        """Return a response whose body went through a tee."""
        made = flow(answer=response(fields=CHUNKED, content=None))
        assert made.response
        tee.attach_to_response(made, made.response, Rule(Mode.ALWAYS, limit))
        assert isinstance(made.response.stream, Tee)
        for chunk in chunks:
            made.response.stream(chunk)
        return made.response

    def test_a_buffered_body_is_taken_from_mitmproxy(self) -> None:
        """A buffered body is captured from mitmproxy, bounded."""
        assert tee.body_of(response(content=b"abc"), LIMIT) == Body(b"abc", complete=True)
        assert tee.body_of(response(content=bytes(999_999)), LIMIT) == Body(bytes(2 * LIMIT), complete=False)

    def test_a_streamed_body_is_taken_from_the_tee(self) -> None:
        """A streamed body is captured from the tee, and it is known whether it is complete."""
        assert tee.body_of(self.streamed(b"ab", b"c", b""), LIMIT) == Body(b"abc", complete=True)
        assert tee.body_of(self.streamed(b"ab"), LIMIT) == Body(b"ab", complete=False)

    def test_a_body_that_mitmproxy_stored_as_well_is_taken_from_there(self) -> None:
        """With `store_streamed_bodies` mitmproxy's copy is captured: other addons may have changed it."""
        message = self.streamed(b"ab", b"")
        message.raw_content = b"changed"
        assert tee.body_of(message, LIMIT) == Body(b"changed", complete=True)

    def test_a_body_that_was_not_kept_is_unknown(self) -> None:
        """A body that another addon streamed without a tee is empty and incomplete."""
        message = response(content=None)
        message.stream = True
        assert tee.body_of(message, LIMIT) == Body(b"", complete=False)

    def test_a_body_kept_whole_is_given_to_mitmproxy(self) -> None:
        """A complete body is given back to mitmproxy for views and flow files; a part of one would be wrong there."""
        whole, part, endless = self.streamed(b"ab", b""), self.streamed(bytes(999_999), b""), self.streamed(b"ab")
        for message in (whole, part, endless):
            tee.detach(message)
        assert (whole.raw_content, part.raw_content, endless.raw_content) == (b"ab", None, None)
        assert not isinstance(whole.stream, Tee)

    def test_detaching_twice_or_nothing_does_no_harm(self) -> None:
        """A flow may end with more than one hook, so that detaching twice, or without a tee, changes nothing."""
        message = response(content=b"abc")
        tee.detach(message)
        tee.detach(message)
        assert message.raw_content == b"abc"
