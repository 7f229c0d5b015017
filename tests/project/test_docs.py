"""The docs match the code; `python -m tests.project.test_docs` writes the lists of options, commands and packages."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.registry import CollectorRegistry

from akto_mirror.accounts import Stats
from akto_mirror.cli import program
from akto_mirror.config import declarations
from akto_mirror.config.declarations import KINDS
from akto_mirror.config.option import Option
from akto_mirror.outcomes import Dropped
from akto_mirror.telemetry import server
from akto_mirror.telemetry.observation import Observation
from tests.support.proxy import ROOT
from tests.support.rooms import GROUND, MODULES, arrows, room, summary

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
OPTIONS = DOCS / "options.md"
HEAD = """# Options

Set them with `--set name=value`, in mitmproxy's command line with `:set`, or in `~/.mitmproxy/config.yaml`. A list
takes one `--set` for each of its values. With an invalid value mitmproxy does not start, and one line names the option;
if it is set while mitmproxy runs, the old value stays in force.
"""

COMMANDS = DOCS / "cli.md"
COMMANDS_HEAD = """# Commands

`akto-mirror COMMAND --help` shows the same in a terminal. Exit codes: 0 success, 1 failure, 2 wrong command line,
130 interrupted.
"""

ARCHITECTURE = DOCS / "architecture.md"
BEGIN, END = "<!-- packages -->", "<!-- /packages -->"
# Modules that are not listed: the package itself needs no line.
EXPLAINED = ("__main__",)

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def section(option: Option) -> str:
    """Return the section of an option for the page of options."""
    default = option.default if isinstance(option.default, str) else str(option.default).lower()
    kind = "a list of strings" if option.type == Sequence[str] else KINDS[option.type]
    facts = [("Takes", kind), ("default", f"`{default}`" if default and default != "[]" else "empty")]
    if option.choices:
        facts.append(("one of", ", ".join(f"`{choice}`" for choice in option.choices)))
    if option.bounds:
        facts.append(("from", "{:,} to {:,}".format(*option.bounds)))
    if option.env:
        facts.append(("variable", f"`{option.env}`"))
    return f"\n## `{option.name}`\n\n{option.help}\n\n" + "; ".join(" ".join(fact) for fact in facts) + ".\n"


def test_options() -> None:
    """The page of options matches the declarations; `python -m tests.project.test_docs` writes it."""
    assert OPTIONS.read_text() == HEAD + "".join(map(section, declarations.OPTIONS))


def command_section(parser: argparse.ArgumentParser) -> str:
    """Return the section of a command for the page of commands."""
    texts = [f"## `{parser.prog}`", parser.description or "", arguments(parser), (parser.epilog or "").rstrip()]
    return "".join(f"\n{text}\n" for text in texts if text)


def arguments(parser: argparse.ArgumentParser) -> str:
    """Return a table of a command's arguments and options."""
    actions = [action for action in parser._actions if not isinstance(action, argparse._HelpAction)]
    rows = [row for action in actions for row in rows_of(parser, action)]
    return "\n".join(["| | |", "|---|---|", *(f"| `{name}` | {message} |" for name, message in rows)]) if rows else ""


def rows_of(parser: argparse.ArgumentParser, action: argparse.Action) -> list[tuple[str, str]]:
    """Return the names of an argument, or of each subcommand, with their help."""
    if isinstance(action, argparse._SubParsersAction):
        return [(choice.dest, choice.help or "") for choice in action._choices_actions]
    message = parser._get_formatter()._expand_help(action).replace("|", "\\|")
    value = action.metavar or "\\|".join(action.choices or [action.dest.upper()])
    takes = str(value) if action.nargs != 0 else ""
    many = " …" if action.nargs in ("*", "+") else ""
    return [(" ".join([*action.option_strings, takes]).strip() + many, message)]


def commands_page() -> str:
    """Return the page of commands."""
    return COMMANDS_HEAD + "".join(map(command_section, program._parsers(program._parser())))


def test_commands() -> None:
    """The page of commands matches the parser; `python -m tests.project.test_docs` writes it."""
    assert COMMANDS.read_text() == commands_page()


def test_every_argument_is_explained() -> None:
    """Each command, argument and option has a help text of more than two words."""
    for parser in program._parsers(program._parser()):
        assert parser.description, parser.prog
        message = [row for action in parser._actions for row in rows_of(parser, action)]
        assert [name for name, text in message if len(text.split()) < 3] == [], parser.prog


