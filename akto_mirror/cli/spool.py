"""`akto-mirror spool`: what waits on disk, and what was refused for good."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from akto_mirror.escaping import as_json, printable

if TYPE_CHECKING:
    from akto_mirror.delivery.spool.spool import Spool
    from akto_mirror.delivery.spool.view import DeadLetter, Share

    Actions = argparse._SubParsersAction[argparse.ArgumentParser]

Say = Callable[[str], None]

T = TypeVar("T")


class Mistake(Exception):  # noqa: N818 - it is the user's
    """Something that the person at the keyboard can put right; the text says what and how."""


def add_actions(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    parser.add_argument(
        "--dir", default="", metavar="DIR", help="the spool's folder, as in akto_spool_dir (default: the user's own)"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _action(actions, "status", "Show how much waits, for whom, and how much was refused.")
    shown = _action(actions, "list", "Show the entries that were refused for good, with their numbers and the answers.")
    shown.add_argument("--json", action="store_true", help="show only the entries themselves, one JSON object a line")
    _add_retry(
        _action(actions, "retry", "Let refused entries be sent again, or send what waits for one server to another.")
    )
    _add_drop(_action(actions, "drop", "Delete refused entries, or what waits for one server."))


def _action(actions: Actions, name: str, text: str) -> argparse.ArgumentParser:
    return actions.add_parser(name, help=text[0].lower() + text[1:].removesuffix("."), description=text)


def _add_retry(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "id", nargs="*", type=int, default=[], metavar="ID", help="the numbers that `list` shows (default: all)"
    )
    what.add_argument(
        "--from", dest="start", metavar="TARGET", help="instead: what waits for TARGET, as `status` shows it"
    )
    parser.add_argument(
        "--to", dest="end", metavar="URL", help="whom they are to be sent to, as in akto_url (default: as before)"
    )
    parser.add_argument("--uds", default="", metavar="PATH", help="with --to: through this Unix socket, as in akto_uds")


def _add_drop(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("id", nargs="*", type=int, default=[], metavar="ID", help="the numbers that `list` shows")
    what.add_argument("--all", action="store_true", help="all refused entries")
    what.add_argument(
        "--waiting", metavar="TARGET", help="instead: everything that waits for TARGET, as `status` shows it"
    )


def run(args: argparse.Namespace, say: Say) -> int:
    """Do what was asked; returns the exit code.

    Raises:
        Mistake: it cannot be done.
    """
    from akto_mirror.delivery.spool.errors import SpoolError  # noqa: PLC0415 - costs start-up time

    actions = {"status": _status, "list": _list, "retry": _retry, "drop": _drop}
    try:
        spool = _open(args.dir)
        if not spool.exists():
            return _nothing(args, spool, say)
        if args.action != "status":
            spool.take_in()
        return actions[args.action](args, spool, say)
    except SpoolError as fault:
        raise Mistake(str(fault)) from fault


def _nothing(args: argparse.Namespace, spool: Spool, say: Say) -> int:
    """Tell that there is no spool; where one was named, that is a mistake."""
    told = f"nothing is on disk: {printable(str(spool.file))} does not exist"
    if args.dir:
        raise Mistake(told)
    told += "; for a proxy of another user, run this as that user, with its XDG_STATE_HOME"
    if args.action == "list" and args.json:
        sys.stderr.write(f"{told}\n")
    else:
        say(told)
    return 0


def _open(folder: str) -> Spool:
    from akto_mirror.delivery.spool.spool import Spool  # noqa: PLC0415
    from akto_mirror.private_files import spool_folder  # noqa: PLC0415 - costs start-up time

    try:
        return Spool(spool_folder(folder, os.environ), target="", limit=0, owner=f"command {os.getpid()}")
    except ValueError as fault:
        where = f"--dir {printable(folder)}" if folder else "the spool's folder"
        raise Mistake(f"{where}: {fault}") from fault


def _status(_: argparse.Namespace, spool: Spool, say: Say) -> int:
    """Look, and change nothing: neither a full disk nor a proxy that runs is in the way, and nothing is created."""
    from akto_mirror.delivery.spool import schema, view  # noqa: PLC0415 - costs start-up time

    folder, first = spool.folder, spool.first.view() if spool.first.is_news() else None
    own = schema.own_file(folder, view.LOOK_S)
    say(f"{printable(str(own))}")
    shares, (dead, size) = (
        (_looked(spool, view.shares), _looked(spool, view.dead_sizes)) if own.exists() else ([], (0, 0))
    )
    shares += first.shares if first else []
    for share in shares:
        say(_share_line(share))
    if not shares:
        say("waiting: nothing")
    say(f"refused: {dead + (first.dead if first else 0)} entries, {size + (first.dead_bytes if first else 0)} bytes")
    _tell_of_files(spool, own, first is not None, say)
    return 0


def _looked(spool: Spool, look: Callable[[Path], T]) -> T:
    """Look; where a process was killed while it wrote, what it wrote is undone first, which only a writer can."""
    from akto_mirror.delivery.spool.errors import SpoolError  # noqa: PLC0415 - costs start-up time

    try:
        return look(spool.folder)
    except SpoolError:
        with contextlib.closing(spool):
            spool.owned()
        return look(spool.folder)


def _tell_of_files(spool: Spool, own: Path, is_seen: bool, say: Say) -> None:
    from akto_mirror.delivery.spool import schema  # noqa: PLC0415 - costs start-up time

    if spool.first.is_news() and not is_seen:
        say(f"not looked into: {printable(str(spool.first.file))}, which an older version has open or cannot be read")
    for file in schema.newer_files(spool.folder, own):
        say(f"of a newer version: {printable(str(file))}")
    for aside in sorted(spool.folder.glob("damaged-*.db")):
        say(f"set aside as damaged: {printable(str(aside))}")


def _share_line(share: Share) -> str:
    age = max(0, int(time.time() - share.oldest))
    return (
        f"waiting: {share.entries} entries in {share.batches} batches, {share.size} bytes, the oldest {age} s old, "
        f"for {printable(share.target)}"
    )


def _list(args: argparse.Namespace, spool: Spool, say: Say) -> int:
    from akto_mirror.delivery.spool import view  # noqa: PLC0415 - costs start-up time

    _looked(spool, view.dead_sizes)
    for letter in view.letters(spool.folder):
        for line in letter.payload.split(b"\n") if args.json else ():
            say(as_json(line.decode("utf-8", "replace")))
        if not args.json:
            say(_letter_line(letter))
    return 0


def _letter_line(letter: DeadLetter) -> str:
    from akto_mirror.delivery.spool import dead_letters  # noqa: PLC0415 - costs start-up time

    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(letter.created))
    return f"{letter.id} {when} {dead_letters.title(letter.payload)}: {printable(letter.reason)}"


def _retry(args: argparse.Namespace, spool: Spool, say: Say) -> int:
    target = _target(args.end or "", args.uds)
    if args.start is None:
        say(f"{spool.revive(_chosen(args, spool), target)} entries are sent again by the next proxy that looks")
    elif target:
        moved = spool.redirect(_waiting(args.start, spool), target)
        say(f"{moved} entries now wait for {printable(target)}")
    else:
        raise Mistake("--from needs --to URL")
    return 0


def _target(url: str, uds: str) -> str:
    """Name whom entries are to wait for; empty for an empty URL."""
    from akto_mirror.delivery.sinks import destination  # noqa: PLC0415 - costs start-up time

    try:
        end = destination.parse(url)
    except ValueError as fault:
        raise Mistake(f"--to {printable(destination.shown_url(url))}: {fault}") from fault
    if uds and end.scheme not in ("http", "https"):
        raise Mistake("--uds needs --to http://… or https://…")
    return destination.spool_target(end, uds) if url else ""


def _waiting(target: str, spool: Spool) -> str:
    """Return a target for which something waits.

    Raises:
        Mistake: nothing does; the text names those for which something does.
    """
    known = sorted(share.target for share in spool.waiting())
    if target not in known:
        others = ", ".join(map(printable, known))
        rest = f"something waits for: {others}" if others else "nothing waits at all"
        raise Mistake(f"nothing waits for {printable(target)}; {rest}")
    return target


def _drop(args: argparse.Namespace, spool: Spool, say: Say) -> int:
    if args.waiting is not None:
        dropped = spool.drop_waiting(_waiting(args.waiting, spool))
        say(f"deleted {dropped} entries that waited for {printable(args.waiting)}")
    elif args.all or args.id:
        say(f"deleted {spool.drop_dead(None if args.all else _chosen(args, spool))} refused entries")
    else:
        raise Mistake("name the entries to delete by their numbers in `akto-mirror spool list`, or give --all")
    return 0


def _chosen(args: argparse.Namespace, spool: Spool) -> Collection[int] | None:
    from akto_mirror.delivery.spool import dead_letters  # noqa: PLC0415 - costs start-up time

    if not args.id:
        return None
    try:
        return dead_letters.named(spool, args.id)
    except dead_letters.UnknownLetterError as fault:
        raise Mistake(f"{fault}; see `akto-mirror spool list`") from fault
