"""The architecture: imports between rooms, sizes of files and folders, and packages that a room must not need."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from importlib.metadata import packages_distributions

import pytest

from tests.support.environment import bare
from tests.support.rooms import MODULES, PACKAGE, arrows, imported, own, reached, room

# All imports between rooms: a new one is added here with the reason.
ALLOWED: set[tuple[str, str]] = {
    ("__main__", "cli"),
    ("addon", "capture"),
    ("addon", "config"),
    ("addon", "delivery"),
    ("addon", "diagnostics"),
    ("addon", "ground"),
    ("addon", "layers"),
    ("addon", "telemetry"),
    ("capture", "capture.payload"),
    ("capture", "capture.redaction"),
    ("capture", "ground"),
    ("capture", "sampling"),
    ("capture.redaction", "capture.payload"),
    ("capture.redaction", "ground"),
    ("capture.redaction", "capture.redaction.rules"),
    ("capture.redaction", "ground"),
    ("capture.payload", "ground"),
    ("cli", "delivery"),
    ("cli", "demo"),
    ("cli", "diagnostics"),
    ("cli", "ground"),
    ("cli", "ingestion"),
    ("cli", "replay"),
    ("cli", "runner"),
    ("config", "capture"),
    ("config", "delivery"),
    ("config", "ground"),
    ("delivery", "delivery.sinks"),
    ("delivery", "delivery.spool"),
    ("delivery", "ground"),
    ("delivery.sinks", "ground"),
    ("delivery.spool", "ground"),
    ("demo", "ground"),
    ("demo", "ingestion"),
    ("demo", "sample_api"),
    ("diagnostics", "config"),
    ("diagnostics", "delivery.sinks"),
    ("diagnostics", "ground"),
    ("ingestion", "ground"),
    ("ingestion", "ingestion.entries"),
    ("ingestion", "ingestion.openapi"),
    ("ingestion.entries", "capture.redaction.rules"),
    ("ingestion.entries", "ground"),
    ("ingestion.openapi", "ground"),
    ("ingestion.openapi", "ingestion.entries"),
    ("pytest_plugin", "replay"),
    ("replay", "capture"),
    ("replay", "config"),
    ("replay", "delivery"),
    ("replay", "ground"),
    ("replay", "replay.har"),
    ("replay.har", "capture.payload"),
    ("replay.har", "ground"),
    ("runner", "telemetry"),
    ("runner", "workers"),
    ("sampling", "ground"),
    ("sampling", "ingestion.entries"),
    ("telemetry", "delivery"),
    ("telemetry", "ground"),
    ("workers", "ground"),
}

MOST_ARROWS = 60
MOST_MODULES = 14
MOST_LINES = 320

# Packages that a room must be importable without.
WITHOUT = {
    "delivery": ("mitmproxy",),
    "ingestion": ("mitmproxy",),
    "capture": ("httpx", "sqlite3"),
}

# Pure modules: clock and randomness are arguments, and nothing is opened.
PURE = (
    *("akto_api", "escaping", "outcomes", "path_templates"),
    *(
        "capture.rules",
        "capture.routes",
        "capture.body",
        "capture.encoding",
        "capture.entry",
        "capture.headers",
        "capture.hosts",
        "capture.paths",
        "capture.payload.json_leaves",
        "capture.payload.render",
        "capture.redaction.json_walk",
        "capture.redaction.markup",
        "capture.redaction.rules.names",
        "capture.redaction.rules.values",
        "capture.redaction.plain",
        "capture.sides",
        "capture.tee",
    ),
    *("delivery.batch", "delivery.retry", "delivery.poison", "delivery.bisections", "delivery.poison_filter"),
    *("sampling.features", "sampling.noise", "sampling.sampler"),
    *(
        "ingestion.documents",
        "ingestion.inventory",
        "ingestion.views",
        "ingestion.openapi.document",
        "ingestion.openapi.compare",
    ),
)

EFFECT = re.compile(
    r"(asyncio|builtins|concurrent|datetime|fcntl|http\.client|httpcore|httpx|io|logging|multiprocessing|os|pathlib|queue"
    r"|random|secrets|select|selectors|shutil|signal|socket|sqlite3|ssl|subprocess|sys|tempfile|threading|time|tornado"
    r"|urllib\.request|mitmproxy\.ctx)(\.|$)"
)


def test_the_walk_finds_imports() -> None:
    """The search finds imports, direct and indirect."""
    assert {"config.options", "capture.capture", "delivery"} <= own("addon.session")
    assert {"delivery.shipper", "delivery.sinks.choose"} <= reached("addon.session")
    assert "escaping" in reached("addon.mirror")
    assert "threading" in imported("delivery.shipper")


def test_every_arrow_between_rooms_is_wanted() -> None:
    """`ALLOWED` lists exactly the imports between rooms, so that a new or a removed one is a decision."""
    assert arrows() == ALLOWED
    assert len(ALLOWED) <= MOST_ARROWS


def test_no_module_is_reached_from_itself() -> None:
    """No module imports itself, directly or indirectly."""
    assert [module for module in MODULES if module in reached(module)] == []


def test_no_room_is_reached_from_itself() -> None:
    """No room imports itself through other rooms."""
    below = {start: {end for first, end in arrows() if first == start} for start, _ in arrows()}
    for start, ends in below.items():
        found, todo = set[str](), set(ends)
        while todo:
            found |= todo
            todo = {end for name in todo for end in below.get(name, ())} - found
        assert start not in found, start


def test_files_and_folders_are_small() -> None:
    """Folders and files are small, so that the file list shows the architecture and a file can be read in one go."""
    folders = Counter(path.parent for path in MODULES.values() if path.stem != "__init__")
    assert {str(folder): count for folder, count in folders.items() if count > MOST_MODULES} == {}
    lines = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in MODULES.items()}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


@pytest.mark.parametrize(("name", "missing"), sorted(WITHOUT.items()))
def test_a_room_loads_without_what_it_must_not_need(name: str, missing: tuple[str, ...]) -> None:
    """All modules of a room are imported in a fresh interpreter, in which the packages cannot be imported."""
    modules = [f"akto_mirror.{module}" for module in sorted(MODULES) if room(module).split(".")[0] == name]
    code = (
        f"import importlib, sys\nfor name in {missing!r}: sys.modules[name] = None\n"
        f"for name in {modules!r}: importlib.import_module(name)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env=bare(), cwd=PACKAGE.parent)


def test_importing_has_no_side_effects() -> None:
    """Importing all modules starts no thread and changes no log level and no signal handler."""
    modules = [f"akto_mirror.{module}" for module in sorted(MODULES) if module not in ("__main__", "pytest_plugin")]
    code = f"""
