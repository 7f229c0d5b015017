"""CPU time of delivery per entry, over HTTP and to Kafka."""

from __future__ import annotations

import multiprocessing
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import msgspec

from akto_mirror.akto_api import Entry
from akto_mirror.delivery.sinks.base import Sink
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from benchmarks import table
from tests.faults.server import FaultServer
from tests.support.kafka import TOPIC, Broker

BATCH, BATCHES, ROUNDS = 100, 50, 7


def entries() -> list[bytes]:
    """Return a batch of entries of about 1.5 KB."""
    fields = dict.fromkeys(Entry.__struct_fields__, "x") | {"responsePayload": '{"id":1,"name":"a product"}' * 50}
    return [msgspec.json.encode(Entry(**fields | {"path": f"/{number}"})) for number in range(BATCH)]


def cpu(to: Sink, batch: list[bytes]) -> float:
    """Return this process's CPU time per entry in microseconds; the first batch connects and is not counted."""
    to.send(batch, 30)
    began = time.process_time()
    for _ in range(BATCHES):
        result = to.send(batch, 30)
        if result.status != 200:
            raise RuntimeError(result.answer)
    return (time.process_time() - began) / (BATCH * BATCHES) * 1e6


def serve(pipe: Connection) -> None:
    """Run a stand-in for Akto in a separate process."""
    with FaultServer() as server:
        pipe.send(server.url)
        threading.Event().wait()


def report() -> str:
    """Measure both in alternation and return the section."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    batch = entries()
    with Broker() as broker:
        broker.create()
        address = here.recv()
        makers: dict[str, Callable[[], Sink]] = {
            "HTTP": lambda: HttpSink(f"{address}/api/ingestData"),
            "Kafka": lambda: KafkaSink(KafkaConfig((f"127.0.0.1:{broker.port}",), TOPIC)),
        }
        found: dict[str, list[float]] = {name: [] for name in makers}
        for _ in range(ROUNDS):
            for name, make in makers.items():
                to = make()
                found[name].append(cpu(to, batch))
                to.close()
    process.terminate()
    rows = [[name, f"{statistics.median(values):.1f}"] for name, values in found.items()]
    measured = (
        f"{table.machine()}. Batches of {BATCH} entries of about 1.5 KB, {BATCHES} in each of {ROUNDS} runs, in turns; "
        "service and broker in other processes; medians."
    )
    return f"### Delivery\n\n{measured}\n\n{table.render(['destination', 'CPU time of delivery per entry, µs'], rows)}"
