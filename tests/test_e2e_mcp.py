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
    """Initialize a session, list the tools and call one; return the tools' names and the call's answer."""

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


def messages(payload: str, content_type: str) -> list[dict[str, Any]]:
    """Return the JSON-RPC messages in a payload that is JSON or an event stream."""
    if not content_type.startswith("text/event-stream"):
        return [json.loads(payload)] if payload else []
    return [json.loads(data) for line in payload.splitlines() if (data := line.removeprefix("data: ")) != line and data]


def progress(entries: list[Entry]) -> list[str]:
    """Return the reports of progress, in the answer to the call or, from older servers, in a stream of their own."""
    types = [headers(entry, "responseHeaders").get("content-type", "") for entry in entries]
    sent = [
        told for entry, kind in zip(entries, types, strict=True) for told in messages(entry["responsePayload"], kind)
    ]
    return [told["params"]["message"] for told in sent if told.get("method") == "notifications/progress"]


def calls(entries: list[Entry]) -> dict[str, list[dict[str, Any]]]:
    """Return the messages of each answer by the method that was called, which must be called once."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for entry in entries:
        for request in messages(entry["requestPayload"], "application/json"):
            assert request["method"] not in answers
            content_type = headers(entry, "responseHeaders").get("content-type", "")
            answers[request["method"]] = messages(entry["responsePayload"], content_type)
    return answers


@pytest.mark.parametrize("json_response", [False, True], ids=["event-stream", "json"])
def test_session(json_response: bool) -> None:
    """A session works, progress arrives while the tool still runs, and every call and its answer are mirrored."""
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
    assert answers["initialize"][-1]["result"]["serverInfo"]["name"] == "weather"
    assert answers["notifications/initialized"] == []
    assert [listed["name"] for listed in answers["tools/list"][-1]["result"]["tools"]] == ["forecast"]
    assert answers["tools/call"][-1]["result"]["content"][0]["text"] == "sunny in K\u00f6ln"
    if not json_response:
        assert progress(mirror.akto.entries) == ["half way"]
