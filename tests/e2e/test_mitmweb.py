"""mitmweb in a real browser: verdicts as they change, commands, and hostile text shown as text."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import pytest
from mitmproxy import contentviews
from mitmproxy.utils.emoji import emoji
from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer
from akto_mirror.outcomes import Outcome
from akto_mirror.telemetry.marks import SIGNS
from tests.faults.server import OK, Entries, FaultServer, Reply, status, wait_for
from tests.support.mitmweb import Web, running_mitmweb

# playwright drives the browser; it is in the dev extra.
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import Browser, Locator, expect  # noqa: E402 - only if it is there

from tests.support.browser import Watched, needs_chromium, running_chromium, watch  # noqa: E402 - as above

EVIL = "<img/src=x/onerror=alert(1)><script>alert(2)</script>"
FLOWS = 3_000

pytestmark = [needs_chromium, pytest.mark.e2e]


class _Api(RequestHandler):
    """Answers with the requested content type, and a body that holds markup."""

    def get(self) -> None:
        self.set_header("Content-Type", self.request.headers.get("accept", ""))
        self.write(json.dumps({EVIL: EVIL}))


@dataclass(frozen=True)
class Stage:
    """A mitmweb between an API and Akto, and its page in a browser."""

    web: Web
    akto: FaultServer
    page: Watched

    def ask(self, path: str, accept: str = "application/json") -> None:
        """Send a request through the proxy, with its path and header unchanged."""
        address = urlsplit(self.web.proxy.url)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        connection.request("GET", path, headers={"accept": accept})
        connection.getresponse().read()
        connection.close()

    def row(self, path: str) -> Locator:
        """The row of a flow in the list."""
        return self.page.tab.locator(".flow-table tbody tr").filter(has_text=path)

    def expect_verdict(self, path: str, outcome: Outcome, comment: str) -> None:
        """Wait until a flow has its mark and comment."""
        expect(self.row(path).locator(".marker")).to_have_text(emoji[SIGNS[outcome]])
        expect(self.row(path).locator(".col-comment")).to_contain_text(comment)

    def open_command_bar(self) -> Locator:
        """Show the command bar, and return its input field once all commands are loaded; mitmweb shows them then."""
        self.page.tab.get_by_role("link", name="Options", exact=True).click()
        self.page.tab.get_by_text("Display Command Bar").click()
        bar = self.page.tab.get_by_placeholder("Enter command")
        bar.focus()
        expect(self.page.tab.locator(".available-commands")).to_contain_text("akto.stats")
        return bar

    def command(self, line: str) -> Locator:
        """Type a command, and return the place of its answer, which follows those of earlier commands."""
        bar = self.page.tab.get_by_placeholder("Enter command")
        answers = self.page.tab.locator(".command-result > div")
        before = answers.count()
        bar.fill(line)
        bar.press("Enter")
        return answers.nth(before)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Run one headless Chromium for all tests of this file."""
    with running_chromium() as running:
        yield running


@contextmanager
def staged(browser: Browser, script: Callable[[Entries], Reply] | Reply = OK) -> Iterator[Stage]:
    """Run everything; at the end the page must not have sent a request to another origin or reported a problem."""
    with (
        BackgroundServer(Application([("/.*", _Api)])) as api,
        FaultServer(script) as akto,
        running_mitmweb(api.url, {"akto_url": akto.url, "akto_linger_ms": "10"}) as web,
    ):
        page = watch(browser, web.url, viewport={"width": 1400, "height": 900})
        yield Stage(web, akto, page)
        page.close()


@pytest.fixture
def stage(browser: Browser) -> Iterator[Stage]:
    """Run everything with an Akto that works."""
    with staged(browser) as running:
        yield running


def test_a_flow_shows_what_became_of_it(stage: Stage) -> None:
    """A mirrored flow shows that it was sent, and a skipped flow shows the rule."""
    stage.ask("/lamps")
    stage.ask("/page", "text/html")
    stage.expect_verdict("/lamps", Outcome.SHIPPED, "shipped")
    stage.expect_verdict("/page", Outcome.SKIPPED, "skipped: content type text/html")


