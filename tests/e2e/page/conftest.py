"""A sink and a browser for the tests of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from akto_mirror.ingestion.service import Receiver

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.support.browser import Watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one headless Chromium for this file."""
    # Without playwright there is nothing to drive; it is in the dev extra.
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    from tests.support.browser import running_chromium  # noqa: PLC0415 - only if it is there

    with running_chromium() as running:
        yield running


@pytest.fixture
def server() -> Iterator[Receiver]:
    """Run a sink without a token."""
    with Receiver() as running:
        yield running


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Open an address; at the end, no page may have asked another origin or complained."""
    from tests.support.browser import watch  # noqa: PLC0415 - only if it is there

    opened: list[Watched] = []

    def opener(url: str, **options: Any) -> Watched:
        opened.append(watch(browser, url, **options))
        return opened[-1]

    yield opener
    for watched in opened:
        watched.close()
