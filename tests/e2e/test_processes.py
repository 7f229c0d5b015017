"""`akto-mirror run --processes`: several workers at one address, replaced and killed under load."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import httpx
import pytest
from h2.connection import H2Connection
from prometheus_client.parser import text_string_to_metric_families
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.delivery.spool.spool import Spool
from tests.faults import kills, soak
from tests.faults.load import Api, Clients
from tests.faults.server import OK, FaultServer, status, wait_for
from tests.support.mirror import trust_proxy
from tests.support.proxy import AT_ONCE, DEADLINE, RUN, Proxy, confdir, end, running, under_run

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="several processes are for Linux"),
]

# Runs a program with few descriptors.
LIMITED = """
import os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
os.execv(sys.argv[1], sys.argv[1:])
"""

REPLACED = "akto: all workers are replaced"


class StrictClients(Clients):
    """Clients that notice each failure of which a correct client could not simply repeat the request.

    A request is repeated once if its connection was used before and ended before any byte of the answer.

    Attributes:
        failed: what went wrong.
        repeated: how many requests were repeated.
    """

    def __init__(self, connections: int = 4, pause_s: float = 0.0) -> None:
        super().__init__(connections, pause_s)
        self.failed: list[str] = []
        self.repeated = 0

    def _talk(self, port: int) -> None:
        connection = self._connect(port)
        used = False
        while self._may_go_on(port):
            path = f"/r/{next(self._numbers)}"
            self.sent.add(path)
            try:
                used = self._ask(connection, path)
            except (http.client.RemoteDisconnected, ConnectionError) as error:
                connection.close()
                connection = self._connect(port)
                if used:
                    self.repeated += 1
                    used = self._try(connection, path)
                else:
                    self.failed.append(f"{path}: {error!r} on a new connection")
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(f"{path}: {error!r}")
                connection.close()
                connection, used = self._connect(port), False
        connection.close()

    def _connect(self, port: int) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, port, timeout=DEADLINE)

    def _try(self, connection: http.client.HTTPConnection, path: str) -> bool:
        try:
            return self._ask(connection, path)
        except (OSError, http.client.HTTPException) as error:
            self.failed.append(f"{path}, repeated: {error!r}")
            connection.close()
            return False

    def _ask(self, connection: http.client.HTTPConnection, path: str) -> bool:
        """Send a request; returns whether the connection can be used for another one."""
        connection.request("GET", path)
        answer = connection.getresponse()
        with answer:
            body = answer.read()
        if answer.status != 200:
            self.failed.append(f"{path}: {answer.status} {body[:80]!r}")
        self.answered[path] = 0.0
        self._stopped.wait(self._pause_s)
        return not answer.will_close


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A target."""
    with Api() as running_api:
        yield running_api


def command(mode: str, options: Mapping[str, str], processes: int = 2) -> list[str]:
    """Return the command that serves one mode."""
    values = {"confdir": str(confdir()), "flow_detail": "0", "termlog_verbosity": "info"} | dict(options)
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    return [*AT_ONCE, *map(str, RUN), f"--processes={processes}", "--mode", f"{mode}@127.0.0.1:0", *settings]


@contextlib.contextmanager
def serving(api: Api, akto: FaultServer, folder: Path, **more: str) -> Iterator[Proxy]:
    """Run two workers in front of the target."""
    options = {"akto_url": akto.url, "akto_spool_dir": str(folder / "spool"), "akto_linger_ms": "200"} | more
    with running(command(f"reverse:http://127.0.0.1:{api.port}", options), ["127.0.0.1"]) as proxy:
        wait_for(lambda: len(proxy.workers) == 2 and mirroring_lines(proxy) >= 2, DEADLINE)
        yield proxy


def mirroring_lines(proxy: Proxy) -> int:
    """Count the starts of workers."""
    return sum("akto: mirroring to" in line for line in list(proxy.log))


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, whether or not anything has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def summary(proxy: Proxy) -> dict[str, int]:
    """Return the counts of the one last line, which must add up."""
    lines = [line for line in proxy.log if "akto: captured" in line and "cannot deliver" not in line]
    assert len(lines) == 1, lines
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", lines[0].partition("akto: ")[2])}
    ends = sum(
        counts.get(name, 0) for name in ("shipped", "spooled", "rejected", "dropped", "over", "queued", "flight")
    )
    assert counts["captured"] + counts.get("recovered", 0) == ends, lines[0]
    return counts


