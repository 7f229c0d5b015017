"""The Model Context Protocol through mitmdump, between the official package's server and client."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import TextContent

from tests.support.mcppeer import Forecast, serving_mcp
from tests.support.mirror import Entry, headers, mirroring
from tests.support.proxy import DEADLINE

pytestmark = [pytest.mark.e2e, pytest.mark.oldest]


async def converse(url: str, tool: Forecast) -> tuple[list[str], str]:
    """Initialize a session, list the tools and call one; return the tools' names and the result of the call."""

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - mcp calls it so
        tool.seen.set()

    async with (
        httpx.AsyncClient(trust_env=False, timeout=DEADLINE) as http,
        streamable_http_client(url, http_client=http) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        names = [listed.name for listed in (await session.list_tools()).tools]
        result = await session.call_tool("forecast", {"city": "K\u00f6ln"}, progress_callback=on_progress)
        (content,) = result.content
        assert isinstance(content, TextContent)
        return names, content.text


def calls(entries: list[Entry]) -> dict[str, Any]:
    """Return the response to each method, in JSON whatever the server sent; each must have been called once."""
    answers: dict[str, Any] = {}
    for entry in filter(lambda entry: entry["requestPayload"], entries):
        method, payload = json.loads(entry["requestPayload"])["method"], entry["responsePayload"]
        assert method not in answers
        assert headers(entry, "responseHeaders").get("content-type", "application/json") == "application/json"
        answers[method] = json.loads(payload) if payload else None
    return answers


@pytest.mark.parametrize("json_response", [False, True], ids=["event-stream", "json"])
def test_session(json_response: bool) -> None:
    """A session works, progress arrives while the tool still runs, and every call is mirrored with its response."""
    tool = Forecast()
    if json_response:
        tool.seen.set()  # In this mode the server has no way to report progress.
    with (
        serving_mcp(tool, json_response=json_response) as port,
        mirroring(f"reverse:http://127.0.0.1:{port}") as mirror,
    ):
        names, answer = asyncio.run(converse(f"{mirror.proxy.url}/mcp", tool))
    assert (names, answer) == (["forecast"], "sunny in K\u00f6ln")
    answers = calls(mirror.akto.entries)
    assert answers["notifications/initialized"] is None
    assert answers["initialize"]["result"]["serverInfo"]["name"] == "weather"
    assert [tool["name"] for tool in answers["tools/list"]["result"]["tools"]] == ["forecast"]
    assert answers["tools/call"]["result"]["content"][0]["text"] == "sunny in K\u00f6ln"
