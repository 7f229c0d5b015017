"""The page shows what arrives, live, in a real browser, and runs nothing of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable

import httpx
import pytest

from akto_mirror.ingestion.service import Receiver
from tests.e2e.page.filling import EVIL, TOKEN, entry, post
from tests.support.api import serving_api
from tests.support.mirror import mirroring

# Without playwright there is nothing to drive; it is in the dev extra.
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect  # noqa: E402 - only if it is there

from tests.support.browser import DEADLINE_MS, Watched, needs_chromium  # noqa: E402 - as above

pytestmark = [needs_chromium, pytest.mark.e2e]

Look = Callable[..., Watched]


def test_an_empty_inventory_shows_the_next_step_and_fills_by_itself(server: Receiver, look: Look) -> None:
    """Before the first entry there is mitmdump's line with this sink's address; then endpoints show up unasked."""
    page = look(server.url)
    expect(page.tab.locator("#notice")).to_contain_text(f"--set akto_url={server.url}")
    post(server, entry("/api/orders/17", responsePayload='{"id":17}'))
    expect(page.row("/api/orders/{id}")).to_be_visible()
    expect(page.tab.locator("#notice")).to_be_hidden()
    post(server, entry("/api/orders/18", statusCode="404"), entry("/api/login", "POST"))
    expect(page.row("/api/orders/{id}").locator(".number").first).to_have_text("2")
    expect(page.row("/api/orders/{id}")).to_contain_text("404")
    expect(page.tab.locator("#totals")).to_have_text("3 entries · 2 endpoints · 1 host")


def test_a_request_through_the_proxy_appears(look: Look) -> None:
    """What passes a mitmdump with the addon shows up on the open page by itself, hostile parts as text."""
    with serving_api() as api, mirroring(f"reverse:{api.url}") as mirror:
        page = look(mirror.akto.url)
        headers = {"host": "shop.example"}
        httpx.post(f"{mirror.proxy.url}/api/orders/17", json={EVIL: EVIL}, headers=headers, trust_env=False)
        expect(page.row("/api/orders/{id}")).to_be_visible()
        expect(page.tab.get_by_text("shop.example").first).to_be_visible()
        page.row("/api/orders/{id}").click()
        expect(page.tab.locator("#samples pre").first).to_contain_text("<script>alert(2)</script>")
        assert page.tab.locator("img, svg, iframe, object, script:not(body > script)").count() == 0
        page.tab.close()


def test_search_and_hosts_narrow_the_list(server: Receiver, look: Look) -> None:
    """Words are looked for in fields too, a host restricts the list, and no match says so."""
    post(server, entry("/a", requestPayload='{"password":"x"}'), entry("/b"), entry("/c", host="other.example"))
    page = look(server.url)
    expect(page.tab.locator("tr.row")).to_have_count(3)
    page.tab.keyboard.press("/")
    page.tab.keyboard.type("Password")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.row("/a")).to_be_visible()
    page.tab.get_by_label("Search").fill("nowhere")
    expect(page.tab.locator("#notice")).to_contain_text("Nothing matches")
    page.tab.get_by_label("Search").fill("")
    page.tab.get_by_label("Hosts").get_by_text("other.example").click()
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.row("/c")).to_be_visible()
    page.tab.go_back()
    expect(page.tab.locator("tr.row")).to_have_count(3)


def test_a_click_shows_fields_and_samples(server: Receiver, look: Look) -> None:
    """An endpoint shows its fields with types and its latest sample, laid out without a value being changed."""
    sent = '{"id":12345678901234567890,"items":[{"name":"lamp"}],"empty":{}}'
    post(server, entry("/api/orders?page=2", "POST", requestPayload=sent))
    page = look(server.url)
    page.row("/api/orders").click()
    detail = page.tab.get_by_label("Endpoint", exact=True)
    expect(detail.get_by_role("row", name="items[].name string")).to_be_visible()
    expect(detail.get_by_role("row", name="page integer")).to_be_visible()
    shown = '{\n  "id": 12345678901234567890,\n  "items": [\n    {\n      "name": "lamp"\n    }\n  ],\n  "empty": {}\n}'
    expect(detail.locator("pre").first).to_have_text(shown, use_inner_text=True)
    detail.get_by_text("Request headers (2)").click()
    expect(detail.get_by_role("row", name="host shop.example")).to_be_visible()
    page.tab.keyboard.press("Escape")
    expect(detail).to_be_hidden()


def test_samples_stay_until_newer_ones_are_asked_for(server: Receiver, look: Look) -> None:
    """What is being read does not move; counts do, and newer samples are a click away."""
    post(server, entry("/a", responsePayload='"first"'))
    page = look(server.url)
    page.row("/a").click()
    detail = page.tab.get_by_label("Endpoint", exact=True)
    expect(detail.locator("pre")).to_have_text('"first"')
    post(server, entry("/a", responsePayload='"second"'))
    expect(detail.locator("#facts")).to_contain_text("2 entries")
    expect(detail.locator("pre")).to_have_text('"first"')
    detail.get_by_role("button", name="Show newer").click()
    expect(detail.locator("pre").first).to_have_text('"second"')


def test_kinds_are_marked(server: Receiver, look: Look) -> None:
    """WebSocket, gRPC with its messages, GraphQL and MCP with what they ask for are distinguished."""
    frames = b64encode(b"\0\0\0\0\2\x08\x07" * 3).decode()
    post(
        server,
        entry("/live", type="WebSocket"),
        entry("/shop.Stock/Check", "POST", sent="application/grpc", requestPayload=frames),
        entry("/graphql", "POST", requestPayload='{"query":"mutation Pay { pay }"}'),
        entry("/mcp", "POST", requestPayload='{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sum"}}'),
    )
    page = look(server.url)
    expect(page.row("/live")).to_contain_text("WebSocket")
    expect(page.row("/graphql")).to_contain_text("GraphQL mutation Pay")
    expect(page.row("/mcp")).to_contain_text("MCP tools/call sum")
    expect(page.row("/shop.Stock/Check")).to_contain_text("gRPC")
    page.row("/shop.Stock/Check").click()
    expect(page.tab.locator("#samples")).to_contain_text("3 messages, 6 bytes")


def hostile() -> dict[str, str]:
    """Make an entry that holds markup in every place."""
    payload = json.dumps({EVIL: EVIL, "</pre>" + EVIL: {"__proto__": EVIL, "constructor": EVIL}})
    names = {"host": f"x{EVIL}", EVIL: EVIL, "__proto__": EVIL, "content-type": "application/json"}
    return dict.fromkeys(("method", "statusCode", "status", "ip", "type", "time"), EVIL) | {
        "path": f"/{EVIL}?{EVIL}={EVIL}",
        "requestHeaders": json.dumps(names),
        "responseHeaders": EVIL,
        "requestPayload": payload,
        "responsePayload": '{"query":"<script>alert(4)</script>","jsonrpc":"2.0"' + EVIL,
        "akto_vxlan_id": EVIL,
    }


def test_hostile_values_run_nothing_and_stay_text(server: Receiver, look: Look) -> None:
    """Markup in any part of an entry is shown as text, makes no element and starts no request."""
    calls = [
        entry("/g", "POST", requestPayload=json.dumps({"jsonrpc": "2.0", "method": EVIL})),
        entry("/x", "POST", requestPayload=f"<a {EVIL}='1'>{EVIL}</a>", sent="application/xml"),
        entry("/f", "POST", requestPayload=f"{EVIL}={EVIL}&%00=%ff", sent="application/x-www-form-urlencoded"),
        entry("/j", responsePayload=f"javascript:alert(5)//{EVIL}"),
    ]
    post(server, hostile(), *calls)
    page = look(server.url)
    expect(page.tab.locator("tr.row")).to_have_count(5)
    for number in range(5):
        page.tab.locator("tr.row").nth(number).get_by_role("link").click()
        expect(page.tab.locator("#samples .sample")).to_have_count(1)
        for part in page.tab.locator("#samples details details summary").all():
            part.click()
        expect(page.tab.locator("body")).to_contain_text("<script>alert(2)</script>")
        assert page.tab.locator("img, svg, iframe, object, script:not(body > script)").count() == 0
        assert page.tab.locator("script").count() == 1
    page.tab.get_by_label("Search").fill(EVIL)
    expect(page.tab.locator("tr.row")).not_to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_follow_the_system(server: Receiver, look: Look, scheme: str) -> None:
    """Paper and ink are those of the system's colour scheme."""
    page = look(server.url, color_scheme=scheme)
    red = page.tab.locator("body").evaluate("body => Number(getComputedStyle(body).backgroundColor.match(/\\d+/)[0])")
    assert (red > 128) == (scheme == "light")