def test_a_verdict_changes_and_keeps_users_marks(stage: Stage) -> None:
    """While Akto refuses connections a flow shows as waiting, later as sent; a user's own comment is kept."""
    stage.akto.stop()
    for path in ("/plain", "/noted", "/marked"):
        stage.ask(path)
        stage.expect_verdict(path, Outcome.SPOOLED, "spooled: ")
    tab = stage.page.tab
    stage.row("/noted").click()
    tab.get_by_role("link", name="Comment", exact=True).click()
    note = tab.locator("section .kv-value")
    note.click()
    expect(note).to_be_focused()
    tab.keyboard.press("Control+A")
    # In one step: between two keys mitmweb may draw the comment again.
    tab.keyboard.insert_text("ask Ann about it")
    expect(note).to_have_text("ask Ann about it")
    tab.keyboard.press("Enter")
    stage.row("/marked").click()
    tab.get_by_role("link", name="Flow", exact=True).click()
    tab.get_by_text("Mark▾").click()
    tab.get_by_text("🔴").first.click()
    expect(stage.row("/noted").locator(".col-comment")).to_have_text("ask Ann about it")
    stage.akto.start()
    stage.expect_verdict("/plain", Outcome.SHIPPED, "shipped")
    stage.expect_verdict("/noted", Outcome.SHIPPED, "ask Ann about it")
    expect(stage.row("/marked").locator(".col-comment")).to_have_text("shipped")
    expect(stage.row("/marked").locator(".marker")).to_have_text("🔴")


def test_a_rejected_flow_shows_the_answer(browser: Browser) -> None:
    """An entry that Akto keeps refusing while it accepts others is rejected, and Akto's answer is shown as text."""

    def refuse_bad(entries: Entries) -> Reply:
        bad = any(entry["path"] == "/bad" for entry in entries)
        return status(422, body=json.dumps({"error": EVIL}).encode()) if bad else OK

    with staged(browser, refuse_bad) as stage:
        stage.ask("/bad")

        def is_rejected() -> bool:
            stage.ask("/good")
            return "rejected" in str(stage.web.flows()["/bad"]["comment"])

        wait_for(is_rejected, 60)
        stage.expect_verdict("/bad", Outcome.REJECTED, "rejected: 422")
        expect(stage.row("/bad").locator(".col-comment")).to_contain_text("alert(2)")
        assert stage.page.tab.locator("[onerror]").count() == 0


def test_commands_are_completed_and_answer(stage: Stage) -> None:
    """The command bar completes the commands with their help, and shows their answers."""
    stage.ask("/lamps")
    stage.expect_verdict("/lamps", Outcome.SHIPPED, "shipped")
    bar = stage.open_command_bar()
    bar.press_sequentially("akto.st")
    expect(stage.page.tab.locator(".available-commands")).to_have_text('["akto.stats"]')
    bar.press("Tab")
    expect(bar).to_have_value("akto.stats")
    expect(stage.page.tab.locator(".argument-suggestion")).to_contain_text("Show the outcomes of all flows")
    expect(stage.command("akto.stats")).to_contain_text("captured 1 = shipped 1 + spooled 0 + rejected 0 + dropped 0")
    for chosen in ("@focus", "@shown", '"~u /lamps"'):
        expect(stage.command(f"akto.preview {chosen}")).to_contain_text('["outcome","captured"]')
    stage.ask("/chairs")
    stage.expect_verdict("/chairs", Outcome.SHIPPED, "shipped")
    expect(stage.command("akto.preview @focus")).to_contain_text('["path","/lamps"]')
    expect(stage.command("akto.preview @shown")).to_contain_text('["path","/chairs"]')
    expect(stage.command('akto.preview "~u /none"')).to_contain_text("choose HTTP flows that have a response")


@pytest.mark.slow
def test_check_answers_in_the_event_log(stage: Stage) -> None:
    """The command akto.check writes its steps to mitmweb's event log."""
    stage.open_command_bar()
    stage.page.tab.get_by_text("Display Event Log").click()
    expect(stage.command("akto.check")).to_contain_text(re.compile(r'"(all is well: resolve, connect|checking http)'))
    expect(stage.page.tab.locator(".eventlog")).to_contain_text("akto: ✓ connect")


