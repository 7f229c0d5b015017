"""The content view "Akto entry", with versions of mitmproxy that have such views."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mitmproxy import contentviews
from mitmproxy.addons.view import View
from mitmproxy.test import tflow

from akto_mirror.telemetry import entry_view
from tests.support.flows import flow, response
from tests.support.harness import mirroring

has_views = pytest.mark.skipif(not hasattr(contentviews, "registry"), reason="content views of this kind came with 12")


def shown(made: Any) -> str:
    """Return the text of the view for a flow's response."""
    return str(contentviews.prettify_message(made.response, made, entry_view.NAME).text)  # type: ignore[attr-defined,unused-ignore]


@has_views
def test_the_entry_can_be_read() -> None:
    """The outcome comes first; headers and JSON payloads, which are strings in the entry, are shown parsed."""
    with mirroring(screen=View()) as mirror:
        mirror.context.options.add_option("protobuf_definitions", str, "", "")
        made = flow()
        mirror.pass_on(made)
        verdict, _, entry = shown(made).partition("\n")
    assert verdict == "# akto: captured"
    fields = json.loads(entry)
    assert fields["requestHeaders"] == {"host": "api.example.com"}
    assert fields["responsePayload"] == {"ok": True}
    assert fields["statusCode"] == "200"


@has_views
def test_what_is_nested_deeply_stays_a_string() -> None:
    """A deeply nested payload is not parsed: its indentation would take too much space."""
    with mirroring(screen=View()) as mirror:
        mirror.context.options.add_option("protobuf_definitions", str, "", "")
        deep = b"[" * 900 + b"]" * 900
        shallow = b"[" * 60 + b"]" * 60
        for body, kind in ((deep, str), (shallow, list)):
            made = flow(answer=response(content=body))
            assert type(json.loads(shown(made).partition("\n")[2])["responsePayload"]) is kind


@has_views
def test_a_skipped_flow_has_one_too() -> None:
    """A skipped flow shows the entry that it would become, and why it is skipped."""
    with mirroring(screen=View()) as mirror:
        mirror.context.options.add_option("protobuf_definitions", str, "", "")
        made = flow(answer=response(status=404))
        assert shown(made).startswith("# akto: skipped (status 404)\n")


@has_views
def test_it_is_not_the_default_view() -> None:
    """The default view of mitmproxy does not change."""
    with mirroring(screen=View()) as mirror:
        mirror.context.options.add_option("protobuf_definitions", str, "", "")
        made = flow()
        assert contentviews.prettify_message(made.response, made).view_name == "JSON"  # type: ignore[attr-defined,arg-type,unused-ignore]


@has_views
def test_without_the_addon_it_says_so() -> None:
    """After the addon has ended, the view, which stays registered, says so."""
    with mirroring(screen=View()):
        pass
    assert entry_view.VIEW.prettify(b"", None) == "# akto: the addon is not running"


@has_views
@pytest.mark.parametrize("made", [tflow.tflow(), tflow.ttcpflow()])
def test_without_a_response_it_says_so(made: Any) -> None:
    """A flow without a response has no entry yet, and a flow of another protocol never has one."""
    with mirroring(screen=View()):
        metadata = contentviews.Metadata(flow=made)  # type: ignore[attr-defined,unused-ignore]
        assert entry_view.VIEW.prettify(b"", metadata) == "# akto: there is an entry when there is a response"
