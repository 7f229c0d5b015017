"""Helpers for the tests of `akto-mirror run --processes`: starting it, and watching its workers."""

from __future__ import annotations

import contextlib
import http.client
import re
import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import grpc

from tests.faults.load import Api, Clients, GrpcApi, GrpcClients
from tests.faults.server import FaultServer, wait_for
from tests.support.proxy import AT_ONCE, DEADLINE, RUN, Proxy, confdir, running

REPLACED = "akto: all workers have been replaced"


def command(modes: Sequence[str], options: Mapping[str, str], processes: int = 2) -> list[str]:
    """Return the command that serves modes, each at its own address from 127.0.0.1 upwards."""
    values = {"confdir": str(confdir()), "flow_detail": "0", "termlog_verbosity": "info"} | dict(options)
    settings = [word for name, value in values.items() for word in ("--set", f"{name}={value}")]
    served = [word for n, mode in enumerate(modes, 1) for word in ("--mode", f"{mode}@127.0.0.{n}:0")]
    return [*AT_ONCE, *map(str, RUN), f"--processes={processes}", *served, *settings]


@contextlib.contextmanager
def serving(targets: Sequence[str], akto: FaultServer, folder: Path, **more: str) -> Iterator[Proxy]:
    """Run two workers in front of targets."""
    options = {"akto_url": akto.url, "akto_spool_dir": str(folder / "spool"), "akto_linger_ms": "200"} | more
    own = command([f"reverse:{target}" for target in targets], options)
    with running(own, [f"127.0.0.{n}" for n, _ in enumerate(targets, 1)]) as proxy:
        wait_for(lambda: len(proxy.workers) == 2 and mirroring_lines(proxy) >= 2, DEADLINE)
        yield proxy


def url(target: Api | GrpcApi) -> str:
    """Return a target's address."""
    return f"http://127.0.0.1:{target.port}"


def mirroring_lines(proxy: Proxy) -> int:
    """Count the starts of workers."""
    return sum("akto: mirroring to" in line for line in list(proxy.log))


def has_ended(pid: int) -> bool:
    """Return whether a process has ended, even if nothing has waited for it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def worker_of(proxy: Proxy, client: socket.socket) -> int:
    """Return the process id of the worker that has accepted a client's connection."""
    ends = (proxy.port, client.getsockname()[1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {f"socket:[{row[9]}]" for row in rows if tuple(_port(each) for each in row[1:3]) == ends}
    return next(pid for pid in proxy.workers if inodes & set(_links(pid)))


def _port(address: str) -> int:
    return int(address.partition(":")[2], 16)


def _links(pid: int) -> Iterator[str]:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            yield str(each.readlink())


def summary(proxy: Proxy) -> dict[str, int]:
    """Return the counts of the only summary line, which must add up."""
    lines = [line for line in proxy.log if "akto: captured" in line and "cannot deliver" not in line]
    assert len(lines) == 1, lines
    counts = {name: int(count) for name, count in re.findall(r"(\w+) (\d+)", lines[0].partition("akto: ")[2])}
    ends = sum(
        counts.get(name, 0) for name in ("shipped", "spooled", "rejected", "dropped", "over", "queued", "flight")
    )
    assert counts["captured"] + counts.get("recovered", 0) == ends, lines[0]
    return counts


def replace_workers(proxy: Proxy, times: int) -> None:
    """Send SIGHUP several times, each after the previous replacement has ended."""
    for number in range(1, times + 1):
        proxy.process.send_signal(signal.SIGHUP)
        wait_for(lambda number=number: sum(REPLACED in line for line in proxy.log) == number, 4 * DEADLINE)  # type: ignore[misc]


class StrictClients(Clients):
    """Clients that report each failure after which a correct client could not simply repeat the request.

    A request is repeated once if its connection was used before and ended before any byte of the answer.

    Attributes:
        failed: the failures.
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


class StrictGrpcClients(GrpcClients):
    """Like `StrictClients` for gRPC, which itself repeats calls that were never sent; each client has one channel.

    Attributes:
        failed: the failures.
    """

    def __init__(self, connections: int, pause_s: float) -> None:
        super().__init__(connections, pause_s)
        self.failed: list[str] = []

    def _call(self, channel: grpc.Channel, path: str) -> None:
        try:
            super()._call(channel, path)
        except grpc.RpcError as error:
            self.failed.append(f"{path}: {error!r}")
