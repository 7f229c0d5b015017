"""A real MCP server with the streamable HTTP transport."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from anyio import to_thread
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.session import ServerSession
from starlette.requests import Request

from tests.support.proxy import DEADLINE


class Forecast:
    """A tool that reports progress, and continues only after the client has received the report.

    Attributes:
        seen: set by the test when the client has got the progress report.
    """

    def __init__(self) -> None:
        self.seen = threading.Event()

    async def forecast(self, city: str, ctx: Context[ServerSession, None, Request]) -> str:
        """Tell the weather."""
        await ctx.report_progress(1, 2, "half way")
        if not await to_thread.run_sync(self.seen.wait, DEADLINE):
            raise TimeoutError("the progress report did not reach the client")
        return f"sunny in {city}"


@contextmanager
def serving_mcp(tool: Forecast, *, json_response: bool) -> Iterator[int]:
    """Serve the tool on a free port, which is yielded.

    Args:
        tool: the tool that the server offers.
        json_response: answer with JSON instead of an event stream.
    """
    app = FastMCP("weather", json_response=json_response)
    app.add_tool(tool.forecast)
    config = uvicorn.Config(app.streamable_http_app(), log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        _await_start(server)
        try:
            yield listening.getsockname()[1]
        finally:
            tool.seen.set()
            server.should_exit = True
            thread.join(DEADLINE)


def _await_start(server: uvicorn.Server) -> None:
    deadline = time.monotonic() + DEADLINE
    while not server.started:
        assert time.monotonic() < deadline, "uvicorn did not start"
        time.sleep(0.01)