def replace_workers(proxy: Proxy, times: int) -> None:
    """Send SIGHUP, several times, each after the last replacement has ended."""
    for number in range(1, times + 1):
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda number=number: sum(REPLACED in line for line in proxy.log) == number, 4 * DEADLINE)  # type: ignore[misc]


@pytest.mark.parametrize("times", [1, pytest.param(10, marks=[pytest.mark.slow, pytest.mark.timeout(900)])])
def test_replacing_workers_fails_no_request(api: Api, tmp_path: Path, times: int) -> None:
    """Under load, on connections that are kept: no request fails, no entry is lost, and none arrives twice."""
    with FaultServer() as akto, StrictClients(4, 0.005) as clients:
        with serving(api, akto, tmp_path) as proxy:
            before = set(proxy.workers)
            clients.port = proxy.port
            wait_for(lambda: len(clients.answered) > 50, DEADLINE)
            replace_workers(proxy, times)
            answered = len(clients.answered)
            wait_for(lambda: len(clients.answered) > answered + 50, DEADLINE)
            clients.stop()
            assert before.isdisjoint(proxy.workers)
        assert clients.failed == []
        assert set(akto.taken) == set(clients.answered)
        assert set(akto.taken.values()) == {1}
        counts = summary(proxy)
        assert (counts["captured"], counts["dropped"]) == (counts["shipped"], 0)
        assert counts["captured"] == len(clients.answered)


class Held(RequestHandler):
    """Answers once it may."""

    async def get(self) -> None:
        """Wait in a thread, so that the server goes on."""
        gate: threading.Event = self.settings["gate"]
        await asyncio.to_thread(gate.wait, DEADLINE)
        self.write({"held": True})


def test_http2_streams_end_before_their_worker(tmp_path: Path) -> None:
    """A client is asked to open no more streams; the one that is open gets its answer, and then the connection ends."""
    gate = threading.Event()
    target = BackgroundServer(Application([("/.*", Held)], gate=gate, log_function=lambda _: None))
    with target, FaultServer() as akto:
        options = {"akto_url": akto.url, "akto_spool_dir": str(tmp_path / "spool"), "akto_linger_ms": "100"}
        with running(command(f"reverse:{target.url}", options), ["127.0.0.1"]) as proxy:
            wait_for(lambda: mirroring_lines(proxy) == 2, DEADLINE)
            frames = _http2_request(proxy)
            assert next(kind for kind, _, _ in frames if kind in (HEADERS, GOAWAY, DATA)) == GOAWAY
            gate.set()
            rest = list(frames)
        assert [payload for kind, _, payload in rest if kind == DATA and payload] == [b'{"held": true}']
        assert any(kind == DATA and flags & END_STREAM for kind, flags, _ in rest)
        assert summary(proxy)["shipped"] == 1


# Frames of HTTP/2 and a flag (RFC 9113, section 6).
DATA, HEADERS, GOAWAY, END_STREAM = 0, 1, 7, 1


def _http2_request(proxy: Proxy) -> Iterator[tuple[int, int, bytes]]:
    """Send a request over HTTP/2, replace the workers, and return the frames that come until the end."""
    context = trust_proxy()
    context.check_hostname = False
    context.set_alpn_protocols(["h2"])
    made = H2Connection()
    made.initiate_connection()
    made.send_headers(
        1, [(":method", "GET"), (":path", "/"), (":scheme", "https"), (":authority", "a")], end_stream=True
    )
    with (
        socket.create_connection(("127.0.0.1", proxy.port), DEADLINE) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as peer,
    ):
        peer.sendall(made.data_to_send())
        stream = peer.makefile("rb")
        # The first frame, the settings, shows that the request has arrived.
        yield from _frame(stream)
        proxy.process.send_signal(signal.SIGHUP)
        while frame := list(_frame(stream)):
            yield from frame


