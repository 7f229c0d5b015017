"""A worker's end of the channel to its parent: sends requests and reports, and receives the request to drain."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from itertools import count

from akto_mirror.snapshots import Report, Snapshot
from akto_mirror.workers import messages
from akto_mirror.workers.messages import Drain, Gather, Listen, Listening, Message, Others, Ready, Reported

# Seconds between two reports.
REPORT_S = 1.0

# Seconds for draining connections when the parent has ended.
ORPHAN_S = 30.0

# Seconds to wait for a response: the parent responds at once, unless it waits for a name server.
ANSWER_S = 60.0


class Worker:
    """One of the processes that serve a proxy.

    Args:
        number: its number, from 1 on.
        size: the number of workers.
        channel: the channel to the parent.
    """

    def __init__(self, number: int, size: int, channel: socket.socket) -> None:
        self.number = number
        self.size = size
        self._channel = channel
        self._asking = threading.Lock()
        self._answers: queue.SimpleQueue[tuple[Listening | Others | None, list[socket.socket]]] = queue.SimpleQueue()
        self._numbers = count(1)
        self._report: Callable[[], Report] | None = None
        self._drain: Callable[[float], None] | None = None

    def follow(self, drain: Callable[[float], None]) -> None:
        """Start to receive messages from the parent.

        Args:
            drain: called on a thread with the seconds for draining, also when the parent has ended.
        """
        self._drain = drain
        threading.Thread(target=self._read, name="akto-parent", daemon=True).start()

    def ready(self) -> None:
        """Report to the parent that connections are accepted, and start to send counts."""
        self._say(Ready())
        threading.Thread(target=self._go_on_reporting, name="akto-report", daemon=True).start()

    def watch(self, report: Callable[[], Report]) -> None:
        """Register the function that returns this process's report."""
        self._report = report

    def sum_up(self, counts: Snapshot) -> bool:
        """Send the final counts to the parent, which logs the sum."""
        self._say(Reported(Report(counts, 0, 0.0), final=True))
        return True

    def others(self) -> Sequence[Report]:
        """Return the reports of the other workers; none when the parent has ended.

        Raises:
            TimeoutError: the parent does not answer.
        """
        try:
            answer, _ = self._ask(Gather(next(self._numbers)))
        except ConnectionError:
            return ()
        return [answer.report] if isinstance(answer, Others) else ()

    def bind(self, host: str, port: int) -> list[socket.socket]:
        """Return sockets for servers other than mitmproxy's.

        Raises:
            OSError: the address cannot be used.
        """
        return self.listen("", host, port)

    def listen(self, key: str, host: str, port: int) -> list[socket.socket]:
        """Return the sockets for an address, which all workers share.

        Raises:
            OSError: the address cannot be used, or the parent has ended or does not answer.
        """
        answer, sockets = self._ask(Listen(key, host, port))
        if isinstance(answer, Listening) and answer.errno:
            raise OSError(answer.errno, answer.error)
        for each in sockets:
            each.setblocking(False)
        return sockets

    def _ask(self, request: Listen | Gather) -> tuple[Listening | Others, list[socket.socket]]:
        with self._asking:
            self._say(request)
            until = time.monotonic() + ANSWER_S
            while True:
                answer, sockets = self._next(until)
                # A parent of version 0.2.0, whose workers were replaced after an update, does not name the request.
                if answer.request in (request, None):
                    return answer, sockets
                # It comes too late, for a request that was given up.
                for each in sockets:
                    each.close()

    def _next(self, until: float) -> tuple[Listening | Others, list[socket.socket]]:
        try:
            answer, sockets = self._answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            raise TimeoutError("the parent process does not answer") from None
        if answer is None:
            # Also for the requests after this one.
            self._answers.put((None, []))
            raise ConnectionError("the parent process has ended")
        return answer, sockets

    def _say(self, message: Message) -> None:
        with contextlib.suppress(OSError):
            messages.send(self._channel, message)

    def _read(self) -> None:
        while True:
            message, sockets = messages.receive(self._channel)
            if self._drain is not None and (message is None or isinstance(message, Drain)):
                self._drain(ORPHAN_S if message is None else message.seconds)
            if message is None or isinstance(message, Listening | Others):
                self._answers.put((message, sockets))
            if message is None:
                return

    def _go_on_reporting(self) -> None:
        pause = threading.Event()
        while not pause.wait(REPORT_S):
            if self._report is not None:
                self._say(Reported(self._report()))
