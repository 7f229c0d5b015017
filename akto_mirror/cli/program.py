"""The command line `akto-mirror`; each command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from akto_mirror.cli.terminal import UserError, say
from akto_mirror.escaping import isolated, printable
from akto_mirror.runner import arguments

if TYPE_CHECKING:
    from akto_mirror.ingestion.arrivals import Answer, Store
    from akto_mirror.ingestion.service import Receiver

URL_VARIABLE = "AKTO_DATA_INGESTION_URL"
TOKEN_VARIABLE = "AKTO_API_TOKEN"  # noqa: S105 - the variable's name
DEFAULT_PORT = 9091
WAIT_SECONDS = 1.0
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

COMPLETION_USE = """In ~/.bashrc:

    eval "$(akto-mirror completion bash)"

In ~/.zshrc, after compinit:

    eval "$(akto-mirror completion zsh)"
"""
RUN_USE = """Use it so:

    akto-mirror run --mode reverse:http://127.0.0.1:3000 --set akto_url=http://127.0.0.1:9091
"""
ADDON_PATH_USE = """Use it so:

    mitmdump -s "$(akto-mirror addon-path)"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process if None.

    Returns:
        The exit code: 0 done, 1 it failed, 130 interrupted; a usage error leaves by `SystemExit(2)`.
    """
    words = sys.argv[1:] if argv is None else list(argv)
    is_run = words[:1] == ["run"]
    args = _parser().parse_args(words[:1] if is_run else words)
    if is_run:
        args.arguments = words[1:]  # As they are, --help and --version included.
    run: Callable[[argparse.Namespace], int] = args.run
    try:
        return run(args)
    except UserError as error:
        sys.stderr.write(f"akto-mirror {args.name}: {error}\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"akto-mirror {args.name}: {printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        return 130


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - costs start-up time

        say(f"akto-mirror {version('akto-mirror')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="akto-mirror",
        description="Mirror API traffic to Akto. The mirror itself is a script for mitmproxy (see addon-path); these "
        "commands try it out, check it, ship recorded flows and look after what waits on disk.",
        epilog="`akto-mirror COMMAND --help` explains a command.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_run(commands)
    _add_sink(commands)
    _add_check(commands)
    _add_replay(commands)
    _add_inventory(commands)
    _add_spool(commands)
    _add_doctor(commands)
    completion = _add(commands, "completion", _completion, COMPLETION_USE)
    completion.add_argument("shell", choices=("bash", "zsh"), help="the shell that is to complete")
    _add(commands, "addon-path", _addon_path, ADDON_PATH_USE)
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class _Help(argparse.HelpFormatter):
    """Wraps texts, but leaves indented lines as they are: commands to paste."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n".join(line if line.startswith(" ") else fill(line, width, indent) for line in text.splitlines())