import importlib, logging, signal, threading
import httpx, httpcore, mitmproxy.http, tornado.web, mitmproxy.addonmanager, mitmproxy.contentviews
import mitmproxy.tools.dump
def state():
    known = logging.root.manager.loggerDict.items()
    loggers = {{name: each.level for name, each in known if isinstance(each, logging.Logger) and each.level}}
    return loggers, logging.root.level, threading.active_count(), signal.getsignal(signal.SIGINT)
before = state()
for name in {modules!r}: importlib.import_module(name)
assert state() == before, (before, state())
"""
    subprocess.run([sys.executable, "-c", code], check=True, env=bare(), cwd=PACKAGE.parent)


def test_every_library_is_declared() -> None:
    """All packages that are imported are declared, and not only installed as dependencies of others."""
    declared = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    asked = {re.split("[<>=]", text)[0] for text in declared["dependencies"]}
    # Extras of one command and of kafka://, the package that loads the plugin, and mitmproxy's own parser of
    # config.yaml.
    asked |= {"confluent-kafka", "shtab", "pytest", "ruamel.yaml"}
    names = {name.partition(".")[0] for module in MODULES for name in imported(module)}
    foreign = names - sys.stdlib_module_names - {"akto_mirror"}
    installed = packages_distributions()
    brought = {name: {each.lower().replace("_", "-") for each in installed[name]} for name in foreign}
    assert [name for name in foreign if not asked & brought[name]] == []
    assert "certifi" in foreign


def test_an_entry_is_put_together_in_one_place() -> None:
    """Addon, commands, replay and fixture all use `Capture`: no other module judges, builds and fits entries."""
    for part in ("capture.entry", "capture.rules", "capture.encoding.fit"):
        users = {name for name in MODULES if any(each == f"akto_mirror.{part}" for each in imported(name))}
        assert users <= {"capture.capture"}, part
    assert {"addon.mirroring", "addon.commands", "addon.screen", "replay.entries"} <= {
        name for name in MODULES if "capture.capture" in own(name)
    }


def test_mitmproxys_context_is_used_in_one_room() -> None:
    """Only the addon imports `mitmproxy.ctx`, and the script that the demo's mitmdump loads."""
    reaching = {name for name in MODULES if any(each.startswith("mitmproxy.ctx") for each in imported(name))}
    assert {name for name in reaching if room(name) != "addon"} == {"demo.script"}


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_open_nothing(module: str) -> None:
    """A pure module uses no clock, randomness, thread, file or socket, directly or through its imports."""
    for name in {module} | reached(module):
        assert list(filter(EFFECT.match, imported(name))) == [], f"{module} reaches {name}"
        tree = ast.parse(MODULES[name].read_text(encoding="utf-8"))
        calls = {node.func for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert {call.id for call in calls if isinstance(call, ast.Name)} & {"open", "print", "input", "exec"} == set()
