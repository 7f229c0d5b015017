"""Options read as mitmproxy passes them: the defaults with some changes."""

from __future__ import annotations

from typing import Any

import pytest

from akto_mirror.config import options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.options import Settings

DEFAULTS: dict[str, Any] = {option.name: option.default for option in OPTIONS}


def read(environ: dict[str, str] | None = None, **changes: Any) -> Settings:
    """Read the defaults with some changes, named without the prefix `akto_`."""
    return options.read(DEFAULTS | {f"akto_{name}": value for name, value in changes.items()}, environ or {})


def refused(environ: dict[str, str] | None = None, **changes: Any) -> str:
    """Return the one-line error for these values."""
    with pytest.raises(ConfigError) as caught:
        read(environ, **changes)
    line = str(caught.value)
    assert line.isprintable()
    return line