def _add(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a command; what it does is told by its function's docstring."""
    text = " ".join((run.__doc__ or "").split())
    parser = commands.add_parser(
        name,
        help=text[0].lower() + text[1:].partition(".")[0],
        description=text,
        epilog=epilog,
        formatter_class=_Help,
    )
    parser.set_defaults(run=run)
    return parser


def _add_token(parser: argparse.ArgumentParser, text: str) -> None:
    default = f"default: ${TOKEN_VARIABLE}, which other users of the machine cannot see in the process list"
    parser.add_argument("--token", help=f"{text} ({default})")


def _token(args: argparse.Namespace) -> str:
    token: str = os.environ.get(TOKEN_VARIABLE, "") if args.token is None else args.token
    if not (token.isascii() and token.isprintable()):
        raise UserError(
            f"the token (--token or {TOKEN_VARIABLE}) holds a character that no header can carry; "
            "is there a line break at its end?"
        )
    return token


def _add_demo(commands: Commands) -> None:
    parser = _add(commands, "demo", _demo)
    parser.add_argument("--open", action="store_true", help="end on the inventory of what arrived, in a browser")


def _demo(args: argparse.Namespace) -> int:
    """Show what is mirrored, with a sample API.

    Starts the API, a local ingestion service and mitmdump between them, sends varied requests through, and shows what
    was mirrored, what was skipped and why.
    """
    from akto_mirror.demo import demo, proxy  # noqa: PLC0415 - see the module's docstring

    for number in INTERRUPTS:
        signal.signal(number, _interrupt)
    look: Callable[[str], None] = _look if args.open else lambda _: None
    try:
        return 0 if demo.run(say, addon_path(), look) else 1
    except proxy.DemoError as error:
        raise UserError(str(error)) from error


def _look(url: str) -> None:
    """Open the inventory in a browser, and wait for Ctrl-C."""
    import webbrowser  # noqa: PLC0415 - see the module's docstring

    try:
        say(f"\nThe inventory is at {url} until you press Ctrl-C.")
        if not webbrowser.open(url):
            say("There is no browser here that could be opened: open that address in yours.")
        _wait_for(threading.Event())
    except KeyboardInterrupt:
        say("stopped")


def _wait_for(stop: threading.Event) -> None:
    """Wait in steps: on Windows, no signal is handled while a wait lasts (python/cpython#80116)."""
    while not stop.wait(WAIT_SECONDS):
        pass


def _interrupt(*_: object) -> None:
    """Interrupt once; what follows is the clean-up, which is short and must not be interrupted."""
    for number in INTERRUPTS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _add_run(commands: Commands) -> None:
    parser = _add(commands, "run", _run, RUN_USE)
    arguments.add_to(parser)
    parser.add_argument(
        "arguments", nargs="*", metavar="ARGUMENT", help="arguments of mitmdump; `akto-mirror run --help` shows them"
    )


def _run(args: argparse.Namespace) -> int:
    """Run mitmdump with the addon, at about half its cost.

    Every option, mode and script of mitmdump works as there, and neither traffic nor scripts see a difference.
    docs/run.md says how it is done.
    """
    from akto_mirror.runner import command  # noqa: PLC0415 - see the module's docstring

    command.run(args.arguments, addon_path())
    return 0


def _add_sink(commands: Commands) -> None:
    parser = _add(commands, "sink", _sink)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 is every one of this machine (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=_port, default=DEFAULT_PORT, help="port to listen on; 0 takes a free one (default: %(default)s)"
    )
    _add_token(parser, "what Authorization must hold, everywhere but at /healthCheck; empty: no authentication")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="also append entries to FILE, one JSON object a line; a new one is readable by its owner only",
    )
    parser.add_argument(
        "--quiet", action="store_true", help="show no line for each batch, only one at the start and one at the end"
    )


def _sink(args: argparse.Namespace) -> int:
    """Run a local ingestion service.

    It answers as Akto's data-ingestion service does, with its limits and status codes. The newest 100,000 entries (at
    most 256 MiB) stay in memory, and its address shows their inventory in a browser: with the token, or without
    one only on this machine.
    """
    receiver = _receiver(args)
    # Not before: what takes long above is ended by these signals as Python does it.
    stop = threading.Event()
    for number in INTERRUPTS:
        signal.signal(number, lambda *_: stop.set())
    where = printable(str(args.out)) if args.out else "memory"
    say(f"listening on {receiver.url}; entries go to {where}; {_shown(args)}")
    _wait_for(stop)
    receiver.stop()
    say(_summary(receiver.store))
    receiver.store.close()
    return 0


def _shown(args: argparse.Namespace) -> str:
    from akto_mirror.ingestion.access import is_loopback  # noqa: PLC0415 - see the module's docstring

    if _token(args) or is_loopback(args.host):
        return "open that address in a browser to look at them"
    return "start it with a token to look at them in a browser, as it listens beyond this machine"


def _receiver(args: argparse.Namespace) -> Receiver:
    from akto_mirror.ingestion.service import Receiver  # noqa: PLC0415 - see the module's docstring

    report: Callable[[Answer], None] = (lambda _: None) if args.quiet else (lambda answer: say(_batch_line(answer)))
    try:
        receiver = Receiver(host=args.host, port=args.port, token=_token(args), out=args.out, on_answer=report)
    except OSError as error:
        file = printable(str(args.out))
        raise UserError(f"cannot write {file}: {error.strerror}; name another file with --out") from error
    try:
        receiver.start()
    except OSError as error:
        where = f"port {args.port} on {printable(args.host)}"
        raise UserError(f"cannot listen on {where}: {error.strerror}; choose another with --port or --host") from error
    return receiver


