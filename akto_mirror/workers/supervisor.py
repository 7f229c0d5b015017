"""The parent of the workers: starts, watches and replaces them, keeps their sockets, and adds up their reports.

It never touches traffic: a busy or stopped parent does not affect requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from akto_mirror import snapshots
from akto_mirror.snapshots import Report, Snapshot
from akto_mirror.workers import messages
from akto_mirror.workers.child import Child
from akto_mirror.workers.messages import Gather, Listen, Listening, Message, Others
from akto_mirror.workers.sockets import Sockets

# Seconds after the replacement of a worker: until its connections are closed; until unsent entries are written to disk;
# until it is killed.
DRAIN_S = 24.0
FLUSH_S = 28.0
END_S = 30.0

# Seconds within which a new worker has to accept connections before it can replace an old one.
START_S = 120.0

# Seconds before a worker that has ended by itself is restarted: doubled each time, until one lives for a while.
FIRST_WAIT_S = 0.1
LONGEST_WAIT_S = 30.0
LIVED_S = 60.0

# Signals that are passed on; with the last two mitmproxy shows its state. By name, as not every system has them.
PASSED_ON = ("SIGINT", "SIGTERM", "SIGUSR1", "SIGUSR2")
ENDS = (signal.SIGINT, signal.SIGTERM)

# How many takeovers of ended workers are kept, to be matched with later ones.
MOST_TAKEOVERS = 4000


class Supervisor:
    """Serves with several workers.

    Args:
        size: the number of workers.
        command: returns the command that starts a worker, given its number and channel.
        say: writes a line to the log.
    """

    def __init__(self, size: int, command: Callable[[int, int], Sequence[str]], say: Callable[[str], None]) -> None:
        self._size = size
        self._command = command
        self._say = say
        self._sockets = Sockets()
        self._children: dict[int, Child] = {}
        self._leaving: set[Child] = set()
        self._ended: list[Snapshot] = []
        self._ending = asyncio.Event()
        self._serves = False
        self._is_to_roll = False
        self._rolling: asyncio.Task[None] | None = None
        self._code = 0
        self._sums_up = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Serve until a signal or a script ends it; returns the exit code."""
        loop = asyncio.get_running_loop()
        for each in map(signal.Signals.__getitem__, PASSED_ON):
            loop.add_signal_handler(each, self._pass_on, each)
        loop.add_signal_handler(signal.SIGHUP, self._roll_soon)
        # The first one, started alone, finds mistakes in options and creates shared files such as mitmproxy's CA.
        if await self._start_first():
            for number in range(2, self._size + 1):
                self._spawn(self._start_again(number, FIRST_WAIT_S))
            self._serves = True
            self._roll_if_asked()
        await self._ending.wait()
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._sums_up:
            self._say(f"akto: {snapshots.total(self._ended).settled()}")
        return self._code

    async def _start_first(self) -> bool:
        """Start the first worker; False if it ends before it is ready, which ends the program."""
        try:
            child = await self._new(1)
        except OSError as error:
            self._say(f"akto: no worker can be started: {error}")
            self._end(1)
            return False
        self._children[1] = child
        self._spawn(self._watch(child, FIRST_WAIT_S))
        if not await child.is_ready():
            self._end(await child.ended())
            return False
        return True

    async def _start_again(self, number: int, wait_s: float, last: Child | None = None) -> None:
        """Restart a worker, unless SIGHUP has replaced it in the meantime."""
        if self._ending.is_set() or self._children.get(number) is not last:
            return
        try:
            child = await self._new(number)
        except OSError as error:
            self._say(f"akto: worker {number} cannot be started: {error}; trying again in {wait_s:g} s")
            await self._start_later(number, wait_s, last)
            return
        if self._children.get(number) is last:
            self._children[number] = child
        else:
            self._dismiss(child)
        await self._watch(child, wait_s)

    async def _start_later(self, number: int, wait_s: float, last: Child | None) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), wait_s)
        await self._start_again(number, min(2 * wait_s, LONGEST_WAIT_S), last)

    async def _new(self, number: int) -> Child:
        """Create a worker.

        Raises:
            OSError: the system has no memory, process or descriptor for it.
        """
        ours, theirs = messages.pair()
        with theirs:
            ours.setblocking(False)
            child = Child(number, ours, self._answer)
            try:
                await child.start(self._command(number, theirs.fileno()), theirs.fileno())
            except OSError:
                ours.close()
                raise
        if self._ending.is_set():
            # The signal arrived while the process was being created.
            self._dismiss(child)
        return child

    async def _watch(self, child: Child, wait_s: float) -> None:
        """Watch a worker until it ends, and restart it unless it was asked to end."""
        began = asyncio.get_running_loop().time()
        code = await self._settle(child)
        if self._ending.is_set():
            self._code = self._code or _exit_code(code, asked=True)
        elif child.leaves:
            # The others go on; the program's exit code is that of its own end.
            return
        elif code == 0:
            # A script has shut mitmproxy down.
            self._end(0)
        else:
            if asyncio.get_running_loop().time() - began > LIVED_S:
                wait_s = FIRST_WAIT_S
            self._say(f"akto: worker {child.number} ended ({_described(code)}); restarting it in {wait_s:g} s")
            await self._start_later(child.number, wait_s, child)

    async def _settle(self, child: Child) -> int:
        """Wait until a worker has ended, and count its entries; returns its exit code."""
        code = await child.ended()
        self._count(child, killed=code < 0)
        self._leaving.discard(child)
        return code

    def _roll_soon(self) -> None:
        self._is_to_roll = True
        self._roll_if_asked()

    def _roll_if_asked(self) -> None:
        if self._serves and self._is_to_roll and (self._rolling is None or self._rolling.done()):
            self._rolling = self._spawn(self._roll())

    async def _roll(self) -> None:
        """Replace the workers, and once more if another SIGHUP arrived in the meantime."""
        while self._is_to_roll and not self._ending.is_set():
            self._is_to_roll = False
            await self._replace_all()

    async def _replace_all(self) -> None:
        """Replace the workers one by one, each once its successor accepts connections."""
        for number in sorted(self._children):
            if not await self._replace(number):
                return
        self._sockets.keep(asked for child in self._children.values() for asked in child.listens)
        self._say("akto: all workers have been replaced")

    async def _replace(self, number: int) -> bool:
        """Replace a worker; False if its successor cannot serve."""
        try:
            new = await self._new(number)
        except OSError as error:
            self._say(f"akto: worker {number} cannot be replaced: {error}; the old ones stay")
            return False
        self._leaving.add(new)
        if self._ending.is_set() or not await _accepts(new):
            self._abort(new)
            return False
        self._leaving.discard(new)
        # The one that served at first may have ended by itself since, and been started again.
        old, self._children[number] = self._children[number], new
        self._spawn(self._watch(new, FIRST_WAIT_S))
        await self._retire(old)
        return True

    def _abort(self, new: Child) -> None:
        self._dismiss(new)
        self._spawn(self._end_failed(new))
        if not self._ending.is_set():
            self._say(f"akto: worker {new.number} cannot be replaced; the old ones stay")

    async def _end_failed(self, new: Child) -> None:
        """Wait for the end of a worker that never served; its exit code does not count."""
        if not await _ends_within(new, END_S):
            new.send_signal(signal.SIGKILL)
        await self._settle(new)

    def _dismiss(self, child: Child) -> None:
        child.leaves = True
        # It is sent all signals until it has ended.
        self._leaving.add(child)
        child.send_signal(signal.SIGTERM)

    async def _retire(self, old: Child) -> None:
        self._leaving.add(old)
        # Until it is ready it cannot drain; it may never be.
        await asyncio.wait([asyncio.create_task(old.is_ready())], timeout=FLUSH_S)
        old.drain(DRAIN_S)
        for seconds, signal_then in ((FLUSH_S, signal.SIGTERM), (END_S - FLUSH_S, signal.SIGKILL)):
            if await _ends_within(old, seconds):
                break
            old.send_signal(signal_then)
        await old.ended()
        self._leaving.discard(old)

    def _pass_on(self, number: signal.Signals) -> None:
        for child in (*self._children.values(), *self._leaving):
            child.send_signal(number)
        if number in ENDS:
            self._ending.set()

    def _end(self, code: int) -> None:
        """End all workers, because one of them has ended for good."""
        self._code = self._code or _exit_code(code, asked=self._ending.is_set())
        self._pass_on(signal.SIGTERM)

    def _count(self, child: Child, *, killed: bool) -> None:
        if child.report is not None:
            self._ended.append(child.report.counts.after_the_end(killed=killed))
            self._ended = [snapshots.total(self._ended)]
            if len(self._ended[0].takeovers) > MOST_TAKEOVERS:
                self._ended = [self._ended[0].settled()]
            # It stays in the list until it is restarted, and must not be counted twice meanwhile.
            child.report = None
        self._sums_up |= child.has_summed_up

    def _answer(self, child: Child, message: Message) -> None:
        if isinstance(message, Listen):
            child.listens.add(message)
            self._give_sockets(child, message)
        elif isinstance(message, Gather):
            living = {*self._children.values(), *self._leaving} - {child}
            reports = [each.report for each in living if each.report is not None]
            ended = [Report(counts, 0, 0.0) for counts in self._ended]
            child.say(Others(Report.total([*reports, *ended]), message))

    def _give_sockets(self, child: Child, asked: Listen) -> None:
        try:
            sockets = self._sockets.of(asked)
        except OSError as error:
            child.say(Listening(error.errno or 1, error.strerror or str(error), asked))
        else:
            child.say(Listening(request=asked), sockets)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def raise_limit() -> str:
    """Raise the limit of open files to the hard limit, for this process and its children; returns a log line."""
    import resource  # noqa: PLC0415 - Windows has none, and no workers

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return f"akto: {soft} files and connections may be open"
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return f"akto: {hard} files and connections may be open (before: {soft})"


async def _accepts(new: Child) -> bool:
    with contextlib.suppress(TimeoutError):
        return await asyncio.wait_for(new.is_ready(), START_S)
    return False


async def _ends_within(child: Child, seconds: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(child.ended(), seconds)
        return True
    return False


def _exit_code(code: int, *, asked: bool) -> int:
    if code < 0:
        return 0 if asked else 1
    return code


def _described(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"killed by {signal.Signals(-code).name}" if -code in {*signal.Signals} else f"killed by signal {-code}"
