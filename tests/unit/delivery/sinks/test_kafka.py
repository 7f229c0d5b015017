"""The Kafka sink with librdkafka's mock cluster, which speaks the real protocol: each entry has a result."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import msgspec
import pytest

from akto_mirror.delivery.sinks.base import EntryResult, SendResult
from akto_mirror.delivery.sinks.kafka import KafkaSink, Sent
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.sinks.symptoms import Kind
from tests.support import kafka
from tests.support.kafka import TOPIC, MockCluster

ENTRIES = [b'{"path":"/%d"}' % number for number in range(20)]
ALL = tuple(range(len(ENTRIES)))


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """Run three brokers."""
    with MockCluster() as found:
        yield found


def sink(brokers: tuple[str, ...], **properties: str) -> KafkaSink:
    """Return a sink for the topic; underscores in the names of properties become dots."""
    given = tuple((name.replace("_", "."), value) for name, value in properties.items())
    return KafkaSink(KafkaConfig(brokers, TOPIC, given))


def test_what_is_reported_as_delivered_is_in_the_topic(cluster: MockCluster) -> None:
    """Each entry is one record with the entry's bytes."""
    assert sink(cluster.brokers).produce(ENTRIES, 10) == Sent()
    assert sorted(cluster.values(len(ENTRIES))) == sorted(ENTRIES)


def test_a_leader_that_changes_costs_nothing(cluster: MockCluster) -> None:
    """After a change of the leader, all entries arrive once."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.lead(2)
    cluster.fail(kafka.PRODUCE, kafka.NOT_LEADER)
    assert to.produce(ENTRIES, 10) == Sent()
    assert len(cluster.values(2 * len(ENTRIES))) == 2 * len(ENTRIES)


def test_one_broker_of_three_that_is_gone_costs_nothing(cluster: MockCluster) -> None:
    """With one of three brokers down, at first or later, all entries arrive."""
    cluster.down(1)
    cluster.lead(2)
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.up(1)
    cluster.lead(3)
    cluster.down(2)
    assert to.produce(ENTRIES, 10) == Sent()


def test_brokers_that_never_answered_are_reported_at_once(cluster: MockCluster) -> None:
    """If no broker has answered, nothing can be in flight: the error comes before the deadline, for the back-off."""
    cluster.down()
    to = sink(cluster.brokers)
    began = time.monotonic()
    sent = to.produce(ENTRIES, 60)
    assert time.monotonic() - began < 30
    assert (sent.left, sent.doubtful, sent.problem.cause.kind) == (ALL, 0, Kind.TRANSIENT)
    assert "Connection refused" in sent.problem.text
    assert "start the broker" in sent.problem.cause.remedy
    cluster.up()
    assert to.produce(ENTRIES, 10) == Sent()


def test_brokers_that_fail_in_between_leave_the_entries(cluster: MockCluster) -> None:
    """Entries that were not delivered are sent later, by a new client."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.down()
    assert to.produce(ENTRIES, 1).left == ALL
    cluster.up()
    assert to.produce(ENTRIES, 10) == Sent()


def test_the_deadline_holds_and_what_is_on_its_way_is_doubtful() -> None:
    """Records that were sent and not acknowledged at the deadline are in doubt."""
    with MockCluster(1) as cluster:
        to = sink(cluster.brokers)
        assert to.produce(ENTRIES, 10) == Sent()
        cluster.slow(30_000)
        began = time.monotonic()
        sent = to.produce(ENTRIES, 1)
        assert time.monotonic() - began < 20
        assert (sent.left, sent.doubtful) == (ALL, len(ALL))
        assert "no acknowledgement" in sent.problem.text


def test_an_abort_ends_the_wait(cluster: MockCluster) -> None:
    """An abort ends the wait for a slow broker, so that the exit is fast."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.slow(30_000)
    threading.Timer(0.2, to.abort).start()
    began = time.monotonic()
    assert to.produce(ENTRIES, 60).left == ALL
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("error", "kind", "hint"),
    [
        (kafka.TOPIC_DENIED, Kind.AUTH, "Write on the topic"),
        (kafka.CLUSTER_DENIED, Kind.AUTH, "IdempotentWrite"),
        (kafka.INVALID_RECORD, Kind.SETUP, "compacted"),
        (kafka.INVALID_TIMESTAMP, Kind.TRANSIENT, "clock"),
        (kafka.THROTTLED, Kind.TRANSIENT, "check"),
    ],
)
def test_what_the_broker_refuses_is_named(cluster: MockCluster, error: int, kind: Kind, hint: str) -> None:
    """A broker's error has a remedy, and later batches are sent by the same sink."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.fail(kafka.PRODUCE, error)
    sent = to.produce(ENTRIES, 10)
    assert sent.left == ALL
    assert sent.problem.cause.kind is kind
    assert hint in sent.problem.cause.remedy
    assert to.produce(ENTRIES, 10) == Sent()


def test_a_user_without_the_right_to_idempotence_is_named(cluster: MockCluster) -> None:
    """Brokers before 2.8 need an additional right for idempotence; the remedy names it."""
    cluster.fail(kafka.INIT_PRODUCER_ID, kafka.CLUSTER_DENIED)
    to = sink(cluster.brokers)
    sent = to.produce(ENTRIES, 10)
    assert (sent.left, sent.problem.cause.kind) == (ALL, Kind.AUTH)
    assert "enable.idempotence=false" in sent.problem.cause.remedy
    assert to.produce(ENTRIES, 10) == Sent()


