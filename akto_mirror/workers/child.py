"""A worker as seen by its parent: a process, the channel to it, and its last report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence

from akto_mirror.snapshots import Report
from akto_mirror.workers import messages
from akto_mirror.workers.messages import Drain, Listen, Message, Ready, Reported

# Requests from a worker that the parent answers.
Answer = Callable[["Child", Message], None]


class Child:
    """A running worker.

    Args:
        number: its number among the workers.
        channel: the channel to it.
        answer: handles its requests.

    Attributes:
        report: its last report.
        has_summed_up: whether it has sent its final counts for the parent's last line.
        listens: the addresses on which it listens.
        leaves: whether it was asked to end.
    """

    def __init__(self, number: int, channel: socket.socket, answer: Answer) -> None:
        self.number = number
        self.report: Report | None = None
        self.has_summed_up = False
        self.listens: set[Listen] = set()
        self.leaves = False
        self._channel = channel
        self._answer = answer
        self._ready = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._ended: asyncio.Task[int] | None = None

    async def start(self, command: Sequence[str], theirs: int) -> None:
        """Start the process, with the other end of the channel.

        Args:
            command: the program and its arguments.
            theirs: the descriptor of the worker's end.

        Raises:
            OSError: the process cannot be created.
        """
        # In its own process group: Ctrl-C at a terminal reaches only the parent, which passes it on once.
        self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=(theirs,),
            process_group=0,
        )
        asyncio.get_running_loop().add_reader(self._channel, self._read)
        self._ended = asyncio.create_task(self._end(self._process))

    async def is_ready(self) -> bool:
        """Wait until it accepts connections; False if it ends before that."""
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._end_of()], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        return self._ready.is_set() and not self._end_of().done()

    async def ended(self) -> int:
        """Wait until it has ended; returns its exit code, or the negative number of a signal."""
        return await asyncio.shield(self._end_of())

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        # Never to another process, which may have got the id of one that has ended. With Python 3.11, asyncio's own
        # method may reap a process that is just ending, so that asyncio's watcher reports 255.
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def drain(self, seconds: float) -> None:
        """Ask it to drain its connections and end."""
        self.leaves = True
        self.say(Drain(seconds))

    def say(self, message: Message, sockets: Sequence[socket.socket] = ()) -> None:
        """Send it a message, if it runs."""
        with contextlib.suppress(OSError):
            messages.send(self._channel, message, sockets)

    def _end_of(self) -> asyncio.Task[int]:
        assert self._ended  # noqa: S101 - for the type checker
        return self._ended

    async def _end(self, process: asyncio.subprocess.Process) -> int:
        code = await process.wait()
        # Its last messages may still be in the channel.
        while self._read():
            pass
        asyncio.get_running_loop().remove_reader(self._channel)
        self._channel.close()
        return code

    def _read(self) -> bool:
        try:
            message, _ = messages.receive(self._channel)
        except BlockingIOError:
            return False
        if message is None:
            asyncio.get_running_loop().remove_reader(self._channel)
            return False
        if isinstance(message, Ready):
            self._ready.set()
        elif isinstance(message, Reported):
            self.report = message.report
            self.has_summed_up |= message.final
        else:
            self._answer(self, message)
        return True
