"""Options that are read as mitmproxy hands them over: the defaults with some changes."""

from __future__ import annotations

from typing import Any

import pytest

from akto_mirror.config import options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.options import Settings

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}


def read(environ: dict[str, str] | None = None, **changes: Any) -> Settings:
    """Read the defaults with some changes; names are without their `akto_`."""
    return options.read(DEFAULTS | {f"akto_{name}": value for name, value in changes.items()}, environ or {})


def refused(environ: dict[str, str] | None = None, **changes: Any) -> str:
    """Return the one line that refuses these values."""
    with pytest.raises(ConfigError) as caught:
        read(environ, **changes)
    line = str(caught.value)
    assert line.isprintable()
    return line
