"""The runner's options are read like mitmproxy's, and the list of scripts loads the addon exactly once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import exceptions, options

from akto_mirror.runner.options import Options, QuickOptions
from tests.support.proxy import ADDON

VALUES: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "a_text": (str, st.text()),
    "a_number": (int, st.integers()),
    "a_truth": (bool, st.booleans()),
    "a_list": (Sequence[str], st.lists(st.text())),
}


def adopted(kind: type[Options], script: Path = ADDON) -> options.Options:
    """Return options of mitmproxy that the runner has taken over, with a list of scripts."""
    given_options = options.Options()
    given_options.add_option("scripts", Sequence[str], [], "As mitmproxy's own, which is a sequence of texts.")
    kind.adopt(given_options, script)
    return given_options


@given(st.fixed_dictionaries({}, optional={name: strategy for name, (_, strategy) in VALUES.items()}))
def test_reading_is_as_in_mitmproxy(changed: dict[str, Any]) -> None:
    """Each option has the same value and type, and changing a returned list does not change the option."""
    theirs, ours = options.Options(), adopted(QuickOptions)
    for name, (kind, _) in VALUES.items():
        for each in (theirs, ours):
            each.add_option(name, kind, [] if kind == Sequence[str] else kind(), "An option.")
    for each in (theirs, ours):
        each.update(**changed)
    names = theirs.keys()
    for name in names:
        expected, found = getattr(theirs, name), getattr(ours, name)
        assert (found, type(found)) == (expected, type(expected))
        if isinstance(found, list):
            found.append("more")
            assert getattr(ours, name) == expected


@pytest.mark.parametrize("kind", [options.Options, QuickOptions])
def test_an_unknown_option_is_the_same_error(kind: type[options.Options]) -> None:
    """Scripts use `hasattr` to find out whether an option exists."""
    read = options.Options() if kind is options.Options else adopted(QuickOptions)
    assert not hasattr(read, "no_such_option")
    with pytest.raises(AttributeError, match="No such option: no_such_option"):
        read.no_such_option  # noqa: B018 - it raises
    with pytest.raises(KeyError):
        read.update(no_such_option=1)


SETTERS: dict[str, Callable[[options.Options, list[str]], None]] = {
    "update": lambda given_options, value: given_options.update(scripts=value),
    "assignment": lambda given_options, value: setattr(given_options, "scripts", value),
    "--set": lambda given_options, value: given_options.set(*(f"scripts={each}" for each in value), defer=True),
    "config.yaml": lambda given_options, value: given_options.update_defer(scripts=value),
}


@pytest.mark.parametrize("way", SETTERS.values(), ids=SETTERS)
def test_ours_is_among_the_scripts(way: Callable[[options.Options, list[str]], None], tmp_path: Path) -> None:
    """The script is appended whatever sets the list, unless another script in it loads the addon."""
    read = adopted(Options)
    other = tmp_path / "other.py"
    other.write_text("# says akto_mirror.addon, and does not import it\n")
    way(read, [str(other)])
    assert read.scripts == [str(other), str(ADDON)]
    copy = tmp_path / "copy.py"
    copy.write_bytes(ADDON.read_bytes())
    way(read, [str(copy), str(other)])
    assert read.scripts == [str(copy), str(other)]


def test_a_refused_list_leaves_the_old_one() -> None:
    """If an addon refuses the list, the old one stays, as in mitmproxy."""
    read = adopted(Options)
    read.update(scripts=[])

    def refuse(updated: set[str]) -> None:
        if "scripts" in updated and "no-such-script.py" in read.scripts:
            raise exceptions.OptionsError("no such script")

    read.changed.connect(refuse)
    with pytest.raises(exceptions.OptionsError):
        read.update(scripts=["no-such-script.py"])
    assert read.scripts == [str(ADDON)]


@pytest.mark.parametrize("value", [None, 1, "text"])
def test_what_is_not_a_list_is_mitmproxys_to_refuse(value: object) -> None:
    """Values that are not lists are refused by mitmproxy's own type check."""
    with pytest.raises(TypeError):
        adopted(Options).update(scripts=value)


def test_a_script_that_is_gone_is_not_added(tmp_path: Path) -> None:
    """A missing script is not added: mitmproxy would refuse the list."""
    read = adopted(Options, tmp_path / "akto_addon.py")
    read.update(scripts=[])
    assert read.scripts == []
