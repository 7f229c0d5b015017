"""Microseconds that each part of the addon costs a flow: `python -m benchmarks.hooks [--profile]`.

A loop over the hooks alone tells more than a proxy under load can: what is small against the proxy is not small here.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from statistics import median

from mitmproxy import http
from mitmproxy.test import taddons, tflow

from akto_mirror import addon as addon_module
from akto_mirror.addon import AktoMirror
from akto_mirror.sinks.base import SendResult
from benchmarks import load, peers

ROUNDS = 15
CALLS = 2000


class NoSink:
    """Takes every batch at no cost."""

    def send(self, entries: Sequence[bytes], timeout_s: float) -> SendResult:
        """Take a batch."""
        del entries, timeout_s
        return SendResult(200)

    def abort(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


def sample_flow() -> http.HTTPFlow:
    """Return the flow of the throughput benchmark."""
    request = http.Request.make("GET", "http://127.0.0.1:3000/api/v1/items/1234", headers=load.HEADERS)
    request.headers["host"] = "127.0.0.1:8080"
    request.headers["user-agent"] = "h2load nghttp2/1.52.0"
    answer = {
        "Server": "nginx/1.22.1",
        "Date": "Sat, 01 Aug 2026 12:00:00 GMT",
        "Content-Type": "application/json",
        "Connection": "keep-alive",
    }
    response = http.Response.make(200, peers.JSON_BODY, answer)
    response.timestamp_end = 1_785_585_600.5
    return tflow.tflow(req=request, resp=response)


@contextmanager
def loaded_addon() -> Generator[AktoMirror]:
    """Load the addon with a sink that costs nothing."""
    addon = AktoMirror()
    with taddons.context(addon, loadcore=False) as context:
        addon_module.HttpSink = lambda *_, **__: NoSink()  # type: ignore[misc, assignment]  # stands in for the network
        context.configure(addon, akto_url="http://127.0.0.1:1")
        yield addon
        addon.done()


def microseconds(call: Callable[[], object]) -> float:
    """Return the median time of one call."""
    return median(_time(call) for _ in range(ROUNDS)) / CALLS * 1e6


def _time(call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - start


def _calls(addon: AktoMirror, flow: http.HTTPFlow) -> dict[str, Callable[[], object]]:
    names = ("requestheaders", "request", "responseheaders", "response")
    hooks = {name: getattr(addon, name) for name in names if hasattr(addon, name)}
    return {name: lambda hook=hook: hook(flow) for name, hook in hooks.items()}  # type: ignore[misc]


def main() -> None:
    """Print a line for each hook; with `--profile`, where `response` spends its time."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--profile", action="store_true", help="print the functions behind the response hook")
    args = parser.parse_args()
    with loaded_addon() as addon:
        calls = _calls(addon, sample_flow())
        for name, call in calls.items():
            sys.stdout.write(f"{name:16} {microseconds(call):7.1f} µs\n")
        if args.profile:
            profile = cProfile.Profile()
            profile.runcall(lambda: _time(calls["response"]))
            pstats.Stats(profile, stream=sys.stdout).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
