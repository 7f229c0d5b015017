"""The pytest fixture `akto_entries`: what of recorded flows would be mirrored, for a project's own tests.

pytest loads this module in every project of an environment that has this package, so it imports nothing but pytest
until a test calls the fixture.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from akto_mirror.verdicts import Entries


@pytest.fixture
def akto_entries(request: pytest.FixtureRequest) -> Callable[..., Entries]:
    """Return what would be shipped of recorded flows: `akto_entries("flows.mitm", akto_fidelity="worker")`.

    Call it with flow files or HAR files, and with the addon's options by name. A relative path is looked for beside the
    test's file first, then in the working directory. The result is a list of entries, each a dict; its attribute
    `skipped` lists the flows that make none, each with `method`, `url` and `reason`. Nothing is sent, and variables of
    the environment do not matter. A file that cannot be read to its end and a wrong option raise an exception.
    """

    def entries(*files: str | Path, **options: Any) -> Entries:
        from akto_mirror import verdicts  # noqa: PLC0415 - see the module's docstring

        return verdicts.entries([_find(file, request.path.parent) for file in files], options)

    return entries


def _find(file: str | Path, folder: Path) -> Path:
    beside = folder / file
    return beside if beside.exists() else Path(file)
