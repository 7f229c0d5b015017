"""Fixtures that several files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """The address of the sample API."""
    with BackgroundServer(sample_api.make_app()) as server:
        yield server.url