@pytest.mark.slow
def test_commands_that_send_answer_in_the_bar(stage: Stage) -> None:
    """Commands that send report it in the command bar; having nothing to send or to list is not an error."""
    stage.ask("/lamps")
    stage.expect_verdict("/lamps", Outcome.SHIPPED, "shipped")
    stage.open_command_bar()
    for line, answer in (
        ("akto.flush", '"nothing is waiting to be sent"'),
        ("akto.ship @shown", '"sending 1 flow; see akto.stats"'),
        ("akto.dead", '[["there are no dead letters"]]'),
    ):
        expect(stage.command(line)).to_contain_text(answer)


@pytest.mark.slow
def test_a_search_finds_verdicts(stage: Stage) -> None:
    """The search box finds flows by verdict, which it can filter as a comment but not as metadata."""
    stage.ask("/lamps")
    stage.ask("/page", "text/html")
    stage.expect_verdict("/lamps", Outcome.SHIPPED, "shipped")
    stage.page.tab.get_by_placeholder("Search").fill('~comment "skipped: content type"')
    expect(stage.row("/lamps")).to_have_count(0)
    expect(stage.row("/page")).to_have_count(1)


def test_hostile_markup_stays_text(stage: Stage) -> None:
    """Markup in a path, a content type or a payload, and so in a comment or a preview, is not executed in mitmweb."""
    stage.ask(f"/{EVIL}", f"text/plain;{EVIL}")
    expect(stage.row(EVIL).locator(".col-comment")).to_have_text(f"skipped: content type text/plain;{EVIL}")
    stage.open_command_bar()
    expect(stage.command("akto.preview @shown")).to_contain_text("alert(2)")
    stage.row(EVIL).click()
    for part in ("Request", "Response", "Comment"):
        stage.page.tab.get_by_role("link", name=part, exact=True).click()
        expect(stage.page.tab.locator(".flow-detail")).to_contain_text("alert(2)")
    assert stage.page.tab.locator("[onerror]").count() == 0
    assert stage.page.tab.locator("script", has_text="alert").count() == 0


@pytest.mark.skipif(not hasattr(contentviews, "registry"), reason="mitmproxy 11 has no content views of this kind")
def test_the_entry_is_a_content_view(stage: Stage) -> None:
    """The content view shows the entry of a flow; markup in it stays text."""
    stage.ask("/lamps")
    stage.row("/lamps").click()
    tab = stage.page.tab
    tab.get_by_role("link", name="Response", exact=True).click()
    tab.get_by_text("View:").click()
    tab.get_by_text("akto entry").click()
    expect(tab.locator(".flow-detail")).to_contain_text("# akto: shipped")
    expect(tab.locator(".flow-detail")).to_contain_text("akto_account_id")
    assert tab.locator("[onerror]").count() == 0


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_thousands_of_flows_leave_the_interface_quick(stage: Stage) -> None:
    """With 3,000 flows that have verdicts, a command and a new flow's verdict take less than 20 seconds."""
    bar = stage.open_command_bar()
    kind = {"accept": "application/json"}
    with ThreadPoolExecutor(8) as clients, httpx.Client(base_url=stage.web.proxy.url, headers=kind) as client:
        list(clients.map(lambda number: client.get(f"/many/{number}", timeout=60), range(FLOWS)))
    wait_for(lambda: all(flow["comment"] == "shipped" for flow in stage.web.flows().values()), 120)
    assert len(stage.web.flows()) == FLOWS
    expect(bar).to_be_visible()
    expect(stage.command("akto.stats")).to_contain_text(f"shipped {FLOWS} +", timeout=20_000)
    stage.ask("/late")
    wait_for(lambda: stage.web.flows()["/late"]["comment"] == "shipped", 20)
    stage.page.tab.locator(".flow-table").evaluate("list => { list.scrollTop = list.scrollHeight }")
    expect(stage.row("/late").locator(".col-comment")).to_have_text("shipped", timeout=20_000)