@cache
def anchors(page: Path) -> frozenset[str]:
    """Return the anchors of a page's headings, as Markdown renderers make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return frozenset(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)


@each_page
def test_links(page: Path) -> None:
    """Every file and every heading that a page links to exists."""
    for link, anchor in re.findall(r"\]\(([^):#]*)(?:#([^)]*))?\)", page.read_text()):
        target = page.parent / link if link else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.resolve()), f"{link}#{anchor}"


def test_pictures() -> None:
    """Every picture is used, exists, has an alternative text, and is small; `make screenshots` makes them."""
    text = (DOCS / "guide.md").read_text()
    shown = re.findall(r"!\[[^\]]{40,}\]\(([^)]*)\)", text)
    shown += re.findall(r'<img src="([^"]*)" alt="[^"]{40,}"', text) + re.findall(r'srcset="([^"]*)"', text)
    assert {DOCS / name for name in shown} == set((DOCS / "images").iterdir())
    assert [name for name in shown if (DOCS / name).stat().st_size > 200_000] == []


def test_the_index_leads_to_every_page() -> None:
    """The index links to every page, and the README links to the index."""
    text = (DOCS / "index.md").read_text()
    assert [page.name for page in PAGES if page.name != "index.md" and f"({page.name})" not in text] == []
    assert "(docs/index.md)" in (ROOT / "README.md").read_text()


@each_page
def test_every_option_that_is_named_exists(page: Path) -> None:
    """No page names an option that does not exist."""
    named = set(re.findall(r"\bakto_[a-z0-9_]+\b(?!\.py)", page.read_text()))
    tests_own = {name for name in named if name.startswith(("akto_mirror", "akto_api", "akto_entries"))}
    assert named - tests_own - set(declarations.names()) == set()


@cache
def commands() -> frozenset[str]:
    """Return the commands that `akto-mirror --help` lists."""
    shown = subprocess.run([sys.executable, "-m", "akto_mirror", "--help"], capture_output=True, text=True, check=True)
    return frozenset(re.findall(r"^ {4}([a-z-]+)(?: |$)", shown.stdout, re.MULTILINE))


@each_page
def test_every_command_that_is_named_exists(page: Path) -> None:
    """No page names a command or a subcommand of `spool` that does not exist."""
    found = re.findall(r"(?:^    |[`(])akto-mirror ([a-z-]+)", page.read_text(), re.MULTILINE)
    assert set(found) <= commands()


def alerts() -> list[str]:
    """Return the expressions that the docs propose for alerts."""
    return re.findall(r"```promql\n(.*?)\n```", (DOCS / "operations.md").read_text(), re.DOTALL)


def served() -> frozenset[str]:
    """Return the names of all series that a proxy with a spool serves."""
    seen = Observation(Stats().snapshot(), 0, 1, spool_bytes=0, dead_bytes=0, oldest_s=0.0)
    registry = CollectorRegistry()
    registry.register(server._Collector(lambda: seen))
    return frozenset(re.findall(r"^(\w+)", generate_latest(registry).decode(), re.MULTILINE))


@pytest.mark.parametrize("expression", alerts())
def test_alerts(expression: str) -> None:
    """Prometheus's grammar accepts every alert, and every metric in it is served."""
    promql = pytest.importorskip("promql_parser")
    promql.parse(expression)
    named = set(re.findall(r"akto_mirror_\w+", expression))
    assert named
    assert named <= served()


def test_there_are_alerts() -> None:
    """The search finds alerts; otherwise the test above would prove nothing."""
    assert len(alerts()) > 4


def test_every_loss_is_documented() -> None:
    """Line 2: one table says what happens at each bound, and under which reason it is counted."""
    rows = re.findall(r"^\| .*\| .*\| (.*) \|$", page_section("operations.md", "Bounds"), re.MULTILINE)
    text = " ".join(rows)
    assert [reason for reason in Dropped if f"`{reason}`" not in text] == []
    bounds = ("akto_queue_bytes", "akto_spool_bytes", "akto_batch_entries", "akto_batch_bytes", "akto_shutdown_s")
    assert [name for name in bounds if f"`{name}`" not in page_section("operations.md", "Bounds")] == []


def test_every_promise_of_delivery_is_held_by_tests() -> None:
    """The page has twelve lines, each of which is named in docstrings of tests; these name no other line."""
    lines = re.findall(r"^(\d+)\. \*\*", (DOCS / "delivery.md").read_text(), re.MULTILINE)
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    held = set(re.findall(r'"""Line (\d+)', tests))
    assert lines == [str(number) for number in range(1, 13)]
    assert held == set(lines)


