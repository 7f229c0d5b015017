"""A server that streams responses as OpenAI's and Anthropic's APIs do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tornado.web import Application, RequestHandler

from akto_mirror.background_server import BackgroundServer

# The model whose response never ends: the client has to disconnect.
ENDLESS = "endless"

WORDS = ["The sky", " is \u201eblue\u201c", ",\n\nmostly."]

Event = dict[str, Any]


def chunks() -> list[Event]:
    """Return the events of a chat completion."""
    deltas: list[Event] = [{"role": "assistant"}, *({"content": word} for word in WORDS), {}]
    return [
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}],
        }
        for delta in deltas
    ]


def response_events() -> list[Event]:
    """Return the events of OpenAI's Responses API."""
    at = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "output": [], "tools": []}
    events: list[Event] = [
        {"type": "response.created", "response": whole},
        *({"type": "response.output_text.delta", "delta": word, **at} for word in WORDS),
        {"type": "response.output_text.done", "text": "".join(WORDS), **at},
        {"type": "response.completed", "response": whole},
    ]
    return [event | {"sequence_number": number} for number, event in enumerate(events)]


def message_events() -> list[Event]:
    """Return the events of Anthropic's Messages API."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": usage}
    return [
        {"type": "message_start", "message": message},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": w}} for w in WORDS),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
        {"type": "message_stop"},
    ]


EVENTS = {"/v1/chat/completions": chunks, "/v1/responses": response_events, "/v1/messages": message_events}


class _Stream(RequestHandler):
    def prepare(self) -> None:
        self.left = asyncio.Event()

    def on_connection_close(self) -> None:
        self.left.set()

    async def post(self) -> None:
        self.set_header("content-type", "text/event-stream; charset=utf-8")
        is_endless = json.loads(self.request.body)["model"] == ENDLESS
        events = EVENTS[self.request.path]()
        for event in events[:4] if is_endless else events:
            named = f"event: {event['type']}\n" if "type" in event else ""
            self.write(f"{named}data: {json.dumps(event)}\n\n")
            await self.flush()
        if is_endless:
            await self.left.wait()
        elif "completions" in self.request.path:
            self.write("data: [DONE]\n\n")


class Models(BackgroundServer):
    """The server, on a free port."""

    def __init__(self) -> None:
        super().__init__(Application([("/v1/.*", _Stream)], log_function=lambda _: None))
