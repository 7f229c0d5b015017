"""Microseconds that the addon's hooks take per flow: `python -m benchmarks.hooks [--profile]`.

A loop over the hooks alone shows costs that are lost in the noise of a proxy under load.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from unittest import mock

from mitmproxy import http
from mitmproxy.addons.proxyserver import Proxyserver
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test import taddons, tflow

from akto_mirror.addon.mirror import AktoMirror
from akto_mirror.delivery.sinks import choose
from akto_mirror.delivery.sinks.base import SendResult
from benchmarks import load, peers

# The hooks of one exchange, in mitmproxy's order.
HOOKS = ("requestheaders", "request", "responseheaders", "response")

ROUNDS = 60
CALLS = 500


class NoSink:
    """Accepts every batch at no cost."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Take a batch."""
        del entries, timeout_s
        return SendResult(200)

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Exchange:
    """The exchange of the throughput benchmark, cheap to reset."""

    def __init__(self) -> None:
        asked = {"host": "127.0.0.1:8080", "user-agent": "h2load nghttp2/1.52.0", **load.HEADERS}
        fields = [(name.encode(), value.encode()) for name, value in asked.items()]
        request = http.Request.make("GET", "http://127.0.0.1:3000/api/v1/items/1234", headers=fields)
        answer = {
            "Server": "nginx/1.22.1",
            "Date": "Sat, 01 Aug 2026 12:00:00 GMT",
            "Content-Type": "application/json",
            "Content-Length": str(len(peers.JSON_BODY)),
            "Connection": "keep-alive",
        }
        self._response = http.Response.make(200, peers.JSON_BODY, answer)
        self._response.timestamp_end = 1_785_585_600.5
        self.flow = tflow.tflow(req=request)
        self.flow.client_conn.proxy_mode = ProxyMode.parse("reverse:http://127.0.0.1:3000")
        self.flow.server_conn.address = ("127.0.0.1", 3000)
        self.flow.live = True
        self._fields = request.headers.fields

    def renew(self) -> http.HTTPFlow:
        """Reset the flow to the state after the request's head."""
        self.flow.metadata.clear()
        self.flow.request.data.headers.fields = self._fields
        self.flow.response = None
        return self.flow

    def answer(self) -> None:
        """Add the target's response."""
        self.flow.response = self._response


@contextmanager
def loaded_addon() -> Generator[AktoMirror]:
    """Load the addon as in reverse mode, with a sink that costs nothing."""
    addon = AktoMirror()
    no_network = mock.patch.object(choose, "HttpSink", return_value=NoSink())
    with taddons.context(Proxyserver(), loadcore=False) as context, no_network:
        context.options.update(mode=["reverse:http://127.0.0.1:3000"])
        context.master.addons.add(addon)
        context.configure(addon, akto_url="http://127.0.0.1:1")
        yield addon
        addon.done()


def microseconds(addon: AktoMirror) -> dict[str, float]:
    """Return the time of each hook per flow: the minimum over all rounds, because disturbances only add time."""
    exchange = Exchange()
    parts = {name: [getattr(part, name) for part in addon.addons if hasattr(part, name)] for name in HOOKS}
    hooks = {name: _in_turn(calls) for name, calls in parts.items() if calls}
    rounds = [_round(exchange, hooks) for _ in range(ROUNDS)]
    return {name: min(one[name] for one in rounds) / CALLS / 1000 for name in hooks}


def _in_turn(calls: list[Callable[[http.HTTPFlow], object]]) -> Callable[[http.HTTPFlow], object]:
    """Call a hook on each part of the addon in order, as mitmproxy does."""

    def act(flow: http.HTTPFlow) -> None:
        for call in calls:
            call(flow)

    return act


def _round(exchange: Exchange, hooks: dict[str, Callable[[http.HTTPFlow], object]]) -> dict[str, int]:
    spent = dict.fromkeys(hooks, 0)
    for _ in range(CALLS):
        flow = exchange.renew()
        for name, hook in hooks.items():
            if name == "responseheaders":
                exchange.answer()
            start = time.perf_counter_ns()
            hook(flow)
            spent[name] += time.perf_counter_ns() - start
    return spent


def _check(addon: AktoMirror) -> None:
    """Check that the measured flow is mirrored, not skipped."""
    counts = addon.session.stats.snapshot()
    if counts.dropped or counts.skipped or not counts.captured:
        raise RuntimeError(f"the figures are void: {counts}")


def main() -> None:
    """Print a line for each hook and the sum; with `--profile` also the functions behind them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="print what each function costs")
    args = parser.parse_args()
    with loaded_addon() as addon:
        spent = microseconds(addon)
        for name, value in {**spent, "a flow": sum(spent.values())}.items():
            sys.stdout.write(f"{name:16}{value:8.1f} µs\n")
        if args.profile:
            profile = cProfile.Profile()
            profile.runcall(microseconds, addon)
            pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(40)
        _check(addon)


if __name__ == "__main__":
    main()
