"""Streamed responses of language models through mitmdump, to OpenAI's and Anthropic's own clients."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from akto_mirror.ingestion.entries.concerns import concerns
from tests.support.llmpeer import ENDLESS, EVENTS, WORDS, Models
from tests.support.mirror import Mirror, headers, mirroring

if TYPE_CHECKING:
    import openai

# The clients are imported late: that takes two seconds, which every test process would spend at collection.
pytestmark = pytest.mark.e2e

ANSWER = "".join(WORDS)
QUESTION = "What colour is the sky?"


@pytest.fixture(scope="module")
def mirror() -> Iterator[Mirror]:
    """Run the model server behind a proxy."""
    with Models() as models, mirroring(f"reverse:http://127.0.0.1:{models.port}") as running:
        yield running


def openai_client(mirror: Mirror) -> openai.OpenAI:
    """Make a client that uses only this proxy."""
    import openai  # noqa: PLC0415 - see above

    http = httpx.Client(trust_env=False)
    return openai.OpenAI(api_key="k", base_url=f"{mirror.proxy.url}/v1", http_client=http, max_retries=0)


def complete(mirror: Mirror, model: str) -> Iterator[str]:
    """Ask through OpenAI's Chat Completions API."""
    asked: Any = [{"role": "user", "content": QUESTION}]
    with openai_client(mirror) as client:
        stream = client.chat.completions.create(model=model, messages=asked, stream=True)
        with stream:
            yield from (chunk.choices[0].delta.content or "" for chunk in stream)


def respond(mirror: Mirror, model: str) -> Iterator[str]:
    """Ask through OpenAI's Responses API."""
    with openai_client(mirror) as client, client.responses.create(model=model, input=QUESTION, stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


def message(mirror: Mirror, model: str) -> Iterator[str]:
    """Ask through Anthropic's Messages API."""
    import anthropic  # noqa: PLC0415 - see above
    from anthropic.types import TextDelta  # noqa: PLC0415

    http = httpx.Client(trust_env=False)
    asked: Any = [{"role": "user", "content": QUESTION}]
    client = anthropic.Anthropic(api_key="k", base_url=mirror.proxy.url, http_client=http, max_retries=0)
    with client, client.messages.create(model=model, max_tokens=9, messages=asked, stream=True) as stream:
        for event in stream:
            if event.type == "content_block_delta" and isinstance(event.delta, TextDelta):
                yield event.delta.text


Ask = Callable[[Mirror, str], Iterator[str]]
PATHS = {"/v1/chat/completions": complete, "/v1/responses": respond, "/v1/messages": message}


def shown(mirror: Mirror, path: str, model: str) -> Any:
    """Return the response in the entry, which Akto must be able to read completely."""
    (entry,) = (each for each in mirror.entries(path, 2) if json.loads(each["requestPayload"])["model"] == model)
    assert [each.kind for each in concerns(entry) if "host" not in each.kind] == []
    assert headers(entry, "responseHeaders")["content-type"] == "application/json"
    return json.loads(entry["responsePayload"])


@pytest.mark.parametrize(("path", "ask"), PATHS.items())
def test_streams(mirror: Mirror, path: str, ask: Ask) -> None:
    """The client reads its response; Akto gets an array of the events, up to the point where the client left."""
    assert "".join(ask(mirror, "m")) == ANSWER
    assert WORDS[0] in next(filter(None, ask(mirror, ENDLESS)))
    assert shown(mirror, path, "m") == EVENTS[path]()
    left = shown(mirror, path, ENDLESS)
    assert left == EVENTS[path]()[: len(left)]
    assert left
