"""Entries reach a Kafka topic through the whole delivery: with a real broker, and with a failing cluster."""

from __future__ import annotations

import json
import random
import re
import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx
import msgspec
import pytest

from akto_mirror.accounts import Stats
from akto_mirror.akto_api import Entry
from akto_mirror.delivery.batch import Limits
from akto_mirror.delivery.policy import Policy, SpoolPlan
from akto_mirror.delivery.retry import Durability, Pace
from akto_mirror.delivery.shipper import Shipper
from akto_mirror.delivery.sinks.kafka import KafkaSink
from akto_mirror.delivery.sinks.kafka_config import KafkaConfig
from akto_mirror.delivery.spool.spool import Spool
from tests.faults.load import Api
from tests.faults.server import wait_for
from tests.support import kafka
from tests.support.kafka import TOPIC, Broker, MockCluster
from tests.support.kafka_door import Door
from tests.support.metrics import samples
from tests.support.proxy import ADDON, MITMDUMP, PLAIN, ROOT, confdir, running, running_mitmdump, under_run

# Retries sooner than by default, so that tests need not wait.
PACE = Pace(first_s=0.05, longest_s=0.5, slow_s=0.5)

# Entries per batch where a test sends its own requests.
BATCH = 10


@pytest.fixture
def cluster() -> Iterator[MockCluster]:
    """Run three brokers that can fail."""
    with MockCluster() as found:
        yield found


def shipper(brokers: tuple[str, ...], folder: Path | None = None, timeout_s: float = 5, **properties: str) -> Shipper:
    """Return a shipper to a topic; with a folder every batch is spooled first."""
    given = tuple((name.replace("_", "."), value) for name, value in properties.items())
    policy = Policy(
        Limits(10, 1_000_000, 0.05),
        10_000_000,
        timeout_s,
        5,
        durability=Durability.MEMORY if folder is None else Durability.DISK,
        spool=None if folder is None else SpoolPlan(folder, 10_000_000, "t"),
        pace=PACE,
    )
    return Shipper(policy, KafkaSink(KafkaConfig(brokers, TOPIC, given)), Stats())


def entries(count: int, start: int = 0) -> list[bytes]:
    """Return distinct entries."""
    return [json.dumps({"path": f"/{number}"}).encode() for number in range(start, start + count)]


def offer(to: Shipper, these: list[bytes]) -> None:
    """Offer entries to a shipper."""
    for entry in these:
        assert to.offer(entry) is None


def shipped(to: Shipper, count: int) -> Callable[[], bool]:
    """Return whether this many entries have been shipped."""
    return lambda: to.stats.snapshot().shipped >= count


def close(to: Shipper) -> None:
    """Close a shipper, and check that no entry is missing."""
    to.close().result(30)
    assert to.stats.snapshot().missing == 0


def test_a_real_broker_gets_every_entry_once() -> None:
    """Each entry is one record without a key, whose value is the entry's bytes."""
    with Broker() as broker:
        broker.create()
        to = shipper((f"127.0.0.1:{broker.port}",))
        sent = entries(250)
        offer(to, sent)
        wait_for(shipped(to, len(sent)))
        close(to)
        assert Counter(broker.values(len(sent))) == Counter(sent)


def test_a_broker_that_comes_late_gets_everything() -> None:
    """Nothing is lost if the broker is down at the start, and the topic is created even later."""
    broker = Broker(kafka.free_port())
    to = shipper((f"127.0.0.1:{broker.port}",))
    sent = entries(30)
    offer(to, sent)
    wait_for(lambda: to.stats.snapshot().failures > 0)
    with broker:
        failed = to.stats.snapshot().failures
        wait_for(lambda: to.stats.snapshot().failures > failed)
        broker.create()
        wait_for(shipped(to, len(sent)))
        close(to)
        assert Counter(broker.values(len(sent))) == Counter(sent)


def test_a_broker_that_is_back_without_its_data_gets_what_follows() -> None:
    """Only the entries that the broker had acknowledged are lost with its data."""
    broker = Broker()
    with broker:
        broker.create()
        to = shipper((f"127.0.0.1:{broker.port}",))
        offer(to, entries(20))
        wait_for(shipped(to, 20))
        broker.kill()
        offer(to, entries(20, start=20))
        wait_for(lambda: to.stats.snapshot().failures > 0)
        broker.start()
        broker.create()
        wait_for(shipped(to, 40))
        close(to)
        assert Counter(broker.values(20)) == Counter(entries(20, start=20))


