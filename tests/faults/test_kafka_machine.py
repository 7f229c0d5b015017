"""Delivery contract, line 1: conservation with Kafka, with failures of the cluster in random orders."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, settings

from akto_mirror.delivery.sinks.base import SendResult
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from tests.faults.driver import Answer
from tests.faults.machine import Delivery
from tests.support import kafka
from tests.support.kafka import TOPIC, MockCluster

# The cluster's behaviour in place of each HTTP status.
ERRORS = {
    301: kafka.NOT_LEADER,
    400: kafka.INVALID_RECORD,
    401: kafka.TOPIC_DENIED,
    404: kafka.UNKNOWN_TOPIC,
    413: kafka.TOO_LARGE,
    422: kafka.OUT_OF_ORDER,
    429: kafka.THROTTLED,
    500: kafka.CLUSTER_DENIED,
    503: kafka.NOT_LEADER,
}

TIMEOUT_S = 2.0


class DeliveryToKafka(Delivery):
    """The same machine, with each attempt made by the real sink to a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = MockCluster()
        self.cluster.start()
        self.sink = KafkaSink(KafkaConfig(self.cluster.brokers, TOPIC))

    def answering(self, status: int | None) -> Answer:
        """Return an attempt on a cluster that fails as the status says; for None it acknowledges too late."""

        def answer(entries: Sequence[bytes]) -> SendResult:
            if status in ERRORS:
                self.cluster.fail(kafka.PRODUCE, ERRORS[status])
            if status is not None:
                return self.sink.send(entries, TIMEOUT_S)
            self.cluster.slow(1000)
            try:
                return self.sink.send(entries, 0.05)
            finally:
                self.cluster.slow(0)

        return answer

    def account(self) -> None:
        """The topic has the entries that arrived, at most twice where a duplicate is counted."""
        self.arrived = Counter(self.cluster.values())
        assert set(self.arrived) <= self.captured
        assert self.arrived.total() - len(self.arrived) <= self.doubtful
        super().account()

    def teardown(self) -> None:
        """Stop the cluster as well."""
        try:
            super().teardown()
        finally:
            self.sink.close()
            self.cluster.stop()


DeliveryToKafka.TestCase.settings = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "akto_mirror")


TestDeliveryToKafka = pytest.mark.slow(pytest.mark.timeout(600)(DeliveryToKafka.TestCase))
