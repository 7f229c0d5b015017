"""Scripts that load the addon."""

from __future__ import annotations

from pathlib import Path

import pytest

from akto_mirror.runner.scripts import loads_addon, with_ours
from tests.support.proxy import ADDON


@pytest.mark.parametrize(
    ("text", "loads"),
    [
        ("from akto_mirror.addon import AktoMirror\n", True),
        ("try:\n    import akto_addon\nexcept ImportError: pass\n", True),
        ("import akto_mirror.addon as a\n", True),
        ("from akto_mirror import outcomes\n", False),
        ("# import akto_addon\n", False),
        ("import akto_addons\n", False),
        ("", False),
    ],
)
def test_a_script_that_loads_the_addon_is_known(tmp_path: Path, text: str, loads: bool) -> None:
    """A script is recognised by its imports, not by its name; quotes around the path are removed, as by mitmproxy."""
    script = tmp_path / "any name.py"
    script.write_text(text)
    assert loads_addon(str(script)) is loads
    assert loads_addon(f"'{script}'") is loads
    assert with_ours([str(script)], ADDON) == [str(script), *([] if loads else [str(ADDON)])]


def test_a_missing_script_loads_nothing(tmp_path: Path) -> None:
    """A missing script does not load the addon, and a missing addon is not added."""
    assert not loads_addon(str(tmp_path / "none.py"))
    assert not loads_addon("~no-such-user/x.py")
    assert with_ours([], tmp_path / "none.py") == []
