"""The addon as a whole: its parts, the order of their hooks, and the handling of an error in one of them."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mitmproxy import exceptions, hooks
from mitmproxy.addonmanager import AddonManager, traverse
from mitmproxy.test import taddons

from akto_mirror.addon.host_header import HostReplacer
from akto_mirror.addon.mirror import AktoMirror
from akto_mirror.addon.session import Session
from akto_mirror.addon.uploads import Behind
from tests.support.proxy import ADDON

# These two are separate addons in mitmproxy's chain; `load` declares the options that everything else needs.
ALONE = (HostReplacer, Behind)
HOOKED = [(type(part), name) for part in traverse([AktoMirror()]) for name in hooks.all_hooks if hasattr(part, name)]
GUARDED = [(kind, name) for kind, name in HOOKED if name != "load"]
GUARDED += [(kind, name) for kind in ALONE for name in hooks.all_hooks if hasattr(kind, name)]


class Witness:
    """A part after all others, which records the hooks that reach it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name not in hooks.all_hooks:
            raise AttributeError(name)
        return lambda *_: self.seen.append(name)


@pytest.fixture
def context() -> Iterator[taddons.context]:
    """Yield mitmproxy's test context, without its default addons."""
    with taddons.context(loadcore=False) as made:
        yield made


def event(name: str) -> hooks.Hook:
    """Make an event whose arguments no part reads."""
    kind: Any = hooks.all_hooks[name]
    return kind(*(set() for _ in dataclasses.fields(kind)))  # type: ignore[no-any-return]


def sabotage(monkeypatch: pytest.MonkeyPatch, kind: type, name: str, error: Exception) -> None:
    """Make a hook raise, inside its guard."""
    hook = getattr(kind, name)
    assert hasattr(hook, "__wrapped__"), f"{kind.__name__}.{name} is not guarded"

    def fail(*_: object) -> None:
        raise error

    fail.__qualname__ = hook.__qualname__
    cell = hook.__closure__[hook.__code__.co_freevars.index("hook")]
    monkeypatch.setattr(cell, "cell_contents", fail)


@pytest.mark.parametrize(("kind", "name"), GUARDED, ids=lambda each: getattr(each, "__name__", each))
def test_an_error_in_one_hook_leaves_the_others_alone(
    kind: type, name: str, context: taddons.context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The error is counted each time and logged once, as a warning, and the following parts are called."""
    sabotage(monkeypatch, kind, name, RuntimeError("sabotage"))
    mirror, witness = AktoMirror(), Witness()
    mirror.addons = [part for part in mirror.addons if type(part) is kind] + [witness]
    if kind in ALONE:
        mirror.addons.insert(0, kind(mirror.session))
    for _ in range(2):
        AddonManager(context.master).invoke_addon_sync(mirror, event(name))
    assert witness.seen == [name, name]
    assert mirror.session.stats.snapshot().errors == 2
    logged = [record for record in caplog.records if "an error in" in record.message]
    assert [(record.levelno, name in record.message) for record in logged] == [(logging.WARNING, True)]


@pytest.mark.parametrize("error", [exceptions.OptionsError("no"), exceptions.AddonHalt()])
def test_what_is_meant_for_mitmproxy_reaches_it(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """An options error, and the exception that skips the following addons, reach mitmproxy."""
    sabotage(monkeypatch, AktoMirror, "configure", error)
    with pytest.raises(type(error)):
        AktoMirror().configure({"akto_url"})


def test_names_are_its_own() -> None:
    """The addons' names are unique, as mitmproxy requires; those that guard the traffic come first."""
    names = [str(getattr(part, "name", "")) for part in traverse([AktoMirror()])]
    assert [name for name in names if not name.startswith("akto-")] == []
    assert len(set(names)) == len(names)
    guards = ["akto-prior-knowledge", "akto-uploads", "akto-upstream-connections", "akto-host-header", "akto-streaming"]
    assert names == ["akto-mirror", *guards, *names[6:]]


@pytest.mark.parametrize("first", [True, False], ids=["before", "behind"])
def test_a_class_of_the_same_name_in_a_script(first: bool, context: taddons.context, tmp_path: Path) -> None:
    """A user's `Metrics` and `Commands` are loaded beside ours."""
    script = tmp_path / "own.py"
    script.write_text("class Metrics: pass\nclass Commands: pass\nclass Session: pass\n"
                      "addons = [Metrics(), Commands(), Session()]\n")  # fmt: skip
    for path in (script, ADDON) if first else (ADDON, script):
        context.script(str(path))
    addons = context.master.addons
    assert {"metrics", "commands", "session", "akto-mirror", "akto-metrics", "akto-commands"} <= set(addons.lookup)


def test_a_second_copy_is_one_line(context: taddons.context, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The same path twice is refused by mitmproxy itself, a copy by the script. The first one stays."""
    first = context.script(str(ADDON))
    context.script(str(shutil.copy(ADDON, tmp_path / "copy.py")))
    errors = [record.message for record in caplog.records if record.levelno >= logging.ERROR]
    assert errors == ["akto: the addon is loaded already; give one of the two scripts only"]
    assert context.master.addons.get("akto-mirror") in first.addons


def test_one_object_outlasts_a_reload(context: taddons.context) -> None:
    """The surviving object belongs to one master, and is dropped with it."""
    del context
    sessions = [Session(), Session()]
    for session in sessions:
        session.begin()
    assert sessions[0].lasting is sessions[1].lasting
    with taddons.context(loadcore=False):
        other = Session()
        other.begin()
    assert other.lasting is not sessions[0].lasting