def _batch_line(answer: Answer) -> str:
    taken = _count(answer.taken, "entry", "entries")
    return f"{answer.status} {taken}" + (f"; refused: {isolated(printable(answer.reason))}" if answer.reason else "")


def _summary(store: Store) -> str:
    refused = [f"{count} with {status}" for status, count in sorted(store.answers.items()) if status != 200]
    entries, batches = _count(store.total, "entry", "entries"), _count(store.answers[200], "batch", "batches")
    return f"stopped: {entries} in {batches}; refused: {', '.join(refused) or 'none'}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _add_check(commands: Commands) -> None:
    parser = _add(commands, "check", _check)
    parser.add_argument(
        "url", nargs="?", metavar="URL", help=f"the ingestion service, as in akto_url (default: ${URL_VARIABLE})"
    )
    _add_token(parser, "the service's token, sent raw as Authorization")
    parser.add_argument(
        "--send", action="store_true", help="also send one clearly marked test entry, which then is in Akto"
    )
    parser.add_argument("--uds", default="", metavar="PATH", help="connect through this Unix socket, as akto_uds does")
    parser.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="the most that a step may take (default: 10)"
    )
    parser.add_argument(
        "--spool-dir",
        default="",
        metavar="DIR",
        help="the spool's folder, as in akto_spool_dir (default: the user's own)",
    )
    parser.set_defaults(usage_error=parser.error)


def _check(args: argparse.Namespace) -> int:
    """Verify the way to Akto.

    Resolves, connects, checks TLS, asks /healthCheck and /api/auth-check, looks whether the spool's folder can be used,
    and says what to do about what fails. Exit code 1 if a step failed.
    """
    from akto_mirror.diagnostics import checks  # noqa: PLC0415 - see the module's docstring

    url = args.url or os.environ.get(URL_VARIABLE) or args.usage_error(f"give a URL or set {URL_VARIABLE}")
    try:
        target = checks.Target(url, token=_token(args), uds=args.uds, timeout=args.timeout)
    except ValueError as error:
        shown = "the URL" if "@" in url else printable(url)  # What stands before @ may be a password.
        raise UserError(f"{shown}: {error}") from error
    steps = [checks.show(step, say) for step in checks.run(target, send=args.send)]
    steps.append(checks.show(checks.spool_step(args.spool_dir, os.environ), say))
    return 0 if all(step.ok for step in steps) else 1


def _add_replay(commands: Commands) -> None:
    parser = _add(commands, "replay", _replay)
    parser.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="flow files (mitmdump -w, mitmweb) and HAR files, in the order in which they are shipped",
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        help="the ingestion service, or file:///PATH.ndjson for a file of entries, as in akto_url "
        f"(default: ${URL_VARIABLE})",
    )
    _add_token(parser, "the service's token, sent raw as Authorization")
    parser.add_argument(
        "--filter",
        metavar="EXPRESSION",
        help="only flows that match this filter expression of mitmproxy, as in akto_filter",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="any akto_ option, as for mitmdump; may be given several times",
    )
    parser.add_argument("--dry-run", action="store_true", help="show what would become of each flow, and send nothing")
    parser.add_argument(
        "--rewrite-time",
        action="store_true",
        help="give each entry the time at which it is replayed, instead of the recorded one; distances are not kept",
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on where the same replay was interrupted or left something over"
    )
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.set_defaults(usage_error=parser.error)


