"""The choice of the sink by the address."""

from __future__ import annotations

from pathlib import Path

import pytest

from akto_mirror.delivery.sinks import choose, destination
from akto_mirror.delivery.sinks.choose import SinkConfig
from akto_mirror.delivery.sinks.file import FileSink
from akto_mirror.delivery.sinks.http import HttpSink
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig

TOPIC = KafkaConfig(("127.0.0.1:1",), "t")


@pytest.mark.parametrize(
    ("url", "kafka", "kind"),
    [
        ("http://127.0.0.1:1", None, HttpSink),
        ("file://{}/x", None, FileSink),
        ("kafka://127.0.0.1:1", TOPIC, KafkaSink),
    ],
)
def test_the_scheme_decides(url: str, kafka: KafkaConfig | None, kind: type, tmp_path: Path) -> None:
    """The scheme selects the sink, which does not connect before the first batch."""
    sink = choose.open_sink(SinkConfig(destination.parse(url.format(tmp_path)), kafka=kafka), "marker")
    assert type(sink) is kind
    sink.close()


def test_a_configuration_shows_no_token() -> None:
    """Line 11: the repr has no token, so that logs and tracebacks do not; the spool's target is the server's URL."""
    config = SinkConfig(destination.parse("http://h:1/own"), token="hunter2")
    assert "hunter2" not in repr(config)
    assert config.target == "http://h:1"
