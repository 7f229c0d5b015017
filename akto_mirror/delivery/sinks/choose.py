"""Opens the sink for an address."""

from __future__ import annotations

from dataclasses import dataclass, field

from akto_mirror.delivery.sinks import destination
from akto_mirror.delivery.sinks.base import Sink
from akto_mirror.delivery.sinks.destination import Destination
from akto_mirror.delivery.sinks.file import FileSink
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig


@dataclass(frozen=True, slots=True)
class SinkConfig:
    """The destination of batches.

    Attributes:
        destination: the parsed `akto_url`; empty for a dry run.
        uds: path of a Unix socket to connect through; empty connects to the address.
        token: sent raw as `Authorization`; empty sends none.
        kafka: the configuration of Kafka, if that is the destination.
    """

    destination: Destination = Destination()  # noqa: RUF009 - it is frozen
    uds: str = ""
    token: str = field(default="", repr=False)
    kafka: KafkaConfig | None = None

    @property
    def target(self) -> str:
        """The destination's name in a spool."""
        return destination.spool_target(self.destination, self.uds)


def open_sink(config: SinkConfig, marker: str) -> Sink:
    """Open the sink that the address names.

    Args:
        config: the destination, which is not empty.
        marker: the value of the header `x-akto-mirror` in requests to Akto.
    """
    to = config.destination
    if config.kafka is not None:
        return KafkaSink(config.kafka)
    if to.scheme == "file":
        return FileSink(to.path)
    return HttpSink(to.url, token=config.token, uds=config.uds, marker=marker)
