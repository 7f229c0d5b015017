"""`akto-mirror spool`: manages waiting batches on disk, and dead letters."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from akto_mirror.cli.terminal import UsageError, UserError, say
from akto_mirror.counts import count, verb
from akto_mirror.escaping import as_json, printable

if TYPE_CHECKING:
    from akto_mirror.delivery import DeadLetter, Share, Spool

    Actions = argparse._SubParsersAction[argparse.ArgumentParser]

T = TypeVar("T")


FOLDER = "the spool's folder, as in akto_spool_dir (default: the user's own)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments, and its actions."""
    parser.add_argument("--dir", default="", metavar="DIR", help=FOLDER)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    _action(actions, "status", "Show how many entries wait for each destination, and how many dead letters there are.")
    shown = _action(
        actions, "list", "Show the dead letters (entries refused for good), with their numbers and the responses."
    )
    shown.add_argument("--json", action="store_true", help="show only the entries themselves, one JSON object per line")
    _add_retry(
        _action(actions, "retry", "Send dead letters again, or redirect the entries that wait for one destination.")
    )
    _add_drop(_action(actions, "drop", "Delete dead letters, or the entries that wait for one destination."))


def _action(actions: Actions, name: str, text: str) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text[0].lower() + text[1:].removesuffix("."), description=text)
    parser.add_argument("--dir", default=argparse.SUPPRESS, metavar="DIR", help=FOLDER)
    return parser


def _add_retry(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "id", nargs="*", type=int, default=[], metavar="ID", help="the numbers that `list` shows (default: all)"
    )
    what.add_argument(
        "--from",
        dest="start",
        metavar="DESTINATION",
        help="instead: the entries that wait for it, as `status` shows it",
    )
    parser.add_argument(
        "--to", dest="end", metavar="URL", help="where to send them, as in akto_url (default: as before)"
    )
    parser.add_argument("--uds", default="", metavar="PATH", help="with --to: through this Unix socket, as in akto_uds")


def _add_drop(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group()
    what.add_argument("id", nargs="*", type=int, default=[], metavar="ID", help="the numbers that `list` shows")
    what.add_argument("--all", action="store_true", help="all dead letters")
    what.add_argument(
        "--waiting", metavar="DESTINATION", help="instead: everything that waits for it, as `status` shows it"
    )


def run(args: argparse.Namespace) -> int:
    """Manage the entries on disk.

    Shows, redirects or deletes waiting entries and dead letters, also while a proxy runs. By default, each user
    has a separate spool: for a service, run the command as the service's user.
    """
    from akto_mirror.delivery import SpoolError  # noqa: PLC0415 - costs start-up time

    _check(args)
    actions = {"status": _status, "list": _list, "retry": _retry, "drop": _drop}
    try:
        spool = _open(args.dir)
        if not spool.exists():
            return _nothing(args, spool)
        if args.action != "status":
            spool.take_in()
        return actions[args.action](args, spool)
    except SpoolError as error:
        raise UserError(str(error)) from error


def _check(args: argparse.Namespace) -> None:
    if args.action == "retry":
        if args.start is not None and not args.end:
            raise UsageError("--from needs --to URL")
        _target(args.end or "", args.uds)
    elif args.action == "drop" and args.waiting is None and not (args.all or args.id):
        raise UsageError("name the entries to delete by their numbers in `akto-mirror spool list`, or give --all")


def _nothing(args: argparse.Namespace, spool: Spool) -> int:
    """Report that there is no spool, which is an error if its folder was given."""
    missing = f"nothing is on disk: {printable(str(spool.file))} does not exist"
    if args.dir:
        raise UserError(missing)
    missing += "; for a proxy of another user, run this as that user, with its XDG_STATE_HOME"
    _aside(args, missing)
    return 0


def _aside(args: argparse.Namespace, line: str) -> None:
    """Write a line that is not an entry; with `list --json` to standard error, as standard output is for entries."""
    if args.action == "list" and args.json:
        sys.stderr.write(f"{line}\n")
    else:
        say(line)


def _open(folder: str) -> Spool:
    from akto_mirror.delivery import Spool  # noqa: PLC0415
    from akto_mirror.private_files import spool_folder  # noqa: PLC0415 - costs start-up time

    try:
        return Spool(spool_folder(folder, os.environ), target="", limit=0, owner=f"command {os.getpid()}")
    except ValueError as error:
        where = f"--dir {printable(folder)}" if folder else "the spool's folder"
        raise UserError(f"{where}: {error}") from error


def _status(_: argparse.Namespace, spool: Spool) -> int:
    """Read without changing or creating anything, so that it works on a full disk and while a proxy runs."""
    from akto_mirror.delivery import schema, view  # noqa: PLC0415 - costs start-up time

    folder, first = spool.folder, spool.first.view() if spool.first.is_news() else None
    own = schema.own_file(folder, view.LOOK_S)
    say(f"{printable(str(own))}")
    none: list[Share] = []
    shares = _looked(spool, view.shares, none) + (first.shares if first else none)
    dead, size = _looked(spool, view.dead_sizes, (0, 0))
    for share in shares:
        say(_share_line(share))
    if not shares:
        say("waiting: nothing")
    dead, size = dead + (first.dead if first else 0), size + (first.dead_bytes if first else 0)
    say(f"dead letters: {count(dead, 'entry')}, {size} bytes")
    _tell_of_files(spool, own, first is not None)
    return 0


def _looked(spool: Spool, look: Callable[[Path], T], nothing: T) -> T:
    """Read; if a process was killed while writing, its transaction is first rolled back, which only a writer can do."""
    from akto_mirror.delivery import NothingError, SpoolError  # noqa: PLC0415 - costs start-up time

    try:
        return look(spool.folder)
    except NothingError:
        return nothing
    except SpoolError:
        # On a full disk a writer cannot create tables, but it can roll back.
        with contextlib.closing(spool), contextlib.suppress(SpoolError):
            spool.owned()
    try:
        return look(spool.folder)
    except NothingError:
        return nothing


def _tell_of_files(spool: Spool, own: Path, is_seen: bool) -> None:
    from akto_mirror.delivery import schema  # noqa: PLC0415 - costs start-up time

    if spool.first.is_news() and not is_seen:
        say(f"not read: {printable(str(spool.first.file))}; an older version has it open, or it cannot be read")
    for file in schema.newer_files(spool.folder, own):
        say(f"of a newer version: {printable(str(file))}")
    for aside in sorted(spool.folder.glob("damaged-*.db")):
        say(f"set aside as damaged: {printable(str(aside))}")


def _share_line(share: Share) -> str:
    age = max(0, int(time.time() - share.oldest))
    return (
        f"waiting: {count(share.entries, 'entry')} in {count(share.batches, 'batch')}, {share.size} bytes, "
        f"the oldest {age} s old, for {printable(share.target)}"
    )


def _list(args: argparse.Namespace, spool: Spool) -> int:
    from akto_mirror.delivery import view  # noqa: PLC0415 - costs start-up time

    dead, _ = _looked(spool, view.dead_sizes, (0, 0))
    if not dead:
        _aside(args, "there are no dead letters")
        return 0
    for letter in view.letters(spool.folder):
        for line in letter.payload.split(b"\n") if args.json else ():
            say(as_json(line.decode("utf-8", "replace")))
        if not args.json:
            say(_letter_line(letter))
    return 0


def _letter_line(letter: DeadLetter) -> str:
    from akto_mirror.delivery import dead_letters  # noqa: PLC0415 - costs start-up time

    when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(letter.created))
    return f"{letter.id} {when} {dead_letters.title(letter.payload)}: {printable(letter.reason)}"