def test_a_topic_that_is_missing_is_named_and_may_come_later(cluster: MockCluster) -> None:
    """A missing topic is not created, because its partitions and retention are unknown; entries wait for it."""
    cluster.set_topic_error(kafka.UNKNOWN_TOPIC)
    to = sink(cluster.brokers)
    sent = to.produce(ENTRIES, 10)
    assert (sent.left, sent.problem.cause.kind) == (ALL, Kind.SETUP)
    assert "create the topic" in sent.problem.cause.remedy
    cluster.set_topic_error(0)
    assert to.produce(ENTRIES, 10) == Sent()


def test_a_fatal_error_ends_the_client_and_not_the_sink(cluster: MockCluster) -> None:
    """After a fatal error of the idempotent producer, the sink creates another client."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.fail(kafka.PRODUCE, kafka.OUT_OF_ORDER)
    sent = to.produce(ENTRIES, 10)
    assert sent.left == ALL
    assert "sequence" in sent.problem.text
    assert to.produce(ENTRIES, 10) == Sent()


def test_a_set_that_is_too_large_goes_one_by_one(cluster: MockCluster) -> None:
    """The records of a batch that is too large are sent one by one."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.fail(kafka.PRODUCE, kafka.TOO_LARGE)
    assert to.produce(ENTRIES, 10) == Sent()
    assert sorted(cluster.values(2 * len(ENTRIES))) == sorted(2 * ENTRIES)


def entry(size: int) -> bytes:
    """Return an entry with a response payload of this size."""
    fields = dict.fromkeys(("path", "method", "requestHeaders", "responseHeaders", "requestPayload", "ip", "time"), "x")
    fields |= dict.fromkeys(("statusCode", "type", "status", "akto_account_id", "akto_vxlan_id", "is_pending"), "x")
    return msgspec.json.encode(fields | {"source": "MIRRORING", "tag": "{}", "responsePayload": "y" * size})


def test_an_entry_that_is_too_large_is_shortened_once(cluster: MockCluster) -> None:
    """An entry over the client's limit is shortened once; smaller ones arrive unchanged."""
    to = sink(cluster.brokers, message_max_bytes="200000")
    sent = to.produce([ENTRIES[0], entry(300_000), ENTRIES[1]], 10)
    assert sent == Sent(shortened=1)
    found = cluster.values(3)
    assert {ENTRIES[0], ENTRIES[1]} < set(found)
    assert max(map(len, found)) < 1000


@pytest.mark.parametrize(
    ("refusals", "expected"),
    [
        pytest.param(2, Sent(shortened=1), id="alone, and not without its long payloads"),
        pytest.param(3, Sent(rejected=(0,)), id="even without them"),
    ],
)
def test_an_entry_that_the_broker_finds_too_large(cluster: MockCluster, refusals: int, expected: Sent) -> None:
    """An entry that the broker refuses as too large is sent alone and then shortened, before it is rejected."""
    to = sink(cluster.brokers)
    assert to.produce(ENTRIES, 10) == Sent()
    cluster.fail(kafka.PRODUCE, *[kafka.TOO_LARGE] * refusals)
    assert to.produce([entry(300_000)], 10) == expected
    assert to.produce(ENTRIES, 10) == Sent()


def test_an_entry_that_is_too_large_even_then_is_rejected(cluster: MockCluster) -> None:
    """An entry that is still too large is rejected; the others arrive."""
    to = sink(cluster.brokers, message_max_bytes="1000", batch_size="1000")
    sent = to.produce([ENTRIES[0], b"x" * 5000, ENTRIES[1]], 10)
    assert (sent.left, sent.rejected) == ((), (1,))
    assert sorted(cluster.values(2)) == ENTRIES[:2]


def test_a_full_memory_of_the_client_is_waited_for(cluster: MockCluster) -> None:
    """A batch may be larger than the client's queue."""
    to = sink(cluster.brokers, queue_buffering_max_messages="3")
    assert to.produce(ENTRIES, 20) == Sent()
    assert len(cluster.values(len(ENTRIES))) == len(ENTRIES)


def test_a_full_memory_and_no_broker_leaves_the_rest() -> None:
    """With a full queue and no broker, no entry counts as delivered."""
    sent = sink(("127.0.0.1:1",), queue_buffering_max_messages="3").produce(ENTRIES, 2)
    assert sent.left == ALL


def test_a_name_that_is_not_known_is_named() -> None:
    """An unknown host has the resolver's error and a remedy."""
    sent = sink(("no-such-host.invalid:9092",)).produce(ENTRIES, 60)
    assert (sent.left, sent.problem.name) == (ALL, "_RESOLVE")
    assert "name resolution" in sent.problem.cause.remedy


def test_the_result_has_a_verdict_on_each_entry(cluster: MockCluster) -> None:
    """Each entry of a batch has a result, with the client's reason."""
    to = sink(cluster.brokers, message_max_bytes="1000", batch_size="1000")
    assert to.send(ENTRIES[:2], 10) == SendResult(200, entry_results=[EntryResult.DELIVERED] * 2)
    mixed = to.send([ENTRIES[0], b"x" * 5000], 10)
    assert mixed.entry_results == [EntryResult.DELIVERED, EntryResult.TOO_LARGE]
    assert "max.message.bytes" in mixed.answer
    cluster.fail(kafka.PRODUCE, kafka.TOPIC_DENIED)
    refused = to.send(ENTRIES[:2], 10)
    assert (refused.entry_results, refused.kind) == ([EntryResult.UNKNOWN] * 2, Kind.AUTH)
    assert "Write on the topic" in refused.explained


def test_no_secret_is_in_a_text() -> None:
    """No text has a secret, even if the client quotes it."""
    to = KafkaSink(KafkaConfig(("hunter2.invalid:9092",), TOPIC, (("sasl.password", "hunter2"),)))
    assert "hunter2" not in to.send(ENTRIES, 20).answer
