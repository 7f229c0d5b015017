"""Mirror API traffic to Akto.

Usage:

    mitmdump --mode reverse:http://127.0.0.1:3000 -s akto_addon.py --set akto_url=http://127.0.0.1:9091
"""

import logging
import re
import sys
from pathlib import Path

from mitmproxy import ctx, version

OLDEST = (11, 0, 2)

addons: list[object] = []


def _refuse(problem: str) -> None:
    """Log one line, which ends mitmproxy's start, instead of mitmproxy's traceback."""
    source = Path(__file__).resolve().parent
    package = f'"{source}"' if (source / "pyproject.toml").is_file() else "akto-mirror"
    step = f'install it beside mitmproxy: "{sys.executable}" -m pip install {package}'
    if getattr(sys, "frozen", False):
        step = (
            "mitmproxy's standalone binaries cannot load it; install mitmproxy from PyPI, for example by "
            f"`uv tool install mitmproxy --with {package}`"
        )
    logging.getLogger(__name__).error("akto: %s; %s", problem, step)


if tuple(map(int, re.findall(r"\d+", version.VERSION)[:3])) < OLDEST:
    _refuse(f"mitmproxy {version.VERSION} is too old, {'.'.join(map(str, OLDEST))} or newer is needed")
elif hasattr(ctx, "master") and ctx.master.addons.get("akto-mirror") is not None:
    logging.getLogger(__name__).error("akto: the addon is loaded already; give one of the two scripts only")
else:
    try:
        from akto_mirror.addon.mirror import AktoMirror
    except ModuleNotFoundError as missing:
        _refuse(f"the Python package {(missing.name or '?').partition('.')[0]} is missing")
    else:
        addons = [AktoMirror()]