def _retry(args: argparse.Namespace, spool: Spool) -> int:
    target = _target(args.end or "", args.uds)
    if args.start is None:
        revived = spool.revive(_chosen(args, spool), target)
        say(f"{count(revived, 'entry')} will be sent again by a proxy that uses this spool")
    else:
        moved = spool.redirect(_waiting(args.start, spool), target)
        say(f"{count(moved, 'entry')} now {verb(moved, 'waits')} for {printable(target)}")
    return 0


def _target(url: str, uds: str) -> str:
    """Return the target to which entries are redirected; empty for an empty URL.

    Raises:
        UsageError: the URL is invalid.
    """
    from akto_mirror.delivery import destination  # noqa: PLC0415 - costs start-up time

    try:
        end = destination.parse(url)
    except ValueError as error:
        raise UsageError(f"--to {printable(destination.shown_url(url))}: {error}") from error
    if uds and end.scheme not in ("http", "https"):
        raise UsageError("--uds needs --to http://… or https://…")
    return destination.spool_target(end, uds) if url else ""


def _waiting(target: str, spool: Spool) -> str:
    """Return a target for which entries are waiting.

    Raises:
        UserError: there are none; the text names the targets that have some.
    """
    known = sorted(share.target for share in spool.waiting())
    if target not in known:
        others = ", ".join(map(printable, known))
        rest = f"there are entries for: {others}" if others else "no entries wait for any destination"
        raise UserError(f"no entries wait for {printable(target)}; {rest}")
    return target


def _drop(args: argparse.Namespace, spool: Spool) -> int:
    if args.waiting is not None:
        dropped = spool.drop_waiting(_waiting(args.waiting, spool))
        say(f"deleted {count(dropped, 'entry')} that waited for {printable(args.waiting)}")
    else:
        dropped = spool.drop_dead(None if args.all else _chosen(args, spool))
        say(f"deleted {count(dropped, 'dead letter')}")
    return 0


def _chosen(args: argparse.Namespace, spool: Spool) -> Collection[int] | None:
    from akto_mirror.delivery import UnknownLetterError, dead_letters  # noqa: PLC0415 - costs start-up time

    if not args.id:
        return None
    try:
        return dead_letters.named(spool, args.id)
    except UnknownLetterError as error:
        raise UserError(f"{error}; see `akto-mirror spool list`") from error
