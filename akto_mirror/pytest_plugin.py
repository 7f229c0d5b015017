"""The pytest fixture `akto_entries`: the entries that would be made of recorded flows, for a project's own tests.

pytest loads this module in every project of an environment that has this package, so it imports nothing but pytest
until a test calls the fixture.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from akto_mirror.replay.entries import Entries


@pytest.fixture(scope="session")
def akto_entries(request: pytest.FixtureRequest) -> Callable[..., Entries]:
    """Return the entries of recorded flows, as in `akto_entries("flows.mitm", akto_fidelity="worker")`.

    Call it with flow files or HAR files, and with the addon's options by name, from tests and from fixtures of any
    scope. A relative path is looked up in the folder of the test's file, in that of the file with the call, and in the
    working directory. The result is a list of entries, each a dict; its attribute `skipped` lists the skipped flows,
    each with `method`, `url` and `reason`; `missing_bodies` counts bodies that the recording does not contain, and
    `notes` lists other problems, such as missing files. Nothing is sent, and environment variables are ignored. A file
    that cannot be read to its end and an invalid option raise an exception.
    """
    root = request.config.rootpath

    def entries(*files: str | Path, **options: Any) -> Entries:
        __tracebackhide__ = True  # Hide this frame: the line in the test and the error are enough.
        from akto_mirror.replay import entries  # noqa: PLC0415 - see the module's docstring

        folders = _folders(root, Path(sys._getframe(1).f_code.co_filename))
        try:
            return entries.entries([_find(file, folders) for file in files], options)
        except (OSError, entries.UnreadableError, entries.ConfigError) as error:
            found = error
        raise found.with_traceback(None) from None

    return entries


def _folders(root: Path, caller: Path) -> list[Path]:
    """Return the folders in which a relative path is looked up, in order."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "").partition("::")[0]
    return list(dict.fromkeys([*([(root / test).parent] if test else []), caller.parent, Path.cwd()]))


def _find(file: str | Path, folders: list[Path]) -> Path:
    """Return the first path that exists.

    Raises:
        FileNotFoundError: none exists; the text names the folders.
    """
    found = next((path for folder in folders if (path := folder / file).exists()), None)
    if found is None:
        where = "" if Path(file).is_absolute() else f"; looked in {', '.join(map(str, folders))}"
        raise FileNotFoundError(f"No such file or directory: {str(file)!r}{where}")
    return found
