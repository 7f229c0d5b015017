"""The `akto.dead` commands: list, resend and delete dead letters, which Akto refused for good.

None of them may block the event loop: a disk can be slow, and another process can hold the lock on the spool. To list
dead letters, a thread reads them one by one, and the event loop waits for it for a moment only. Changes need the lock,
so a thread makes them and writes the result to the event log.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

from mitmproxy import command, exceptions, types

from akto_mirror import threads
from akto_mirror.addon.session import Session
from akto_mirror.config.options import Settings
from akto_mirror.counts import count, verb
from akto_mirror.delivery import DeadLetter, Spool, SpoolError, UnknownLetterError, dead_letters, schema, view
from akto_mirror.escaping import printable

logger = logging.getLogger(__name__)

# How many dead letters are listed, the newest.
SHOWN = 100

RETRY_WHICH = "name the entries to send again by their numbers in akto.dead, or none of them for all"
DROP_WHICH = "name the entries to delete by their numbers in akto.dead, or write all"

HEAD = ["number", "age", "destination", "reason", "request"]
NOTHING = [["there are no dead letters"]]


class DeadLetterCommands:
    """The `akto.dead` commands."""

    name = "akto-dead-letter-commands"

    def __init__(self, session: Session) -> None:
        self.session = session

    @command.command("akto.dead")
    def list_dead(self) -> types.Data:
        """List the newest hundred dead letters, the entries that Akto refused for good, with their numbers."""
        folder = _folder(self.session.configured())
        try:
            rows = threads.within(threads.PATIENCE_S, lambda: _rows(folder))
        except TimeoutError as error:
            raise exceptions.CommandError("the disk is slow; try again, or use `akto-mirror spool list`") from error
        except SpoolError as error:
            raise exceptions.CommandError(printable(str(error))) from error
        return cast(types.Data, [HEAD, *rows] if rows else NOTHING)

    @command.command("akto.dead.retry")
    def retry_dead(self, *numbers: str) -> None:
        """Send dead letters again: those with the given numbers, or all for the current akto_url."""
        chosen = _numbers(numbers, RETRY_WHICH) if numbers else set()
        spool = _open(self.session.configured())
        _in_the_background(lambda: _retry(spool, chosen))

    @command.command("akto.dead.drop")
    def drop_dead(self, *numbers: str) -> None:
        """Delete dead letters: those with the given numbers, or `all`."""
        chosen = None if numbers == ("all",) else _numbers(numbers, DROP_WHICH)
        spool = _open(self.session.configured())
        _in_the_background(lambda: _drop(spool, chosen))


def _folder(settings: Settings) -> Path:
    if settings.delivery.spool is None:
        raise exceptions.CommandError("akto_durability=memory keeps nothing on disk, not even dead letters")
    return settings.delivery.spool.folder


def _open(settings: Settings) -> Spool:
    folder = _folder(settings)
    spool = Spool(folder, target=settings.sink.target, limit=0, owner=f"command {os.getpid()}")
    if not spool.exists():
        raise exceptions.CommandError(f"nothing is on disk: {printable(str(spool.file))} does not exist")
    return spool


def _numbers(given: tuple[str, ...], advice: str) -> set[int]:
    """Return the given numbers; anything else is an error with the given advice."""
    if not given or not all(each.isascii() and each.isdigit() and len(each) < 19 for each in given):
        raise exceptions.CommandError(advice)
    return set(map(int, given))


def _rows(folder: Path) -> list[list[str]]:
    if not schema.own_file(folder, view.LOOK_S).exists():
        return []
    return [_row(letter) for letter in view.newest_dead(folder, SHOWN)]


def _row(letter: DeadLetter) -> list[str]:
    age = f"{max(0, int(time.time() - letter.created))} s"
    return [str(letter.id), age, printable(letter.target), printable(letter.reason), dead_letters.title(letter.payload)]


def _retry(spool: Spool, numbers: set[int]) -> str:
    with contextlib.closing(spool):
        targets = spool.dead_targets()
        own = {number for number, target in targets.items() if target == spool.target}
        revived = spool.revive(dead_letters.named(spool, numbers) if numbers else own)
    others = len(numbers - own) if numbers else len(targets) - len(own)
    answer = f"{count(revived, 'dead letter')} will be sent again"
    if not others:
        return answer
    rest = f"of them {verb(others, 'waits')}" if numbers else f"more {verb(others, 'is')}"
    return f"{answer}; {others} {rest} for a destination other than akto_url"


def _drop(spool: Spool, numbers: set[int] | None) -> str:
    with contextlib.closing(spool):
        chosen = None if numbers is None else dead_letters.named(spool, numbers)
        return f"deleted {count(spool.drop_dead(chosen), 'dead letter')}"


def _in_the_background(act: Callable[[], str]) -> None:
    threads.later(lambda: _tell(act))


def _tell(act: Callable[[], str]) -> None:
    try:
        logger.info("akto: %s", act())
    except UnknownLetterError as error:
        logger.warning("akto: %s; see akto.dead", error)
    except SpoolError as error:
        logger.warning("akto: nothing was done: %s", error)
