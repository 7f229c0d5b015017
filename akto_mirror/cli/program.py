"""The parser of `akto-mirror`; each command imports its implementation when it runs, so that help is shown at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from akto_mirror.cli import check, demo, doctor, inventory, replay, sink, spool
from akto_mirror.cli.terminal import UserError, addon_path, say
from akto_mirror.escaping import printable
from akto_mirror.runner import arguments

COMPLETION_USE = """In ~/.bashrc:

    eval "$(akto-mirror completion bash)"

In ~/.zshrc, after compinit:

    eval "$(akto-mirror completion zsh)"
"""
RUN_USE = """Example:

    akto-mirror run --mode reverse:http://127.0.0.1:3000 --set akto_url=http://127.0.0.1:9091
"""
ADDON_PATH_USE = """Example:

    mitmdump -s "$(akto-mirror addon-path)"
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: The arguments after the program's name; those of the process if None.

    Returns:
        The exit code: 0 success, 1 failure, 2 wrong command line, 130 interrupted.

    Raises:
        SystemExit: With 2, if argparse cannot read the command line.
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
        return error.exit_code
    except OSError as error:
        sys.stderr.write(f"akto-mirror {args.name}: {printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        return 130


class _Version(argparse.Action):
    """Looks up the version only when it is requested."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version  # noqa: PLC0415 - costs start-up time

        say(f"akto-mirror {version('akto-mirror')}")
        parser.exit()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="akto-mirror",
        description="Mirror API traffic to Akto. The addon is a script for mitmproxy (see addon-path). These commands "
        "run it, try it out, check the connection, ship recorded flows and manage the entries on disk.",
        epilog="`akto-mirror COMMAND --help` explains a command.",
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(dest="name", metavar="COMMAND", required=True)
    demo.add_arguments(_add(commands, "demo", demo.run))
    _add_run(commands)
    sink.add_arguments(_add(commands, "sink", sink.run))
    check.add_arguments(_add(commands, "check", check.run))
    replay.add_arguments(_add(commands, "replay", replay.run))
    inventory.add_arguments(_add(commands, "inventory", inventory.run))
    spool.add_arguments(_add(commands, "spool", spool.run))
    doctor.add_arguments(_add(commands, "doctor", doctor.run))
    completion = _add(commands, "completion", _completion, COMPLETION_USE)
    completion.add_argument("shell", choices=("bash", "zsh"), help="the shell that the script is for")
    _add(commands, "addon-path", _addon_path, ADDON_PATH_USE)
    return parser


if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


class _Help(argparse.HelpFormatter):
    """Wraps text, but keeps indented lines, which are commands to paste."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        fill = super()._fill_text
        return "\n".join(line if line.startswith(" ") else fill(line, width, indent) for line in text.splitlines())


def _add(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a command; its help is its function's docstring."""
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


def _add_run(commands: Commands) -> None:
    parser = _add(commands, "run", _run, RUN_USE)
    arguments.add_to(parser)
    parser.add_argument(
        "arguments", nargs="*", metavar="ARGUMENT", help="arguments of mitmdump; `akto-mirror run --help` shows them"
    )


def _run(args: argparse.Namespace) -> int:
    """Run mitmdump with the addon, at about half the CPU time per request.

    Every option, mode and script of mitmdump works as in mitmdump, and the traffic is the same. docs/run.md explains
    what makes it faster, and the few differences that scripts can notice.
    """
    from akto_mirror.runner import command  # noqa: PLC0415 - see the module's docstring

    command.run(args.arguments, addon_path())
    return 0


def _completion(args: argparse.Namespace) -> int:
    """Print a script that completes commands and options in a shell."""
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
    """Yield a parser and those of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _parsers(command)


def _addon_path(_: argparse.Namespace) -> int:
    """Print the path of the script for mitmproxy.

    mitmdump, mitmweb and mitmproxy must run in the same environment.
    """
    say(str(addon_path()))
    return 0