def _replay(args: argparse.Namespace) -> int:
    """Ship recorded flows.

    The rules, the entries and the options are the addon's. Exit code 0: all was read and shipped. 1: something was not.
    2: the command line is wrong. 130: interrupted; --resume goes on there. An entry whose arrival was not confirmed is
    sent again, so that it can arrive twice. Nothing is spooled: the recording is there still.
    """
    from akto_mirror.config import options  # noqa: PLC0415 - see the module's docstring
    from akto_mirror.config.declarations import ConfigError  # noqa: PLC0415
    from akto_mirror.replay import entries, shipping  # noqa: PLC0415
    from akto_mirror.replay.job import Job  # noqa: PLC0415

    given = {"akto_url": args.to, "akto_token": args.token, "akto_filter": args.filter}
    try:
        values = entries.parse_options(args.set, {name: value for name, value in given.items() if value is not None})
        settings = options.read(values, os.environ)
    except ConfigError as error:
        args.usage_error(str(error))
    if not (settings.sink.destination.url or args.dry_run):
        args.usage_error(f"give --to URL, set {URL_VARIABLE}, or look first with --dry-run")
    if len({path.resolve() for path in args.files}) < len(args.files):
        args.usage_error("a file is given twice")
    job = Job(args.files, values, settings, rewrite_time=args.rewrite_time, resume=args.resume)
    return shipping.run(job, say, dry_run=args.dry_run, quiet=args.quiet)


def _add_inventory(commands: Commands) -> None:
    from akto_mirror.cli import inventory  # noqa: PLC0415 - see the module's docstring

    inventory.add_arguments(_add(commands, "inventory", inventory.run))


def _add_spool(commands: Commands) -> None:
    from akto_mirror.cli import spool  # noqa: PLC0415 - see the module's docstring

    spool.add_actions(_add(commands, "spool", _spool))


def _spool(args: argparse.Namespace) -> int:
    """Look after what waits on disk.

    Shows what waits and what was refused for good, and lets both be sent elsewhere or deleted; a running proxy need not
    be stopped for it. The spool is that of the user who runs this: for a service, run it as the service's user.
    """
    from akto_mirror.cli import spool  # noqa: PLC0415 - see the module's docstring

    try:
        return spool.run(args, say)
    except spool.Mistake as mistake:
        raise UserError(str(mistake)) from mistake


def _add_doctor(commands: Commands) -> None:
    parser = _add(commands, "doctor", _doctor)
    parser.add_argument(
        "--url", default="", metavar="URL", help="the ingestion service to check (default: the configured one)"
    )
    _add_token(parser, "the service's token, sent raw as Authorization and never shown")


def _doctor(args: argparse.Namespace) -> int:
    """Gather what a bug report needs.

    Versions, the platform, the options of the environment and of mitmproxy's config.yaml, whether the addon loads, and
    the steps of `check`. Secrets are left out; look it over all the same before you paste it. Exit code 1 if something
    is wrong.
    """
    from akto_mirror.diagnostics import doctor  # noqa: PLC0415 - see the module's docstring

    return 0 if doctor.run(args.url, _token(args), addon_path(), say, os.environ) else 1


def _completion(args: argparse.Namespace) -> int:
    """Print a script that completes commands and options."""
    import shtab  # noqa: PLC0415 - see the module's docstring

    parser = _parser()
    for each in _parsers(parser):
        for action in each._actions:
            if action.metavar in ("FILE", "PATH"):
                action.complete = shtab.FILE  # type: ignore[attr-defined]
            if action.metavar == "DIR":
                action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    say(shtab.complete(parser, args.shell))
    return 0


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Walk a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _parsers(command)


def _addon_path(_: argparse.Namespace) -> int:
    """Print the path of the script for mitmproxy.

    mitmdump, mitmweb and mitmproxy have to run in the same environment.
    """
    say(str(addon_path()))
    return 0


def addon_path() -> Path:
    """Find the installed script without running it.

    Raises:
        UserError: If it is not installed.
    """
    spec = find_spec("akto_addon")
    if spec is None or spec.origin is None:
        raise UserError("akto_addon.py is not installed; reinstall with: pip install --force-reinstall akto-mirror")
    return Path(spec.origin).absolute()


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= 65_535):
        raise argparse.ArgumentTypeError("a port is a number from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError("give seconds, more than 0 and at most 3600")
    return seconds
