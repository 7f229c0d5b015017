"""Destinations of entries while a proxy is killed repeatedly: an HTTP service or a Kafka topic."""

from __future__ import annotations

import json
import random
from collections import Counter

from tests.faults.server import OK, FaultServer, Reply, status
from tests.support.kafka import MockCluster


class Service(FaultServer):
    """An ingestion service over HTTP."""

    MOODS = (OK, OK, OK, status(503), Reply(status=None, hang_s=1.0), status(500))

    def change(self, draw: random.Random) -> None:
        """Draw the answer for all batches from now on."""
        self.script = draw.choice(self.MOODS)

    def work(self) -> None:
        """Accept everything."""
        self.script = OK


class Topic(MockCluster):
    """A topic of a cluster, which may be down, or acknowledge after the timeout."""

    @property
    def taken(self) -> Counter[str]:
        """The entries in the topic, by path."""
        return Counter(json.loads(value)["path"] for value in self.values())

    def change(self, draw: random.Random) -> None:
        """Work, refuse connections, or store records without acknowledging them in time."""
        self.work()
        mood = draw.choice(["up", "up", "down", "late"])
        if mood == "down":
            self.down()
        elif mood == "late":
            self.slow(20_000)

    def work(self) -> None:
        """Accept everything, and acknowledge it at once."""
        self.slow(0)
        self.up()
