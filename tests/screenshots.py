"""Makes the docs' pictures from a real run on the demo's traffic: `python -m tests.screenshots`, `make screenshots`.

Needs playwright (in the dev extra), Debian's chromium, and a font with emoji, which mitmproxy's marks are.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from mitmproxy import contentviews
from playwright.sync_api import Browser, Page, expect

from akto_mirror import sample_api
from akto_mirror.background_server import BackgroundServer
from akto_mirror.demo import demo
from akto_mirror.ingestion.service import Receiver
from tests.faults.server import wait_for
from tests.support.browser import CHROMIUM, running_chromium
from tests.support.mitmweb import Web, running_mitmweb
from tests.support.proxy import ROOT

IMAGES = ROOT / "docs" / "images"
ROUNDS = 3
MIRRORED = [case.outcome for case in demo.CASES].count(demo.CAPTURED)


def main() -> int:
    """Make all pictures, and report what is missing here if one cannot be made."""
    argparse.ArgumentParser(description="Write docs/images/*.png.").parse_args()
    if missing := _missing():
        sys.stderr.write(f"{missing}\n")
        return 1
    IMAGES.mkdir(exist_ok=True)
    with (
        BackgroundServer(sample_api.make_app()) as api,
        Receiver() as akto,
        running_mitmweb(api.url, {"akto_url": akto.url, "akto_linger_ms": "10"}) as web,
        running_chromium() as browser,
    ):
        for _ in range(ROUNDS):
            demo._send_all(web.proxy.port)
        akto.wait_for(ROUNDS * MIRRORED, 60)
        for scheme in ("light", "dark"):
            _inventory(browser, akto.url, scheme)
        akto.stop()
        _mitmweb(browser, web)
    for picture in sorted(IMAGES.glob("*.png")):
        sys.stdout.write(f"{picture.relative_to(ROOT)}: {picture.stat().st_size // 1024} KiB\n")
    return 0


def _missing() -> str:
    if CHROMIUM is None:
        return "there is no chromium here (Debian: apt install chromium)"
    if not hasattr(contentviews, "registry"):
        return "mitmproxy 11 has no content view for the entry; use Python 3.12 or newer and mitmproxy 12"
    lister = shutil.which("fc-list")
    if lister and not subprocess.run([lister, ":lang=und-zsye"], capture_output=True, check=False).stdout.strip():
        return "there is no font with emoji here (Debian: apt install fonts-noto-color-emoji)"
    return ""


def _inventory(browser: Browser, url: str, scheme: str) -> None:
    """Show the sink's page with one endpoint open."""
    with _page(browser, url, 1180, 720, scheme) as page:
        page.get_by_role("link", name="/api/orders", exact=True).click()
        expect(page.locator("#samples .sample")).to_have_count(ROUNDS)
        _shoot(page, f"inventory-{scheme}")


def _mitmweb(browser: Browser, web: Web) -> None:
    """Show outcomes in mitmweb: what was sent, what was skipped, and which entries wait once nothing listens there."""
    httpx.get(f"{web.proxy.url}/api/report", headers={"host": demo.HOST}, trust_env=False)
    wait_for(lambda: "spooled" in str(web.flows()["/api/report"]["comment"]))
    with _page(browser, web.url, 1180, 600, "light") as page:
        _scroll_to_the_last(page)
        page.get_by_text("spooled: ").first.click()
        page.get_by_role("link", name="Comment", exact=True).click()
        _shoot(page, "mitmweb")
        page.locator(".flow-table tbody tr").filter(has_text="/mcp").last.click()
        page.get_by_role("link", name="Response", exact=True).click()
        page.get_by_text("View:").click()
        page.get_by_text("akto entry").click()
        expect(page.locator(".flow-detail")).to_contain_text("shipped")
        _shoot(page, "mitmweb-entry")


def _scroll_to_the_last(page: Page) -> None:
    def is_there() -> bool:
        page.locator(".flow-table").evaluate("list => { list.scrollTop = list.scrollHeight }")
        return page.get_by_text("spooled: ").first.is_visible()

    wait_for(is_there)


@contextmanager
def _page(browser: Browser, url: str, width: int, height: int, scheme: str) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(url)
    yield page
    page.close()


def _shoot(page: Page, name: str) -> None:
    page.evaluate("document.fonts.ready.then(() => document.activeElement.blur())")
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", caret="hide")


if __name__ == "__main__":
    sys.exit(main())
