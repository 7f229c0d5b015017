"""The filters of examples and docs exclude what they say, also in requests with a query."""

from __future__ import annotations

import re

from mitmproxy import flowfilter
from mitmproxy.test import tflow

from tests.support.proxy import ROOT

FILTER = re.compile(r"akto_filter(?:=|: ')([^'\n]*)'")
PATH = re.compile(r'~u "?(/[a-z/]+)')


def test_excluded_paths_may_have_a_query() -> None:
    """A path that a filter excludes is excluded with and without a query."""
    files = [ROOT / "README.md", *ROOT.glob("docs/*.md"), *(each for each in ROOT.glob("examples/*") if each.is_file())]
    found = {file.name: text for file in files for text in FILTER.findall(file.read_text("utf-8"))}
    assert found.keys() >= {"guide.md", "redact.sh", "config.yaml"}
    mirrored = [(name, path) for name, text in found.items() for path in PATH.findall(text) if passes(text, path)]
    assert mirrored == []


def passes(text: str, path: str) -> bool:
    """Return whether a filter lets an upload to the path pass, or one with a query."""
    flow, seen = tflow.tflow(), list[bool]()
    flow.request.method = "PUT"
    for flow.request.path in (path, f"{path}?x=1"):
        seen.append(bool(flowfilter.match(text, flow)))
    return any(seen)
