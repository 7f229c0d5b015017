"""Reading an endpoint: untrusted text, differences, copying and downloads; and what axe-core finds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from akto_mirror.ingestion.service import Receiver
from tests.e2e.page.filling import EVIL, TOKEN, entry, post
from tests.support.npm import install

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
from playwright.sync_api import expect  # noqa: E402 - only if it is there

from tests.support.browser import Watched, needs_chromium  # noqa: E402 - as above

pytestmark = [needs_chromium, pytest.mark.e2e]

Look = Callable[..., Watched]

ARABIC = "\u0645\u0641\u062a\u0627\u062d"
VALUE = "\u0642\u064a\u0645\u0629"
UNSEEN = "\u202e\u2066\u200f\u0007\x7f\u0085\ufeff\u200b\u2028"
# What turns text round or cannot be seen, if it is in the document as it is; line breaks are the page's own.
RAW = r"[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]"


def test_controls_are_escapes_everywhere(server: Receiver, look: Look) -> None:
    """In the path, host, headers, names, values, statuses and the tooltip, nothing unseen is left."""
    payload = json.dumps({f"k{UNSEEN}": f"v{UNSEEN}"}, ensure_ascii=False)
    headers = json.dumps({"host": f"h{UNSEEN}.example", f"x{UNSEEN}": f"y{UNSEEN}", "content-type": "application/json"})
    made = entry(
        f"/{UNSEEN}/slipap?q{UNSEEN}=v{UNSEEN}", f"GET{UNSEEN}", requestHeaders=headers, responsePayload=payload
    )
    post(server, made | {"status": f"OK{UNSEEN}", "ip": f"1{UNSEEN}", "statusCode": f"2{UNSEEN}"}, entry("/x"), made)
    page = look(server.url)
    page.tab.locator("tr.row a", has_text="slipap").click()
    page.tab.get_by_text("Request headers (3)").first.click()
    page.tab.get_by_label("Search").fill(f"{UNSEEN}")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    expect(page.tab.locator("tr.row a")).to_contain_text(
        "\\u202e\\u2066\\u200f\\u0007\\u007f\\u0085\\ufeff\\u200b\\u2028/slipap"
    )
    texts = (
        "[document.body.innerText, ...[...document.querySelectorAll('[title]')].map((each) => each.title)].join(' ')"
    )
    assert page.tab.evaluate(f"({texts}).match(/{RAW}/)") is None
    assert "\\u202e" in str(page.tab.evaluate(texts))


def test_letters_from_right_to_left_turn_nothing_round(server: Receiver, look: Look) -> None:
    """A key stays left of its value, a segment left of the next one, and the counts right of the path."""
    payload = json.dumps({ARABIC: VALUE, "n": 1}, ensure_ascii=False)
    post(server, entry(f"/{ARABIC}/{VALUE}/12", responsePayload=payload))
    page = look(server.url)
    page.tab.locator("tr.row a").click()
    expect(page.tab.locator("#samples pre bdi")).to_have_count(2)
    places = page.tab.evaluate("""() => {
      const left = (text, at) => [...document.querySelector(at).querySelectorAll("bdi")]
        .find((each) => each.textContent === text).getBoundingClientRect().left;
      const [key, value] = JSON_TEXTS;
      return [left(key, "#samples pre") < left(value, "#samples pre"), left(key, "tr.row a") < left(value, "tr.row a")];
    }""".replace("JSON_TEXTS", json.dumps([ARABIC, VALUE])))  # fmt: skip
    assert places == [True, True]
    box = page.tab.locator("tr.row a .id").bounding_box()
    path = page.tab.locator("tr.row a").bounding_box()
    assert box
    assert path
    assert box["x"] + box["width"] >= path["x"] + path["width"] - 2


def test_a_payload_of_many_runs_stays_bounded(server: Receiver, look: Look) -> None:
    """Text that changes its direction thousands of times makes no element each."""
    post(server, entry("/a", responsePayload=json.dumps("\u05d0/\u202e" * 10_000, ensure_ascii=False)))
    page = look(server.url)
    page.row("/a").click()
    expect(page.tab.locator("#samples pre")).to_contain_text("\\u202e")
    assert page.tab.locator("#samples pre *").count() <= 3_100
    assert page.tab.evaluate(f"document.querySelector('#samples pre').textContent.match(/{RAW}/)") is None


def test_entries_without_a_host_say_so(server: Receiver, look: Look) -> None:
    """Instead of the number that only Akto can explain."""
    post(server, entry("/a", host=""), entry("/b"))
    page = look(server.url)
    expect(page.tab.get_by_label("Hosts")).to_contain_text("no host name (collection 0)")
    assert "vxlan" not in page.tab.locator("body").inner_text()


def test_two_samples_are_compared(server: Receiver, look: Look) -> None:
    """The latest two at first, and any other two."""
    post(server, *(entry(f"/o/{n}", responsePayload=json.dumps({"n": n, "same": 1, EVIL: n})) for n in range(4)))
    page = look(server.url)
    page.row("/o/{id}").click()
    table = page.tab.locator(".differences")
    expect(table.get_by_role("row")).to_have_text(
        ["WhereOlderNewer", "path /o/2/o/3", "response n23", f"response {EVIL}23"]
    )
    page.tab.get_by_label("Older sample").select_option(index=3)
    expect(table).to_contain_text("/o/0/o/3")
    page.tab.get_by_label("Newer sample").select_option(index=3)
    expect(page.tab.locator("#differences")).to_contain_text("The two are the same.")


def test_formats_and_choices_stand_beside_types(server: Receiver, look: Look) -> None:
    """What a person who looks for personal data wants to see at once."""
    post(server, *(
        entry("/a", responsePayload=json.dumps({"mail": "ann@shop.example", "state": ("open", "paid")[n % 2]}))
        for n in range(30)
    ))  # fmt: skip
    page = look(server.url)
    page.row("/a").click()
    detail = page.tab.get_by_label("Endpoint", exact=True)
    expect(detail.get_by_role("row", name="mail string email")).to_be_visible()
    expect(detail.get_by_role("row", name="state string open, paid")).to_be_visible()


def test_sensitive_values_are_marked_with_their_fields(server: Receiver, look: Look) -> None:
    """Kinds in the list, fields in the panel, and a chip that leaves the endpoints which have them."""
    card, mail = "4111111111111111", "ann@shop.example"
    post(
        server,
        entry("/pay", "POST", requestPayload=json.dumps({"card": {"no": card}, "password": "x"})),
        entry("/users", responsePayload=json.dumps([{"mail": mail}])),
        entry("/plain"),
    )
    page = look(server.url)
    expect(page.tab.locator("tr.row", has_text="/pay").locator(".mark.sensitive")).to_have_text(["card", "password"])
    page.tab.get_by_role("button", name="sensitive: email").click()
    expect(page.tab.get_by_label("Search")).to_have_value("sensitive:email")
    expect(page.tab.locator("tr.row")).to_have_count(1)
    page.row("/users").click()
    found = page.tab.get_by_label("Endpoint", exact=True).get_by_role("row", name="email Response 200: [].mail")
    expect(found).to_be_visible()


def test_copying(server: Receiver, look: Look) -> None:
    """As curl, the path and the payloads, exactly as they were sent."""
    sent = '{"a": 12345678901234567890, "b":"\u202e\'"}'
    post(server, entry("/orders/7?x=1", "POST", requestPayload=sent, responsePayload='{"ok" :true}'))
    page = look(server.url)
    page.tab.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.row("/orders/{id}").click()
    copied = {}
    for name in ("Copy as curl", "Copy request", "Copy response"):
        page.tab.get_by_role("button", name=name).click()
        expect(page.tab.get_by_role("button", name="Copied")).to_be_visible()
        copied[name] = page.tab.evaluate("navigator.clipboard.readText()")
        expect(page.tab.get_by_role("button", name="Copied")).to_have_count(0)
    assert copied["Copy request"] == sent
    assert copied["Copy response"] == '{"ok" :true}'
    assert copied["Copy as curl"].startswith("curl -X POST 'https://shop.example/orders/7?x=1'")
    page.tab.locator("#samples").get_by_role("button", name="Copy path").click()
    expect(page.tab.get_by_role("button", name="Copied")).to_be_visible()
    assert page.tab.evaluate("navigator.clipboard.readText()") == "/orders/7?x=1"


@pytest.mark.parametrize("token", ["", TOKEN])
def test_downloads_and_clearing(look: Look, tmp_path: Path, token: str) -> None:
    """Of all hosts or the chosen one, with a token as well; clearing asks first."""
    with Receiver(token=token) as server:
        post(server, entry("/a"), entry("/b", host="b.example"), token=token)
        page = look(server.url)
        if token:
            page.tab.get_by_label("Token").fill(token)
            page.tab.get_by_label("Token").press("Enter")
        expect(page.tab.locator("tr.row")).to_have_count(2)

        def downloaded(name: str) -> str:
            page.tab.get_by_text("Download", exact=True).click()
            with page.tab.expect_download() as waiting:
                page.tab.get_by_role("button", name=name).click()
            file = tmp_path / waiting.value.suggested_filename
            waiting.value.save_as(file)
            return file.read_text()

        assert [json.loads(line)["path"] for line in downloaded("NDJSON").splitlines()] == ["/a", "/b"]
        assert len(json.loads(downloaded("HAR"))["log"]["entries"]) == 2
        page.tab.get_by_label("Hosts").get_by_text("b.example").click()
        expect(page.tab.locator("tr.row")).to_have_count(1)
        assert list(yaml.safe_load(downloaded("YAML"))["paths"]) == ["/b"]
        assert list(json.loads(downloaded("as JSON"))["paths"]) == ["/b"]
        page.tab.get_by_role("button", name="Clear").click()
        page.tab.get_by_role("button", name="Keep").click()
        expect(page.tab.locator("tr.row")).to_have_count(1)
        page.tab.get_by_role("button", name="Clear").click()
        page.tab.get_by_role("dialog").get_by_role("button", name="Clear").click()
        expect(page.tab.locator("#notice")).to_contain_text("Nothing has arrived yet")
        post(server, entry("/later"), token=token)
        expect(page.row("/later")).to_be_visible()
        # Chromium reports the 401 before the token to the console; nothing else may be there.
        assert [line for line in page.said if "401" not in line] == []
        page.said.clear()


AXE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install axe-core, or skip where there is no npm or registry."""
    folder = install(AXE, tmp_path_factory.mktemp("axe"))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_core_finds_nothing_serious(server: Receiver, look: Look, axe: str, scheme: str, width: int) -> None:
    """In the list, with a panel open, with a filter, in the help, and when nothing matches or nothing is there."""
    page = look(server.url, color_scheme=scheme, viewport={"width": width, "height": 800})

    def judged() -> list[Any]:
        # Not as the page's own script: its policy lets nothing else in.
        found = page.tab.evaluate(f"async () => {{ {axe}; return (await axe.run()).violations; }}")
        return [
            (each["id"], [node["html"][:200] for node in each["nodes"]])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]

    expect(page.tab.locator("#notice")).to_be_visible()
    assert judged() == []
    post(
        server,
        *(entry(f"/o/{n}", "POST", statusCode=("200", "404")[n % 2], requestPayload='{"pin":"x"}') for n in range(4)),
        entry("/health", host="b.example"), entry("/\u202e/x", "DELETE"), entry("/graphql", "PUT", type="WebSocket"),
    )  # fmt: skip
    expect(page.tab.locator("tr.row")).to_have_count(4)
    assert judged() == []
    page.row("/o/{id}").click()
    expect(page.tab.locator(".differences")).to_be_visible()
    assert judged() == []
    page.tab.get_by_role("button", name="Close").click()
    page.tab.get_by_label("Search").fill("status:foo method:DELETE")
    expect(page.tab.locator("#mistakes")).to_be_visible()
    assert judged() == []
    page.tab.get_by_role("button", name="Keys and filters").click()
    expect(page.tab.get_by_role("dialog")).to_be_visible()
    assert judged() == []
    page.tab.keyboard.press("Escape")
    page.tab.get_by_label("Search").fill("nowhere")
    expect(page.tab.locator("#notice")).to_contain_text("Nothing matches")
    assert judged() == []
