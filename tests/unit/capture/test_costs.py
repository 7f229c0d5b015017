"""The cost of hostile heads and bodies is linear in the part that is kept."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import brotlicffi
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http
from mitmproxy.proxy.mode_specs import ProxyMode

from akto_mirror.capture.capture import Capture
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.encoding import MAX_FIELD, Captured
from akto_mirror.capture.headers import MAX_HEADER_BYTES, MAX_HEADER_FIELDS, bounded
from akto_mirror.capture.hosts import replace
from akto_mirror.capture.payload import codings
from akto_mirror.capture.routes import parse
from tests.support.flows import flow, request, response
from tests.support.harness import mirroring

# CPU seconds that one head may take, and the margin for a slower or busy machine.
BUDGET_S = 0.005
MARGIN = 3

CONFIG = CaptureConfig(worker=False, account_id="1000000", vxlan_id="0", tag="{}")

HOST = (b"Host", b"api.example.com")

FIELDS = st.lists(st.tuples(st.binary(min_size=1, max_size=9), st.binary(max_size=40)), max_size=12)


@given(FIELDS, st.integers(1, 5_000), st.integers(1, 200))
def test_headers_are_cut_to_their_bounds(fields: list[tuple[bytes, bytes]], times: int, length: int) -> None:
    """Headers within the bounds are returned unchanged, as the same object; others are cut to a prefix."""
    given_fields = tuple((name, value * length) for name, value in fields) * times
    kept = bounded(given_fields)
    size = sum(len(name) + len(value) for name, value in kept)
    assert len(kept) <= MAX_HEADER_FIELDS
    assert size <= MAX_HEADER_BYTES
    assert kept[:-1] == given_fields[: max(0, len(kept) - 1)]
    whole = sum(len(name) + len(value) for name, value in given_fields)
    assert (kept is given_fields) == (len(given_fields) <= MAX_HEADER_FIELDS and whole <= MAX_HEADER_BYTES)


class Counting:
    """A brotli decompressor that counts the bytes fed to all instances."""

    fed = 0
    real = brotlicffi.Decompressor

    def __init__(self) -> None:
        self._inner = self.real()

    def decompress(self, data: bytes, output_buffer_limit: int) -> bytes:
        """Count and decompress."""
        Counting.fed += len(data)
        return bytes(self._inner.decompress(data, output_buffer_limit=output_buffer_limit))

    def is_finished(self) -> bool:
        """Return whether the stream has ended."""
        return bool(self._inner.is_finished())


@given(st.binary(max_size=2_000), st.integers(0, 2_000), st.integers(0, 255), st.binary(max_size=50))
def test_damaged_brotli_is_read_a_bounded_number_of_times(data: bytes, place: int, flip: int, rest: bytes) -> None:
    """Each damaged member is read a bounded number of times, and undamaged data is decoded."""
    coded = bytearray(brotlicffi.compress(data))
    coded[place % len(coded)] ^= flip
    damaged = bytes(coded) + rest
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(brotlicffi, "Decompressor", Counting)
        Counting.fed = 0
        codings.decode(damaged, "br", 65_536)
    assert Counting.fed <= 6 * codings.BR_MEMBERS * len(damaged)
    if not flip:
        assert codings.decode(damaged, "br", 65_536)[: len(data)] == data


HEADS: dict[str, Callable[[], http.HTTPFlow]] = {
    "a long path": lambda: flow(with_path(b"/" + b"a" * 900_000)),
    "a path to encode": lambda: flow(with_path(b"/{" + b"a\xff/" * 225_000)),
    "a path of dots": lambda: flow(with_path(b"/" + b"../" * 300_000)),
    "a long query": lambda: flow(with_path(b"/?" + b"a=%ff&" * 150_000)),
    "an absolute path": lambda: flow(with_path(b"http://h/" + b"{" * 900_000)),
    "many headers": lambda: flow(request(fields=[HOST, *[(b"a", b"v")] * 200_000])),
    "many different headers": lambda: flow(request(fields=[HOST, *((b"x-%d" % n, b"v" * 9) for n in range(50_000))])),
    "a header of no text": lambda: flow(request(fields=[HOST, (b"a", b"\xff" * 900_000)])),
    "a name of no text": lambda: flow(request(fields=[HOST, (b"\xff" * 900_000, b"v")])),
    "cookies in pieces": lambda: flow(request(fields=[HOST, *[(b"cookie", b"a=b")] * 90_000])),
    "many answer headers": lambda: flow(answer=response(fields=[(b"content-type", b"application/json")] * 30_000)),
}


HOOKS = ("requestheaders", "request", "responseheaders", "response")


def with_path(path: bytes) -> http.Request:
    """Return a request for the path."""
    return request(path=path, fields=[HOST, (b"content-type", b"application/json")])


@pytest.mark.serial
@pytest.mark.parametrize("fidelity", ["akto", "worker"])
@pytest.mark.parametrize("name", HEADS)
def test_no_head_below_a_megabyte_holds_up_the_event_loop(name: str, fidelity: str) -> None:
    """A whole capture, including routes, stays within a budget of CPU time; the fastest of five runs counts."""
    config: dict[str, Any] = {"worker": fidelity == "worker", "include_query": True, "routes": (parse("*/*"),)}
    capture = Capture(CaptureConfig(account_id="1000000", vxlan_id="0", tag="{}", **config), "marker")
    made = HEADS[name]()
    taken = min(_cpu_s(lambda: capture.of(made)) for _ in range(5))
    found = capture.of(made)
    assert isinstance(found, Captured)
    assert len(found.entry.path) <= 9 * MAX_FIELD
    assert taken <= MARGIN * BUDGET_S


@pytest.mark.serial
@pytest.mark.parametrize("name", HEADS)
def test_no_hook_holds_up_the_event_loop(name: str) -> None:
    """All hooks of an exchange together stay within the same budget."""

    def act(made: http.HTTPFlow) -> None:
        for each in HOOKS:
            mirror.hook(each, made)

    with mirroring() as mirror:
        assert _best_of(act, HEADS[name]) <= MARGIN * BUDGET_S


@pytest.mark.serial
@pytest.mark.parametrize("fields", [[HOST, *[(b"a", b"v")] * 200_000], [(b"Host", b"v")] * 90_000])
def test_the_targets_host_costs_no_more_than_mitmproxys_own_way(fields: list[tuple[bytes, bytes]]) -> None:
    """Replacing the client's host in reverse mode, and noting it, costs little more than mitmproxy's replacement."""

    def theirs(made: http.HTTPFlow) -> None:
        made.request.host_header = "target:1"

    def fresh() -> http.HTTPFlow:
        made = flow(request(fields=fields))
        made.client_conn.proxy_mode = ProxyMode.parse("reverse:http://target:1")
        return made

    assert _best_of(replace, fresh) <= 1.5 * _best_of(theirs, fresh)


def _best_of(act: Callable[[http.HTTPFlow], object], make: Callable[[], http.HTTPFlow]) -> float:
    """Return the CPU seconds that an action takes on a flow: the minimum of five runs."""
    flows = [make() for _ in range(5)]
    return min(_cpu_s(partial(act, each)) for each in flows)


def _cpu_s(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return time.process_time() - started