def _frame(stream: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    with contextlib.suppress(ConnectionError):
        if len(head := stream.read(9)) == 9:
            yield head[3], head[4], stream.read(int.from_bytes(head[:3]))


def test_a_killed_worker_breaks_its_own_connections_only(api: Api, tmp_path: Path) -> None:
    """It is started again; its batches on disk are sent by the others, and the last line adds up."""
    with FaultServer(status(503)) as akto, Clients(4, 0.005) as clients:
        with serving(api, akto, tmp_path, akto_durability="disk") as proxy:
            clients.port = proxy.port
            wait_for(lambda: len(clients.answered) > 100, DEADLINE)
            os.kill(proxy.workers[0], signal.SIGKILL)
            wait_for(lambda: mirroring_lines(proxy) == 3, DEADLINE)
            clients.stop()
            assert len(proxy.workers) == 2
        proxy.wait_for(r"^\[[\d:.]+\] akto: worker \d ended \(killed by SIGKILL\); it is started again in 0.1 s$")
        assert summary(proxy)["captured"] > 50


@pytest.mark.slow
def test_a_killed_workers_batches_are_taken_over(api: Api, tmp_path: Path) -> None:
    """A lease later, each once; what was shipped and what was lost in memory is all that was captured."""
    with FaultServer(status(503)) as akto, Clients(4, 0.005) as clients:
        with serving(api, akto, tmp_path, akto_durability="disk", akto_linger_ms="100") as proxy:
            clients.port = proxy.port
            wait_for(lambda: len(clients.answered) > 100, DEADLINE)
            clients.stop()
            spool = Spool(tmp_path / "spool", target="", limit=1, owner="oracle")
            wait_for(lambda: sum(share.entries for share in spool.waiting()) >= len(clients.answered), DEADLINE)
            os.kill(proxy.workers[0], signal.SIGKILL)
            akto.script = OK
            wait_for(lambda: clients.answered.keys() <= akto.taken.keys(), 90)
        assert set(akto.taken.values()) == {1}
        counts = summary(proxy)
        assert (counts["shipped"], counts["spooled"], counts["dropped"]) == (len(akto.taken), 0, 0), proxy.log[-1]
        assert counts["captured"] + counts.get("recovered", 0) == len(akto.taken)


def test_what_one_worker_redacts_is_in_the_sum(api: Api, tmp_path: Path) -> None:
    """Metrics show secrets and what sampling has left out of all workers."""
    options = {"akto_redact_fields": "common", "akto_sample": "novel", "akto_metrics": "127.0.0.1:0"}
    with FaultServer() as akto, serving(api, akto, tmp_path, **options) as proxy:
        port = proxy.wait_for(r"^\[1\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1]
        for _ in range(40):
            found = httpx.get(f"{proxy.url}/r/1?password=x", trust_env=False, timeout=DEADLINE)
            assert found.status_code == 200

        def shown(name: str) -> set[float]:
            pages = [httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for _ in range(4)]
            families = [list(text_string_to_metric_families(page)) for page in pages]
            return {sum(s.value for each in one for s in each.samples if s.name == name) for one in families}

        def sent() -> set[float]:
            return {40 - left for left in shown("akto_mirror_endpoint_left_out_total")}

        wait_for(lambda: len(sent()) == 1 and shown("akto_mirror_entries_captured_total") == sent(), DEADLINE)
        assert shown("akto_mirror_secrets_hidden_total") == sent()
    assert summary(proxy)["captured"] == sum(akto.taken.values()) < 40


def test_metrics_and_the_log_are_of_all(api: Api, tmp_path: Path) -> None:
    """One address shows the sums, whichever worker answers; each line of a worker has its number."""
    with FaultServer() as akto, serving(api, akto, tmp_path, akto_metrics="127.0.0.1:0") as proxy:
        port = proxy.wait_for(r"^\[1\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1]
        assert proxy.wait_for(r"^\[2\] .*akto: metrics at http://127.0.0.1:(\d+)/metrics")[1] == port
        for number in range(20):
            with httpx.Client(trust_env=False, timeout=DEADLINE) as client:
                assert client.get(f"{proxy.url}/r/{number}").status_code == 200

        def shown(name: str) -> set[float]:
            pages = [httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text for _ in range(4)]
            samples = [
                each for page in pages for family in text_string_to_metric_families(page) for each in family.samples
            ]
            return {each.value for each in samples if each.name == name}

        wait_for(lambda: shown("akto_mirror_entries_captured_total") == {20.0}, DEADLINE)
        assert shown("akto_mirror_queue_limit_bytes") == {67108864.0}
        health = httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False)
        assert json.loads(health.text)["healthy"] is True
    assert summary(proxy)["shipped"] == 20


def test_a_second_signal_ends_at_once(api: Api, tmp_path: Path) -> None:
    """As with one process: the first one flushes, the second one leaves the rest on disk."""
    with FaultServer(status(503)) as akto, serving(api, akto, tmp_path, akto_shutdown_s="600") as proxy:
        assert httpx.get(f"{proxy.url}/r/1", trust_env=False).status_code == 200
        proxy.process.send_signal(signal.SIGTERM)
        wait_for(lambda: akto.seen.requests > 0, DEADLINE)
        proxy.process.send_signal(signal.SIGTERM)
        assert proxy.process.wait(DEADLINE) == 0
        wait_for(lambda: any("akto: captured" in line for line in proxy.log), DEADLINE)
        found = summary(proxy)
        # What the first worker to end has left, the other may take over; it is counted once.
        assert (found["captured"], found["spooled"], found.get("recovered", 0)) == (1, 1, 0)


def test_workers_end_with_their_parent(api: Api, tmp_path: Path) -> None:
    """Without it nothing could replace or end them."""
    with FaultServer() as akto, serving(api, akto, tmp_path) as proxy:
        left = proxy.workers
        proxy.process.kill()
        wait_for(lambda: all(has_ended(pid) for pid in left), DEADLINE)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_kills_and_soak_with_two_processes(tmp_path: Path) -> None:
    """What old enough batches and random faults are promised holds for several workers that are killed at once."""
    (tmp_path / "kills").mkdir()
    (tmp_path / "soak").mkdir()
    with under_run(2):
        verdict = kills.run(3, tmp_path / "kills", seed=1, longest_s=8.0)
        tally = soak.run(40, tmp_path / "soak", seed=1)
    assert (verdict.lost, verdict.invented) == (0, 0), verdict
    assert verdict.owed > 0, verdict
    assert tally.is_good, tally


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--mode", "dns@0"], "does not go with the mode dns@0, which is not a TCP listener"),
        (["-w", "flows.mitm"], "does not go with -w; leave out `--processes`, or leave out -w"),
    ],
    ids=lambda each: each[-1] if isinstance(each, list) else "",
)
def test_what_cannot_be_shared_is_refused(words: list[str], line: str) -> None:
    """One line names it and what to do, and all ends."""
    done = end(RUN, "--processes", "2", *words)
    found = [each for each in (done.stdout + done.stderr).splitlines() if "--processes" in each]
    assert done.returncode == 1
    assert len(found) == 1, done.stdout + done.stderr
    assert line in found[0]


