"""Where entries arrive while a proxy is killed over and over: a service over HTTP, or a topic of Kafka."""

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
        """Answer alike from now on."""
        self.script = draw.choice(self.MOODS)

    def work(self) -> None:
        """Take everything."""
        self.script = OK


class Topic(MockCluster):
    """A topic of a cluster, which may be away, or acknowledge later than is waited for."""

    @property
    def taken(self) -> Counter[str]:
        """What is in the topic, by path."""
        return Counter(json.loads(value)["path"] for value in self.values())

    def change(self, draw: random.Random) -> None:
        """Work, refuse connections, or take records and not say so in time."""
        self.work()
        mood = draw.choice(["up", "up", "down", "late"])
        if mood == "down":
            self.down()
        elif mood == "late":
            self.slow(20_000)

    def work(self) -> None:
        """Take everything, and say so at once."""
        self.slow(0)
        self.up()
