"""The list: filters and their chips, keys, narrow screens, and many endpoints."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable

import pytest

from akto_mirror.ingestion.service import Receiver
from tests.e2e.page.filling import entry, post

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect  # noqa: E402 - only if it is there

from tests.support.browser import Watched, needs_chromium  # noqa: E402 - as above

pytestmark = [needs_chromium, pytest.mark.e2e]

Look = Callable[..., Watched]


def filled(server: Receiver) -> None:
    """Send entries that differ in what a person filters by."""
    bearer = json.dumps({"host": "shop.example", "authorization": "Bearer a"})
    post(
        server,
        entry("/orders", "POST", statusCode="201", time=str(int(time.time()))),
        entry("/orders/7", statusCode="404", requestHeaders=bearer),
        entry("/health", host="cdn.example"),
        entry("/graphql", "POST", requestPayload='{"query":"query A { a }"}', requestHeaders=bearer),
    )


def shown(page: Watched) -> list[str]:
    """Return the paths in the list."""
    return page.tab.locator("tr.row a").all_inner_texts()


def test_conditions_are_typed_and_become_chips(server: Receiver, look: Look) -> None:
    """A chip takes its condition away; what is hidden is counted, and all of it is a click away."""
    filled(server)
    page = look(server.url)
    search = page.tab.get_by_label("Search")
    chips = page.tab.get_by_role("group", name="Filters")
    search.fill("method:POST -graphql")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.row("/orders")).to_be_visible()
    expect(page.tab.locator("#hidden")).to_contain_text("3 endpoints hidden")
    chips.get_by_role("button", name="Remove the filter -graphql").click()
    expect(search).to_have_value("method:POST")
    expect(search).to_be_focused()
    expect(page.tab.locator("tr.row")).to_have_count(2)
    page.tab.get_by_role("button", name="Show all").click()
    expect(page.tab.locator("tr.row")).to_have_count(4)
    expect(page.tab.locator("#hidden")).to_be_empty()


@pytest.mark.parametrize(
    ("chip", "path", "typed"),
    [
        ("no auth", "/orders", "auth:none"),
        ("bearer", "/graphql", "auth:bearer"),
        ("4xx", "/orders/{id}", "status:4xx"),
        ("graphql", "/graphql", "kind:graphql"),
        ("dropped by Akto", "/health", 'concern:"dropped by Akto"'),
    ],
)
def test_a_chip_adds_a_condition(server: Receiver, look: Look, chip: str, path: str, typed: str) -> None:
    """The list says what there is to filter by, with counts."""
    filled(server)
    page = look(server.url)
    chips = page.tab.get_by_role("group", name="Filters")
    chips.get_by_role("button", name=re.compile(f"^{chip}\\s*\\d$")).click()
    expect(page.row(path)).to_be_visible()
    expect(page.tab.get_by_label("Search")).to_have_value(typed)
    page.tab.go_back()
    expect(page.tab.locator("tr.row")).to_have_count(4)


def test_new_endpoints_and_mistakes(server: Receiver, look: Look) -> None:
    """`new:1h` leaves what was first seen lately; a condition that cannot be read is passed over and named."""
    filled(server)
    page = look(server.url)
    page.tab.get_by_label("Search").fill("new:1h")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.row("/orders")).to_be_visible()
    page.tab.get_by_label("Search").fill("new:lately host:cdn")
    expect(page.tab.locator("#mistakes")).to_have_text("new: takes a time such as 30m, 1h or 7d")
    expect(page.row("/health")).to_be_visible()
    expect(page.tab.locator("tr.row")).to_have_count(1)


def test_marks_and_authentication_stand_in_the_list(server: Receiver, look: Look) -> None:
    """The panel says why, and how requests were authenticated."""
    filled(server)
    page = look(server.url)
    expect(page.row("/health")).to_contain_text("dropped by Akto")
    expect(page.row("/graphql")).to_contain_text("bearer")
    page.row("/health").click()
    detail = page.tab.get_by_label("Endpoint", exact=True)
    expect(detail.get_by_label("Concerns")).to_contain_text("Its path or query contains /health")
    page.row("/graphql").click()
    expect(detail).to_contain_text("bearer in header authorization")


def test_keys_move_and_focus_follows(server: Receiver, look: Look) -> None:
    """Down, up and back again without a mouse; what is open follows, and Escape leads back to the row."""
    filled(server)
    page = look(server.url)
    keys, detail = page.tab.keyboard, page.tab.get_by_label("Endpoint", exact=True)
    expect(page.tab.locator("tr.row")).to_have_count(4)
    link = {path: page.tab.get_by_role("link", name=path, exact=True) for path in shown(page)}
    keys.press("j")
    expect(link["/health"]).to_be_focused()
    keys.press("ArrowDown")
    expect(link["/graphql"]).to_be_focused()
    keys.press("k")
    expect(link["/health"]).to_be_focused()
    keys.press("End")
    expect(link["/orders/{id}"]).to_be_focused()
    keys.press("ArrowUp")
    expect(link["/orders"]).to_be_focused()
    keys.press("Enter")
    expect(detail).to_be_focused()
    expect(detail.locator("h2")).to_have_text("POST/orders")
    keys.press("k")
    expect(link["/graphql"]).to_be_focused()
    expect(detail.locator("h2")).to_have_text("POST/graphql")
    keys.press("Escape")
    expect(detail).to_be_hidden()
    expect(link["/graphql"]).to_be_focused()
    keys.press("/")
    expect(page.tab.get_by_label("Search")).to_be_focused()
    keys.type("jk?")
    expect(page.tab.get_by_label("Search")).to_have_value("jk?")
    page.tab.get_by_label("Search").fill("")
    keys.press("ArrowDown")
    expect(link["/health"]).to_be_focused()
    keys.press("?")
    expect(page.tab.get_by_role("dialog")).to_contain_text("first seen within the last hour")
    keys.press("Escape")
    expect(page.tab.get_by_role("dialog")).to_be_hidden()
    expect(link["/health"]).to_be_focused()


def test_keys_wait_for_the_list_that_was_asked_for(server: Receiver, look: Look) -> None:
    """A user who types faster than the sink answers moves in the list that comes, and not in the one before."""
    filled(server)
    page = look(server.url)
    expect(page.tab.locator("tr.row")).to_have_count(4)
    search = page.tab.get_by_label("Search")
    search.fill("nowhere")
    expect(page.tab.locator("#notice")).to_contain_text("Nothing matches")
    # Both in one turn of the page's own loop, so that no answer can come between.
    search.evaluate("""search => {
      search.value = "";
      search.dispatchEvent(new Event("input"));
      search.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
    }""")
    expect(page.tab.get_by_role("link", name="/health", exact=True)).to_be_focused()


def test_one_tab_stop_leads_into_the_list(server: Receiver, look: Look) -> None:
    """Not one for each of its rows: behind the list comes what is behind it."""
    filled(server)
    page = look(server.url)
    expect(page.tab.locator("tr.row")).to_have_count(4)
    expect(page.tab.locator("tr.row a[tabindex='0']")).to_have_count(1)
    page.tab.keyboard.press("j")
    page.tab.keyboard.press("j")
    expect(page.tab.locator("tr.row a[tabindex='0']")).to_have_text("/graphql")
    expect(page.tab.locator("tr.row a[tabindex='0']")).to_have_count(1)


def test_narrow_screens_reach_hosts_and_sorting(server: Receiver, look: Look) -> None:
    """At 390 px everything is within the width, and two lists to choose from stand in for columns."""
    filled(server)
    post(server, entry("/orders/7"), entry("/orders/7"))
    page = look(server.url, viewport={"width": 390, "height": 780})
    expect(page.tab.locator("tr.row")).to_have_count(4)
    page.tab.get_by_label("Sort by").select_option("entries")
    expect(page.tab.locator("tr.row a").first).to_contain_text("/orders/{id}")
    page.tab.get_by_label("Choose host").select_option("cdn.example")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.row("/health")).to_contain_text("dropped by Akto")
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    page.row("/health").click()
    expect(page.tab.get_by_label("Endpoint", exact=True)).to_be_visible()
    assert page.tab.evaluate("document.documentElement.scrollWidth") <= 390
    page.tab.get_by_role("button", name="Close").click()
    expect(page.row("/health")).to_be_visible()


NAMES = [f"{a}{b}{c}" for a in "abcdefghijklmnopqr" for b in "abcdefghijklmnopqr" for c in "abcdefghijklmnop"][:5_000]


@pytest.mark.timeout(600)
@pytest.mark.slow
def test_many_entries_stay_quick_and_bounded(look: Look) -> None:
    """Of 200,000 entries of 5,000 endpoints, the rows that are seen are drawn, and their end is a key away."""
    with Receiver() as server:
        made = [entry(f"/api/{name}/7?page=1", host=f"h{n % 50}.example") for n, name in enumerate(NAMES)]
        for _ in range(40):
            for each in made:
                server.store.add(each)
        before = rss()
        page = look(server.url)
        expect(page.tab.locator("#totals")).to_have_text("200,000 entries · 5,000 endpoints · 50 hosts")
        assert page.tab.locator("tr.row").count() < 200
        started = time.monotonic()
        page.tab.keyboard.press("End")
        last = page.tab.locator("tr.row a:focus")
        expect(last).to_be_visible()
        assert page.tab.locator("tr[aria-rowindex]").last.get_attribute("aria-rowindex") == "5051"
        for share in (0.1, 0.9, 0.5, 0.3):
            page.tab.locator("main").evaluate("(main, share) => { main.scrollTop = main.scrollHeight * share; }", share)
            expect(page.tab.locator("tr.row").first).to_be_visible()
            page.tab.wait_for_function(SEEN_ROWS)
        page.tab.get_by_label("Search").fill(f"/{NAMES[-1]}/")
        expect(page.tab.locator("tr.row")).to_have_count(1)
        # Seven questions and their answers; each is some ten milliseconds, but not on a busy machine.
        assert time.monotonic() - started < 30
        assert page.tab.locator("tr").count() < 200
        assert rss() - before < 200 * 1024


# Every point of the list's column is on a row that is drawn, and not on the room above or below.
SEEN_ROWS = """() => {
  const { left, top, bottom } = document.querySelector("main").getBoundingClientRect();
  for (let y = top + 50; y < bottom - 10; y += 30)
    if (!document.elementFromPoint(left + 120, y)?.closest("tr.row, tr.host")) return false;
  return true;
}"""


def rss() -> int:
    """Return this process's memory in KiB, the sink's included."""
    with open("/proc/self/status") as file:  # noqa: PTH123 - no file that a path could be joined to
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))
