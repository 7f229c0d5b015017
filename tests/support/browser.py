"""Chromium, driven by playwright; a test that imports this must first skip if playwright is missing."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Dialog, Locator, Page, expect, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DEADLINE_MS = 60_000

# mitmweb 12.3 links to a style sheet in its source tree, which no release contains.
MISSING = frozenset({"/src/css/vendor.less"})

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here (Debian: apt install chromium)")
expect.set_options(timeout=DEADLINE_MS)


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Run a headless Chromium until the block ends."""
    with sync_playwright() as driver:
        flags = ["--no-sandbox", "--disable-dev-shm-usage"]
        running = driver.chromium.launch(executable_path=CHROMIUM, args=flags, timeout=DEADLINE_MS)
        yield running
        running.close()


@dataclass
class Watched:
    """A page, and the requests and messages that came from it.

    Attributes:
        tab: the page.
        url: the address that was opened.
        asked: the addresses that it requested.
        said: errors and warnings in its console, uncaught exceptions and dialogs.
    """

    tab: Page
    url: str
    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def dismiss(self, dialog: Dialog) -> None:
        """Record a dialog's text, and close it."""
        self.said.append(dialog.message)
        dialog.dismiss()

    def row(self, path: str) -> Locator:
        """The inventory's row of an endpoint, by the folded path."""
        return self.tab.locator("tr.row").filter(has=self.tab.get_by_role("link", name=path, exact=True))

    def close(self) -> None:
        """Close the page.

        Raises:
            AssertionError: the page has sent a request to another origin, or reported a problem.
        """
        self.tab.close()
        asked = {urlsplit(address).netloc for address in self.asked if not address.startswith("data:")}
        assert asked == {urlsplit(self.url).netloc}
        assert self.said == [], self.said

    def hear(self, message: ConsoleMessage) -> None:
        """Record an error or a warning, unless it is about a file that is known to be missing."""
        if message.type != "log" and urlsplit(message.location.get("url", "")).path not in MISSING:
            self.said.append(message.text)


def watch(browser: Browser, url: str, **options: Any) -> Watched:
    """Open an address and watch the page.

    Args:
        browser: where the page is opened.
        url: the address.
        options: playwright's options for the new page.
    """
    watched = Watched(browser.new_page(**options), url)
    tab = watched.tab
    tab.set_default_timeout(DEADLINE_MS)
    tab.on("request", lambda request: watched.asked.append(request.url))
    tab.on("console", watched.hear)
    tab.on("pageerror", lambda error: watched.said.append(str(error)))
    tab.on("dialog", watched.dismiss)
    tab.goto(url)
    return watched