def test_with_a_token_the_page_asks_for_it(look: Look) -> None:
    """The page itself holds nothing; its data come only with the sink's token, which a wrong one does not open."""
    with Receiver(token=TOKEN) as guarded:
        post(guarded, entry("/secret"), token=TOKEN)
        page = look(guarded.url)
        box = page.tab.get_by_label("Token")
        expect(box).to_be_visible()
        box.fill("wrong")
        box.press("Enter")
        expect(page.tab.locator("#notice")).to_contain_text("not this sink's token")
        expect(page.tab.locator("tr.row")).to_have_count(0)
        page.tab.get_by_label("Token").fill(TOKEN)
        page.tab.get_by_label("Token").press("Enter")
        expect(page.row("/secret")).to_be_visible()
        assert not [address for address in page.asked if TOKEN in address]
        # Chromium reports each 401 to the console; nothing else may be there.
        page.tab.close()
        assert [line for line in page.said if "401" not in line] == []
        page.said.clear()


def test_a_sink_that_ends_is_reported_and_found_again(look: Look) -> None:
    """When the sink stops the page says so, and goes on when it is back, with what is there then."""
    server = Receiver()
    with server:
        post(server, entry("/a"))
        page = look(server.url)
        expect(page.row("/a")).to_be_visible()
    expect(page.tab.locator("#state")).to_contain_text("no answer")
    with Receiver(port=server.port) as fresh:
        expect(page.tab.locator("#notice")).to_contain_text("Nothing has arrived yet")
        post(fresh, entry("/b"))
        expect(page.row("/b")).to_be_visible()
        expect(page.row("/a")).to_have_count(0)
        page.tab.close()
    # Chromium reports each refused connection to the console; nothing else may be there.
    assert [line for line in page.said if "ERR_" not in line] == []
    page.said.clear()


def test_the_demo_ends_on_the_page(look: Look) -> None:
    """With --open the demo leaves its inventory open until Ctrl-C, opened by the person's browser."""
    code = "import sys; from akto_mirror.cli import main; sys.exit(main(['demo', '--open']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=os.environ | {"BROWSER": "echo opened %s"}
    )
    assert process.stdout
    try:
        url = next(found[1] for line in process.stdout if (found := re.match(r"opened (\S+)", line)))
        page = look(url)
        expect(page.row("/api/products/{id}").first).to_be_visible()
        expect(page.row("/mcp")).to_contain_text("tools/list")
        page.tab.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(DEADLINE_MS / 1000) == 0
    finally:
        process.kill()
        process.communicate()
