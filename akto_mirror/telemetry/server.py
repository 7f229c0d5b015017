"""Serves Prometheus metrics and `/healthz` over HTTP.

Names follow https://prometheus.io/docs/practices/naming/. Values are read at each scrape from the one place that
counts, so that nothing is counted twice and flows cost no extra time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from tornado.web import Application, Finish, RequestHandler, url

from akto_mirror.background_server import BackgroundServer
from akto_mirror.outcomes import PENDING, Dropped, Format, Outcome, Reason
from akto_mirror.snapshots import Account, Snapshot
from akto_mirror.telemetry import pool
from akto_mirror.telemetry.observation import Observation
from akto_mirror.threads import begin

T = TypeVar("T")

# Seconds for which an entry may wait before `/healthz` returns 503.
STALE_S = 300.0

# Scrapes are short and rare: these limits keep untrusted clients from using up the proxy's file descriptors.
MAX_CLIENTS = 16
CLIENT_S = 10.0
MAX_BODY_BYTES = 65_536

ENDED = (Outcome.SHIPPED, Outcome.REJECTED, Outcome.HANDED_OVER)


class MetricsServer(BackgroundServer):
    """Serves metrics on its own thread until `close`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        observe: returns the exported values; called on its own thread, because a disk may be slow.

    Raises:
        OSError: the address cannot be used.
    """

    def __init__(self, host: str, port: int, observe: Callable[[], Observation]) -> None:
        registry = CollectorRegistry()
        registry.register(_Collector(observe))
        health = url("/healthz", _Health, {"observe": observe})
        # For compatibility every other path returns the metrics, as in the servers of Prometheus's own client.
        app = Application(
            [health, url(".*", _Page, {"registry": registry})], log_function=lambda _: None, compress_response=True
        )
        super().__init__(
            app,
            host=host,
            port=port,
            max_body_bytes=MAX_BODY_BYTES,
            max_clients=MAX_CLIENTS,
            client_s=CLIENT_S,
            bind=pool.current().bind,
        )
        self.start()

    def close(self) -> None:
        """Stop listening, without waiting for clients."""
        self.stop()


class _Page(RequestHandler):
    def initialize(self, registry: CollectorRegistry) -> None:
        self.registry = registry

    async def get(self) -> None:
        encode, content_type = choose_encoder(self.request.headers.get("accept", ""))
        page = await _aside(lambda: encode(self.registry))
        self.set_header("Content-Type", content_type)
        self.finish(page)


class _Health(RequestHandler):
    def initialize(self, observe: Callable[[], Observation]) -> None:
        self.observe = observe

    async def get(self) -> None:
        seen = await _aside(self.observe)
        healthy = seen.oldest_s < STALE_S
        self.set_status(200 if healthy else 503)
        self.finish({"healthy": healthy, "oldest_unshipped_s": round(seen.oldest_s, 1)})


async def _aside(act: Callable[[], T]) -> T:
    """Return the result of a function that runs on a thread.

    Raises:
        Finish: the server has stopped meanwhile, so that there is no client to answer.
    """
    try:
        return await asyncio.wrap_future(begin(act))
    except asyncio.CancelledError:
        raise Finish from None


class _Collector(Collector):
    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe

    def collect(self) -> Iterable[Metric]:
        seen = self._observe()
        yield from _outcomes(seen.counts)
        yield from _delivery(seen.counts)
        yield from _sizes(seen)
        if seen.sampling is not None:
            yield from _sampling(seen.sampling)


def _outcomes(counts: Snapshot) -> Iterable[Metric]:
    flows = CounterMetricFamily("akto_mirror_flows_skipped", "Flows that a capture rule left out.", labels=["reason"])
    for reason in Reason:
        flows.add_metric([reason], counts.skipped.get(reason, 0))
    yield flows
    yield CounterMetricFamily("akto_mirror_entries_captured", "Entries made of flows.", counts.captured)
    yield CounterMetricFamily(
        "akto_mirror_entries_shortened", "Entries that were shortened because they were too large.", counts.shortened
    )
    repaired = CounterMetricFamily(
        "akto_mirror_payloads_repaired", "Payloads that were changed so that Akto can read them.", labels=["format"]
    )
    for kind in Format:
        repaired.add_metric([kind], counts.repaired.get(kind, 0))
    yield repaired
    redacted = CounterMetricFamily("akto_mirror_secrets_hidden", "What redaction hid.", labels=["by", "what"])
    for (by, what), count in counts.hidden.items():
        redacted.add_metric([by, what], count)
    yield redacted
    yield CounterMetricFamily(
        "akto_mirror_entries_recovered", "Entries found in the spool that another process left.", counts.recovered
    )
    ended = CounterMetricFamily("akto_mirror_entries_ended", "Entries by how they ended.", labels=["outcome"])
    for place in ENDED:
        ended.add_metric([_label(place)], counts.places[place])
    yield ended
    yield CounterMetricFamily(
        "akto_mirror_hook_errors", "Errors in the addon, which did not affect the traffic.", counts.errors
    )
    dropped = CounterMetricFamily("akto_mirror_entries_dropped", "Entries that are lost.", labels=["reason"])
    for loss in Dropped:
        dropped.add_metric([loss], counts.dropped.get(loss, 0))
    yield dropped


def _delivery(counts: Snapshot) -> Iterable[Metric]:
    yield CounterMetricFamily("akto_mirror_batches_shipped", "Batches that Akto accepted.", counts.batches)
    yield CounterMetricFamily("akto_mirror_sent_bytes", "Bytes of the entries shipped.", counts.sent_bytes)
    yield CounterMetricFamily(
        "akto_mirror_entries_sent_again_in_doubt",
        "Entries of attempts without an answer, by this process or one that was killed, which may arrive twice.",
        counts.doubtful,
    )
    yield CounterMetricFamily("akto_mirror_request_failures", "Failed attempts to send a batch.", counts.failures)
    yield SummaryMetricFamily(
        "akto_mirror_request_duration_seconds",
        "Attempts to send a batch, and the seconds that they took.",
        count_value=counts.batches + counts.failures,
        sum_value=counts.send_seconds,
    )


def _sizes(seen: Observation) -> Iterable[Metric]:
    waiting = GaugeMetricFamily("akto_mirror_entries_waiting", "Entries that wait, by where.", labels=["place"])
    for place in PENDING:
        waiting.add_metric([_label(place)], seen.counts.places[place])
    yield waiting
    yield GaugeMetricFamily("akto_mirror_queue_bytes", "Memory that waiting entries hold.", seen.queue_bytes)
    yield GaugeMetricFamily("akto_mirror_queue_limit_bytes", "Memory that they may hold.", seen.queue_limit)
    yield GaugeMetricFamily(
        "akto_mirror_oldest_unshipped_seconds", "Age of the oldest entry that is not shipped.", seen.oldest_s
    )
    if seen.spool_bytes is not None:
        yield GaugeMetricFamily("akto_mirror_spool_bytes", "Entries that wait on disk.", seen.spool_bytes)
    if seen.dead_bytes is not None:
        yield GaugeMetricFamily(
            "akto_mirror_dead_letter_bytes", "Entries on disk that were refused for good.", seen.dead_bytes
        )


def _sampling(account: Account) -> Iterable[Metric]:
    left_out = CounterMetricFamily(
        "akto_mirror_endpoint_left_out",
        "Flows that sampling and caps left out, of the endpoints with the most; the rest has empty labels.",
        labels=["host", "method", "path", "status"],
    )
    for endpoint, count in account.most:
        left_out.add_metric([endpoint.host, endpoint.method, endpoint.path, f"{endpoint.status_class}xx"], count)
    left_out.add_metric(["", "", "", ""], account.left_out - sum(count for _, count in account.most))
    yield left_out
    yield GaugeMetricFamily("akto_mirror_sampling_endpoints", "Endpoints that sampling knows.", account.endpoints)
    yield GaugeMetricFamily("akto_mirror_sampling_bytes", "Memory that they take.", account.size)
    yield CounterMetricFamily(
        "akto_mirror_sampling_forgotten", "Endpoints that were forgotten to limit memory.", account.forgotten
    )


def _label(place: Outcome) -> str:
    return place.replace(" ", "_")
