"""Mirror API traffic that passes through mitmproxy to Akto's data-ingestion service.

These names are the package's public interface; docs/python.md shows them in use. Each is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akto_mirror.config.declarations import ConfigError
    from akto_mirror.ingestion.service import Receiver
    from akto_mirror.replay.entries import Entries, Skipped
    from akto_mirror.replay.recording import UnreadableError

    __version__: str

__all__ = ["ConfigError", "Entries", "Receiver", "Skipped", "UnreadableError", "__version__", "entries"]

_MODULES = {
    "ConfigError": "config.declarations",
    "Entries": "replay.entries",
    "Receiver": "ingestion.service",
    "Skipped": "replay.entries",
    "UnreadableError": "replay.recording",
}


def entries(*files: str | Path, **options: Any) -> Entries:
    """Return the entries that the addon would ship of recorded flows; nothing is sent.

    Environment variables have no effect, so that a result depends on the arguments alone.

    Args:
        files: flow files of mitmproxy and HAR files.
        options: the addon's options by name, such as `akto_fidelity="worker"`.

    Returns:
        A list of entries, each a dict of texts, in the order of the flows. Its attribute `skipped` lists the flows
        without an entry, each with `method`, `url` and `reason`.

    Raises:
        ConfigError: an option does not exist or its value cannot be used.
        UnreadableError: a file cannot be read to its end; the text names it.
        OSError: a file cannot be opened.
    """
    from akto_mirror.replay import entries as replay  # noqa: PLC0415 - importing the package must stay cheap

    return replay.entries(map(Path, files), options)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("akto-mirror")
    if name in _MODULES:
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
