"""The steps of `akto-mirror check`: tests the connection to Akto's ingestion service, and suggests remedies."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import httpx

from akto_mirror import private_files
from akto_mirror.config import kafka
from akto_mirror.delivery.sinks.choose import SinkConfig
from akto_mirror.delivery.sinks.symptoms import Cause
from akto_mirror.diagnostics import kafka_checks, network, questions
from akto_mirror.diagnostics.kafka_checks import KafkaTarget
from akto_mirror.diagnostics.target import CheckError, Target
from akto_mirror.escaping import hide_each, printable

__all__ = ["KafkaTarget", "Step", "Target", "run", "show", "spool_step", "target_at", "target_of"]

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """The result of one step; its texts are escaped and contain no token; a failed one may have a known cause."""

    name: str
    ok: bool
    detail: str
    hint: str = ""
    cause: Cause | None = None


def target_of(sink: SinkConfig, timeout: float = 10) -> Target | KafkaTarget:
    """Return the target to check for a configured sink; `timeout` is in seconds for each step.

    Raises:
        ValueError: there is nothing to check, because entries go to a file.
    """
    if sink.kafka is not None:
        return KafkaTarget(sink.kafka, timeout)
    return Target(sink.destination.url, token=sink.token, uds=sink.uds, timeout=timeout)


def target_at(  # noqa: PLR0913 - each is what one option of the addon says
    url: str,
    properties: Iterable[str],
    environ: Mapping[str, str],
    *,
    uds: str = "",
    token: str = "",
    timeout: float = 10,
) -> Target | KafkaTarget | None:
    """Return the target to check for an `akto_url` or, if it is empty, for the variables; None if both are empty.

    Args:
        url: as in `akto_url`.
        properties: as in `akto_kafka`.
        environ: the environment's variables.
        uds: as in `akto_uds`.
        token: as in `akto_token`.
        timeout: seconds for each step.

    Raises:
        ValueError: an argument is invalid, or there is nothing to check because entries go to a file.
    """
    topic = kafka.sink(url, properties, environ)
    if topic is not None:
        return target_of(topic, timeout)
    return Target(url, token=token, uds=uds, timeout=timeout) if url else None


def run(target: Target | KafkaTarget, *, send: bool) -> Iterator[Step]:
    """Run the steps one by one, without those that depend on a failed one.

    Args:
        target: The target to check.
        send: Whether to send a marked test entry as well.
    """
    if isinstance(target, KafkaTarget):
        yield from _until_one_fails(target, kafka_checks.steps(target, send=send))
    else:
        yield from _run(target, send=send)


def _until_one_fails(
    target: Target | KafkaTarget, steps: Iterable[tuple[str, Callable[[], str]]]
) -> Generator[Step, None, bool]:
    """Run steps until one fails; returns whether all passed."""
    for name, action in steps:
        step = _attempt(target, name, action)
        yield step
        if not step.ok:
            return False
    return True


def _run(target: Target, *, send: bool) -> Iterator[Step]:
    if not (yield from _until_one_fails(target, _connecting(target))):
        return
    with questions.client(target) as client:
        for name, action in _asking(target, client, send=send):
            step = _attempt(target, name, action)
            yield step
            if step.cause is Cause.SPEAKS_TLS:  # Later steps would report the same.
                return


def spool_step(folder: str, environ: Mapping[str, str]) -> Step:
    """Check that unsent entries can be stored on disk.

    Args:
        folder: as in `akto_spool_dir`.
        environ: the environment's variables, for the default folder.
    """
    try:
        found = private_files.usable_spool_folder(folder, environ)
    except ValueError as error:
        named = f"akto_spool_dir={folder}" if folder else "the default folder"
        return Step(
            "spool", ok=False, detail=printable(f"{named} cannot be used", 300), hint=printable(str(error), 300)
        )
    return Step("spool", ok=True, detail=printable(str(found), 300))


def show(step: Step, say: Callable[[str], None]) -> Step:
    """Write a step as one line and, if it failed, a second one with the remedy."""
    say(f"{'✓' if step.ok else '✗'} {step.name:<16} {step.detail}")
    if step.hint:
        say(f"{'':<18} → {step.hint}")
    return step


def _connecting(target: Target) -> Iterator[tuple[str, Callable[[], str]]]:
    if not target.uds:
        yield "resolve", partial(network.resolve, target)
    yield "connect", partial(network.connect, target)
    if target.tls:
        yield "TLS", partial(network.handshake, target)


def _asking(target: Target, client: httpx.Client, *, send: bool) -> Iterator[tuple[str, Callable[[], str]]]:
    yield "/healthCheck", partial(questions.health, target, client)
    yield "/api/auth-check", partial(questions.auth, target, client)
    if send:
        yield "test entry", partial(questions.send, target, client)


def _attempt(target: Target | KafkaTarget, name: str, action: Callable[[], str]) -> Step:
    def clean(text: str) -> str:
        return printable(hide_each(text, target.secrets), 300)

    try:
        return Step(name, ok=True, detail=clean(_within(target.timeout, action)))
    except CheckError as error:
        return Step(name, ok=False, detail=clean(error.detail), hint=error.cause.remedy, cause=error.cause)


def _within(seconds: float, action: Callable[[], T]) -> T:
    """Run an action with a time limit, because name resolution and slow responses have none."""
    outcome: queue.Queue[T | Exception] = queue.Queue()

    def work() -> None:
        try:
            outcome.put(action())
        except Exception as error:  # noqa: BLE001 - raised again in the caller's thread
            outcome.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        result = outcome.get(timeout=seconds)
    except queue.Empty:
        result = TimeoutError()
    if isinstance(result, TimeoutError):
        raise CheckError(Cause.SLOW, f"no answer within {seconds:g} s") from None
    if isinstance(result, Exception):
        raise result
    return result