def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    from akto_mirror.runner import several  # noqa: PLC0415 - loads what sets the event loop's policy

    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(SystemExit, match="akto-mirror run: --processes above 1 works on Linux only; leave it out"):
        several.supervise(2, [])


def test_descriptors_that_run_out_slow_clients_down(api: Api, tmp_path: Path) -> None:
    """More clients than there are descriptors: all are answered, some later."""
    with FaultServer() as akto:
        options = {"akto_url": akto.url, "akto_spool_dir": str(tmp_path / "spool")}
        own = command(f"reverse:http://127.0.0.1:{api.port}", options)
        limited = [sys.executable, "-c", LIMITED, *own]
        with running(limited, ["127.0.0.1"]) as proxy:
            gate = threading.Barrier(100)
            with ThreadPoolExecutor(100) as clients:
                found = list(clients.map(lambda number: _held_open(proxy, number, gate), range(100)))
        assert found == [200] * 100
        assert summary(proxy)["captured"] == 100
        assert any("akto: new connections wait" in line for line in proxy.log)


def _held_open(proxy: Proxy, number: int, gate: threading.Barrier) -> int:
    """Connect with all others, send a request, and close."""
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=DEADLINE)) as connection:
        connection.connect()
        gate.wait(DEADLINE)
        connection.request("GET", f"/r/{number}")
        answer = connection.getresponse()
        answer.read()
        return answer.status