def test_what_the_topic_does_not_take_is_shortened_or_a_dead_letter(cluster: MockCluster, tmp_path: Path) -> None:
    """The other entries of the batch arrive; a batch of one entry is treated alike."""
    to = shipper(cluster.brokers, tmp_path, message_max_bytes="150000", batch_size="100000")
    fields = dict.fromkeys(Entry.__struct_fields__, "x")
    long = msgspec.json.encode(Entry(**fields | {"responsePayload": "y" * 200_000}))
    hopeless = msgspec.json.encode(Entry(**fields | {"requestHeaders": "z" * 200_000}))
    offer(to, [*entries(5), long, hopeless])
    wait_for(shipped(to, 6))
    offer(to, [hopeless + b" "])
    wait_for(lambda: to.stats.snapshot().rejected == 2)
    close(to)
    assert to.stats.snapshot().shortened == 1
    assert set(entries(5)) < set(cluster.values(6))


def test_rights_that_are_granted_later_cost_nothing(cluster: MockCluster) -> None:
    """After a refusal delivery is retried at intervals; the log says what is wrong."""
    to = shipper(cluster.brokers)
    cluster.set_topic_error(kafka.TOPIC_DENIED)
    offer(to, entries(20))
    wait_for(lambda: to.stats.snapshot().failures > 1)
    cluster.set_topic_error(0)
    wait_for(shipped(to, 20))
    close(to)
    assert Counter(cluster.values(20)) == Counter(entries(20))


def test_a_slow_broker_and_an_exit_leave_the_rest_on_disk(cluster: MockCluster, tmp_path: Path) -> None:
    """Everything arrives at least once; a batch that was being sent may arrive twice."""
    to = shipper(cluster.brokers, tmp_path)
    offer(to, entries(20))
    wait_for(shipped(to, 20))
    cluster.slow(60_000)
    offer(to, entries(20, start=20))
    wait_for(lambda: to.stats.snapshot().in_flight > 0)
    to.hurry()
    close(to)
    assert to.stats.snapshot().spooled == 20
    cluster.slow(0)
    next_one = shipper(cluster.brokers, tmp_path)
    next_one.start()
    wait_for(shipped(next_one, 20))
    close(next_one)
    assert set(cluster.values(40)) == set(entries(40))


def test_two_shippers_share_a_spool(cluster: MockCluster, tmp_path: Path) -> None:
    """One shipper sends what the other leaves; nothing arrives twice."""
    cluster.down()
    first, second = (shipper(cluster.brokers, tmp_path) for _ in range(2))
    offer(first, entries(20))
    offer(second, entries(20, start=20))
    wait_for(lambda: all(each.stats.snapshot().failures for each in (first, second)))
    close(first)
    cluster.up()
    wait_for(shipped(second, 40))
    close(second)
    assert Counter(cluster.values(40)) == Counter(entries(40))


def test_errors_at_random_lose_nothing(cluster: MockCluster, tmp_path: Path) -> None:
    """Nothing is lost while leaders change, brokers fail, and every error in the list of failures is returned."""
    draw = random.Random(7)
    to = shipper(cluster.brokers, tmp_path, timeout_s=3)
    errors = [kafka.NOT_LEADER, kafka.TOO_LARGE, kafka.TOPIC_DENIED, kafka.CLUSTER_DENIED, kafka.OUT_OF_ORDER]
    for start in range(0, 300, 10):
        match draw.randrange(4):
            case 0:
                cluster.lead(draw.randint(1, 3))
            case 1:
                cluster.fail(kafka.PRODUCE, draw.choice([*errors, kafka.THROTTLED]))
            case 2:
                cluster.fail(kafka.INIT_PRODUCER_ID, draw.choice(errors[3:]))
            case 3:
                cluster.down(broker := draw.randint(1, 3))
                cluster.up(broker)
        offer(to, entries(10, start=start))
        wait_for(shipped(to, start - 50))
    wait_for(shipped(to, 300))
    close(to)
    assert set(cluster.values(300)) == set(entries(300))


