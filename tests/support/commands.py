"""Calls of mitmproxy's commands, and flows for them."""

from __future__ import annotations

from typing import Any

from mitmproxy import http
from mitmproxy.test import tflow

from tests.support.harness import Harness


def flow(path: str = "/x", content_type: str = "application/json", status: int = 200) -> http.HTTPFlow:
    """Make a complete flow."""
    made = tflow.tflow(resp=True)
    made.request.path = path
    assert made.response
    made.response.status_code = status
    made.response.headers["content-type"] = content_type
    return made


def call(running: Harness, name: str, *arguments: Any) -> Any:
    """Call a command as mitmproxy does."""
    return running.context.master.commands.call(name, *arguments)