def test_the_spool_of_a_service_can_be_found() -> None:
    """The commands use the user, the folder and the containers of the examples."""
    message = page_section("operations.md", "Dead letters")
    unit, pod, image = (
        (ROOT / "examples" / name).read_text() for name in ("akto-mirror.service", "kubernetes.yaml", "Dockerfile")
    )
    assert re.findall("^User=(.*)", unit, re.MULTILINE) == re.findall("runuser -u (.*?) --", message)
    # %S is /var/lib in a system unit.
    assert "XDG_STATE_HOME=%S " in unit
    assert "env XDG_STATE_HOME=/var/lib /opt/akto-mirror/bin/akto-mirror spool" in message
    assert "/opt/akto-mirror/bin/akto-mirror run " in unit
    assert "ENV XDG_STATE_HOME=/state " in image
    assert "\n  mirror:\n" in (ROOT / "examples" / "compose.yaml").read_text()
    assert "compose.yaml exec mirror akto-mirror spool" in message
    assert "- name: mirror\n" in pod
    assert "-c mirror -- akto-mirror spool" in message


def test_the_guarantee_for_a_power_failure_is_stated() -> None:
    """Line 3: the page says what SQLite guarantees, with which settings, and what it does not guarantee."""
    said = page_section("operations.md", "Bounds").partition("Power failure")[2]
    assert all(word in said for word in ("rollback journal", "synchronous=FULL", "SQLite's own guarantee"))


def page_section(page: str, heading: str) -> str:
    """Return the text under a heading of a page."""
    text = (DOCS / page).read_text()
    assert f"\n## {heading}\n" in text
    return text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


# Changed defaults of the first version, and later options whose default changes nothing by itself.
FIRST_DEFAULTS = {"akto_include_query": False}
FIRST_OPTIONS = """
    url uds token account_id vxlan_id tag fidelity routes filter host client_ip_header include_query body_limit
    redact_headers redact_fields stream batch_entries batch_bytes linger_ms queue_bytes durability spool_dir spool_bytes
    timeout_s shutdown_s metrics mark
"""
NEUTRAL = {
    "akto_content_types": "json,xml,x-www-form-urlencoded,soap,grpc",
    "akto_sample": "all",
    "akto_sample_window_s": 600,
    "akto_sample_per_window": 5,
    "akto_sample_bytes": 64 * 1024 * 1024,
}


def test_each_changed_default_is_in_the_migration_guide() -> None:
    """The guide lists changed defaults of first-version options, and newer options whose default changes something."""
    table = page_section("migration.md", "Changed defaults")
    first = {f"akto_{name}" for name in FIRST_OPTIONS.split()}
    newer = {option.name for option in declarations.OPTIONS if option.name not in first and option.default}
    assert {option.name: option.default for option in declarations.OPTIONS if option.name in NEUTRAL} == NEUTRAL
    for name in newer - NEUTRAL.keys() | FIRST_DEFAULTS.keys():
        assert any(f"`{name}=" in row.rpartition(" | ")[2] for row in table.splitlines()), name


def test_the_changelog_begins_with_what_leaves_the_machine_now() -> None:
    """Version 0.2.0 in the changelog first says that credentials in queries now leave the machine."""
    version = (ROOT / "CHANGELOG.md").read_text("utf-8").partition("\n## [0.2.0]")[2]
    first = version.partition("\n- ")[2].partition("\n- ")[0]
    assert "`akto_include_query`" in first
    assert "credentials" in first
    assert "akto_redact_fields=common" in first


def test_the_architecture_is_drawn_from_the_code() -> None:
    """Packages, imports and modules match the code; `python -m tests.project.test_docs` draws them."""
    assert drawn() in ARCHITECTURE.read_text()


def drawn() -> str:
    """Return the packages as the architecture page shows them: their imports, and their modules."""
    pairs = "\n".join(f"    {start} --> {end}" for start, end in sorted(arrows()) if end != GROUND)
    rooms = sorted({room(module) for module in MODULES}, key=lambda name: (name == GROUND, name))
    return f"{BEGIN}\n```mermaid\nflowchart TD\n{pairs}\n```\n\n{''.join(map(_room, rooms))}{END}"


def _room(name: str) -> str:
    modules = [module for module in sorted(MODULES) if room(module) == name and module not in (name, *EXPLAINED)]
    about = summary(name) if name in MODULES else "Modules that all packages may import"
    rows = "".join(f"| `{module.rpartition('.')[2]}` | {summary(module)} |\n" for module in modules)
    table = f"\n| module | |\n|---|---|\n{rows}" if rows else ""
    return f"### {name}\n\n{about}.\n{table}\n"


if __name__ == "__main__":
    argparse.ArgumentParser(description="Write the docs' lists of options, commands and packages.").parse_args()
    OPTIONS.write_text(HEAD + "".join(map(section, declarations.OPTIONS)))
    COMMANDS.write_text(commands_page())
    page = ARCHITECTURE.read_text()
    ARCHITECTURE.write_text(page.partition(BEGIN)[0] + drawn() + page.partition(END)[2])