def test_a_clock_that_jumps_loses_nothing(
    cluster: MockCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock is set forwards and back, with brokers up and down; only the monotonic clock matters."""
    clock, to = time.time, shipper(cluster.brokers, tmp_path, timeout_s=1)

    def deliver(start: int, days: int) -> None:
        monkeypatch.setattr(time, "time", lambda: clock() + days * 86400)
        cluster.down()
        failed = to.stats.snapshot().failures
        offer(to, entries(10, start=start))
        wait_for(lambda: to.stats.snapshot().failures > failed)
        cluster.up()
        wait_for(shipped(to, start + 10))

    for start, days in ((0, 3650), (10, -3650), (20, 0)):
        deliver(start, days)
    close(to)
    # If a broker does not answer within the second, the batch is sent again.
    assert set(cluster.values(30)) == set(entries(30))


@pytest.mark.e2e
def test_the_two_commands_of_the_page_reach_a_broker() -> None:
    """Both commands of docs/several-machines.md work; only ports and folders are replaced."""
    page = (ROOT / "docs" / "several-machines.md").read_text(encoding="utf-8")
    [commands] = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    install, mirror = commands.splitlines()
    assert install == "pip install '.[kafka]'"
    with Broker() as broker, Api() as api:
        broker.create()
        here = {"localhost:3000": f"127.0.0.1:{api.port}@127.0.0.1:0", "kafka://localhost:9092": broker.url}
        for there, ours in (here | {ADDON.name: str(ADDON)}).items():
            assert mirror.count(there) == 1
            mirror = mirror.replace(there, ours)
        program, *arguments = shlex.split(mirror)
        assert program == MITMDUMP.name
        with running([*PLAIN, *arguments, "--set", f"confdir={confdir()}"], ["127.0.0.1"]) as proxy:
            assert httpx.get(f"{proxy.url}/1", trust_env=False).status_code == 200
            assert in_topic((f"127.0.0.1:{broker.port}",), 1) == ["/1"]


@pytest.mark.e2e
def test_workers_share_a_topic(cluster: MockCluster) -> None:
    """Each worker of `akto-mirror run` has a separate Kafka client; every entry arrives once."""
    options = {"akto_url": cluster.url, "akto_linger_ms": "50"}
    paths = {f"/{number}" for number in range(40)}
    with Api() as api, under_run(2), running_mitmdump(f"reverse:http://127.0.0.1:{api.port}", options=options) as proxy:
        for path in paths:  # Each uses a new connection, so that the workers share them.
            assert httpx.get(f"{proxy.url}{path}", trust_env=False).status_code == 200
    assert Counter(json.loads(value)["path"] for value in cluster.values(len(paths))) == Counter(paths)


@pytest.mark.e2e
@pytest.mark.slow
def test_a_proxy_that_is_killed_between_a_record_and_its_report(tmp_path: Path) -> None:
    """`kill -9` while the broker has a batch and the proxy waits for the acknowledgement; another one shares the spool.

    The other proxy touches nothing while the first one lives, and then delivers everything. Only this batch arrives
    twice, and a metric counts it.
    """
    paths = [f"/{number}" for number in range(3 * BATCH)]
    with Door() as door, Broker(advertised=f"localhost:{door.port}") as broker, Api() as api:
        door.broker = broker.port
        broker.create()
        brokers, mode = (f"localhost:{door.port}",), f"reverse:http://127.0.0.1:{api.port}"
        options = {
            "akto_url": f"kafka://{brokers[0]}",
            "akto_durability": "disk",
            "akto_spool_dir": str(tmp_path),
            "akto_batch_entries": str(BATCH),
            "akto_linger_ms": "60000",
            "akto_timeout_s": "60",
            "akto_metrics": "127.0.0.1:0",
        }
        door.hold()
        with running_mitmdump(mode, options=options) as other:
            metrics = other.wait_for(r"metrics at (http://127\.0\.0\.1:\d+)/metrics")[1]
            with running_mitmdump(mode, options=options) as proxy:
                for path in paths:
                    assert httpx.get(f"{proxy.url}{path}", trust_env=False).status_code == 200
                wait_for(lambda: on_disk(tmp_path) == len(paths))
                assert Counter(in_topic(brokers, BATCH)) == Counter(paths[:BATCH])
                assert samples(metrics)["akto_mirror_entries_recovered_total"] == 0
                proxy.kill()
            door.release()
            wait_for(lambda: on_disk(tmp_path) == 0, 90)
            counts = samples(metrics)
        assert Counter(in_topic(brokers, len(paths) + BATCH)) == Counter(paths + paths[:BATCH])
    assert counts["akto_mirror_entries_recovered_total"] == len(paths)
    assert counts["akto_mirror_entries_sent_again_in_doubt_total"] == BATCH


def in_topic(brokers: Sequence[str], least: int) -> list[str]:
    """Return the paths of the entries in the topic, once there are at least this many."""
    return [json.loads(value)["path"] for value in kafka.values(brokers, least)]


def on_disk(folder: Path) -> int:
    """Return the number of entries in a spool."""
    spool = Spool(folder, target="", limit=1, owner="oracle")
    try:
        return sum(each.entries for each in spool.waiting())
    finally:
        spool.close()
