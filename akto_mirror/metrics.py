"""What the addon does, seen from outside: Prometheus metrics and `/healthz` over HTTP.

Names follow https://prometheus.io/docs/practices/naming/. Everything is read at the moment of a scrape, from the one
place that counts, so that nothing is counted twice and nothing costs a request anything.
"""

from __future__ import annotations

import contextlib
import json
import logging
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from akto_mirror import spool_view
from akto_mirror.rules import Reason
from akto_mirror.shipper import Shipper
from akto_mirror.stats import Dropped, Place, Snapshot, Stats
from akto_mirror.text import printable

# Waiting for longer than this makes `/healthz` answer 503.
STALE_S = 300.0

# Who scrapes does so at once and seldom: these keep strangers from holding threads.
MAX_CLIENTS = 16
CLIENT_S = 10.0

logger = logging.getLogger(__name__)

WAITING = (Place.QUEUED, Place.IN_FLIGHT, Place.SPOOLED)
ENDED = (Place.SHIPPED, Place.REJECTED, Place.HANDED_OVER)


class Observation(NamedTuple):
    """What is to be told.

    Attributes:
        counts: what became of every flow.
        queue_bytes: bytes of memory that waiting entries hold.
        queue_limit: bytes that they may hold.
        spool_bytes: bytes of entries that wait on disk, of all processes that share the spool; None without one.
        dead_bytes: bytes of entries on disk that were refused for good; None without a spool.
        oldest_s: seconds since the oldest entry that is not shipped was captured, 0 if there is none; what is on disk
            for an earlier `akto_url`, which nobody sends, does not count.
    """

    counts: Snapshot
    queue_bytes: int
    queue_limit: int
    spool_bytes: int | None
    dead_bytes: int | None
    oldest_s: float


def observe(stats: Stats, shipper: Shipper | None, queue_limit: int, folder: Path | None, target: str) -> Observation:
    """Look at everything that is to be told.

    Args:
        stats: the counts.
        shipper: what sends; None in a dry run.
        queue_limit: bytes that the queue may hold.
        folder: of the spool; None if nothing goes to disk.
        target: whom batches on disk are for that are being sent.
    """
    sizes = spool_view.measure(folder, target) if folder else None
    ages = [shipper.oldest_s if shipper else 0.0]
    if sizes and sizes.oldest is not None:
        ages.append(time.time() - sizes.oldest)
    return Observation(
        counts=stats.snapshot(),
        queue_bytes=shipper.queue_bytes if shipper else 0,
        queue_limit=queue_limit,
        spool_bytes=sizes.waiting if sizes else None,
        dead_bytes=sizes.dead if sizes else None,
        oldest_s=max(ages),
    )


class Metrics:
    """Serves metrics on a thread of its own until `close`.

    Args:
        host: address to listen on.
        port: port to listen on; 0 takes a free one.
        observe: gives what is to be told.

    Raises:
        OSError: the address cannot be used.
    """

    def __init__(self, host: str, port: int, observe: Callable[[], Observation]) -> None:
        registry = CollectorRegistry()
        registry.register(_Collector(observe))
        self._server = make_server(host, port, _app(registry, observe), _Server, _Handler)
        threading.Thread(target=self._server.serve_forever, name="akto-metrics", daemon=True).start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, WSGIServer):
    """Answers scrapes that overlap, `MAX_CLIENTS` at a time, each within `CLIENT_S`; others find the door shut."""

    daemon_threads = True

    def __init__(self, *args: Any) -> None:
        self._places = threading.BoundedSemaphore(MAX_CLIENTS)
        super().__init__(*args)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread, if there is a place for one."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._places.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a client, however slowly it sends and reads, for no longer than its time."""
        clock = threading.Timer(CLIENT_S, _hang_up, [request])
        clock.daemon = True
        try:
            clock.start()
            super().process_request_thread(request, client_address)
        finally:
            clock.cancel()
            self._places.release()

    def handle_error(self, *_: Any) -> None:
        """Leave a client alone that went away or said nothing: it is no fault of this program's."""
        logger.debug("akto: a client of the metrics failed: %s", printable(repr(sys.exception())))


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Handler(WSGIRequestHandler):
    """Leaves no line a scrape in the log."""

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the standard library
        """Do nothing."""


def _app(registry: CollectorRegistry, observe: Callable[[], Observation]) -> Callable[..., Iterable[bytes]]:
    metrics = make_wsgi_app(registry)

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/healthz":
            page: Iterable[bytes] = metrics(environ, start_response)
            return page
        seen = observe()
        healthy = seen.oldest_s < STALE_S
        start_response("200 OK" if healthy else "503 Service Unavailable", [("content-type", "application/json")])
        return [json.dumps({"healthy": healthy, "oldest_unshipped_s": round(seen.oldest_s, 1)}).encode()]

    return app


class _Collector(Collector):
    def __init__(self, observe: Callable[[], Observation]) -> None:
        self._observe = observe

    def collect(self) -> Iterable[Metric]:
        seen = self._observe()
        yield from _outcomes(seen.counts)
        yield from _delivery(seen.counts)
        yield from _sizes(seen)


def _outcomes(counts: Snapshot) -> Iterable[Metric]:
    flows = CounterMetricFamily("akto_mirror_flows_skipped", "Flows that a capture rule left out.", labels=["reason"])
    for reason in Reason:
        flows.add_metric([reason], counts.skipped.get(reason, 0))
    yield flows
    yield CounterMetricFamily("akto_mirror_entries_captured", "Entries made of flows.", counts.captured)
    yield CounterMetricFamily(
        "akto_mirror_entries_shortened", "Entries that were cut because they were too large.", counts.shortened
    )
    yield CounterMetricFamily(
        "akto_mirror_entries_recovered", "Entries found in the spool that another process left.", counts.recovered
    )
    ended = CounterMetricFamily("akto_mirror_entries_ended", "Entries by how they ended.", labels=["outcome"])
    for place in ENDED:
        ended.add_metric([_label(place)], counts.places[place])
    yield ended
    dropped = CounterMetricFamily("akto_mirror_entries_dropped", "Entries that are lost.", labels=["reason"])
    for loss in Dropped:
        dropped.add_metric([loss], counts.dropped.get(loss, 0))
    yield dropped


def _delivery(counts: Snapshot) -> Iterable[Metric]:
    yield CounterMetricFamily("akto_mirror_batches_shipped", "Batches that Akto took.", counts.batches)
    yield CounterMetricFamily("akto_mirror_sent_bytes", "Bytes of the entries shipped.", counts.sent_bytes)
    yield CounterMetricFamily("akto_mirror_request_failures", "Failed tries to send a batch.", counts.failures)
    yield SummaryMetricFamily(
        "akto_mirror_request_duration_seconds",
        "Tries to send a batch, and the seconds that they took.",
        count_value=counts.batches + counts.failures,
        sum_value=counts.send_seconds,
    )


def _sizes(seen: Observation) -> Iterable[Metric]:
    waiting = GaugeMetricFamily("akto_mirror_entries_waiting", "Entries that wait, by where.", labels=["place"])
    for place in WAITING:
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


def _label(place: Place) -> str:
    return place.replace(" ", "_")
