"""Event streams: extracts the JSON of the event that holds the response, or an array of all events' JSON.

Akto's runtime finds no parameters in the text of an event stream, and MCP tools only if the first event is the result.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import TypeVar
from zlib import crc32

import msgspec

from akto_mirror.capture.payload import json

# The id of a request or an event without `id`; it equals no id.
NO_ID = b""

# The most frames of Amazon's event streams that are read: 128 KiB of empty ones are 8,192.
MAX_FRAMES = 4_096

# Bytes of a frame's prelude (two lengths and their checksum), and of the checksum at its end.
PRELUDE, CHECKSUM = 12, 4

# First bytes of JSON values.
BEGINS = tuple(bytes((byte,)) for byte in b'{["-0123456789tfn')


class _Call(msgspec.Struct):
    method: str
    id: msgspec.Raw = msgspec.Raw(NO_ID)


class _Answer(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(NO_ID)
    result: msgspec.Raw = msgspec.Raw(NO_ID)
    error: msgspec.Raw = msgspec.Raw(NO_ID)


class _Chunk(msgspec.Struct):
    bytes: str


_Read = TypeVar("_Read")

_calls = msgspec.json.Decoder(_Call)
_answers = msgspec.json.Decoder(_Answer)
_chunks = msgspec.json.Decoder(_Chunk)


def request_id(payload: str) -> bytes:
    """Return the id of a JSON-RPC request as its JSON, so that `1` and `"1"` differ; empty if it has none.

    Args:
        payload: the request's payload, closed if it was cut.
    """
    call = _read(_calls, payload.encode("utf-8", "replace"))
    found = bytes(call.id) if call else NO_ID
    return NO_ID if found == b"null" else found


def _read(decoder: msgspec.json.Decoder[_Read], text: bytes) -> _Read | None:
    """Decode JSON, including lone surrogates and NaN; None if it is invalid or has another type."""
    for read in (bytes, json.evened):
        with suppress(msgspec.DecodeError, RecursionError):
            return decoder.decode(read(text))
    return None


def render(data: bytes, limit: int, asked: bytes = NO_ID) -> bytes | None:
    """Return the JSON of a stream's events as Akto can use it.

    If the stream contains a JSON-RPC response (`result` or `error`) to the request, that response; else an array of
    all events' JSON, up to the limit. A truncated event is closed.

    Args:
        data: the stream, in UTF-8, cut anywhere.
        limit: bytes that the result may have.
        asked: the request's id as JSON, as `request_id` returns it; if it is empty, the only response is returned.

    Returns:
        None if no event is a JSON object or array.
    """
    return _rendered(_json_texts(_data(data), limit), limit, asked)


def render_frames(data: bytes, limit: int) -> bytes | None:
    """Return the JSON of a stream of Amazon's frames (`application/vnd.amazon.eventstream`), as `render` does.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html
    """
    return _rendered(_json_texts([_unpacked(text) for text in islice(_frames(data), MAX_FRAMES)], limit), limit, NO_ID)


def _frames(data: bytes) -> Iterator[bytes]:
    """Yield the payloads of frames; of a truncated one, the available part."""
    position = 0
    while len(data) - position >= PRELUDE:
        size, head, checksum = (int.from_bytes(data[position + at : position + at + 4], "big") for at in (0, 4, 8))
        if size < PRELUDE + head + CHECKSUM or crc32(data[position : position + 8]) != checksum:
            return
        yield data[position + PRELUDE + head : position + size - CHECKSUM]
        position += size


def _unpacked(text: bytes) -> bytes:
    """Return the JSON that Bedrock puts as base64 into the member `bytes` of a frame; any other text unchanged."""
    chunk = _read(_chunks, text) if b'"bytes"' in text else None
    with suppress(ValueError):
        inner = b64decode(chunk.bytes, validate=True) if chunk else b""
        return inner if inner and json.is_json(inner) else text
    return text


def _rendered(texts: list[bytes], limit: int, asked: bytes) -> bytes | None:
    if not any(text.startswith((b"{", b"[")) for text in texts):
        return None
    answer = _answering(texts, asked)
    if answer is None:
        return json.array(texts, limit)
    return answer if len(answer) <= limit else json.close(answer, limit)


def _data(data: bytes) -> list[bytes]:
    """Return each event's data, joined as in the WHATWG's standard; of an incomplete event, the available part.

    Lines end with CRLF, LF or CR (section 9.2.6).
    """
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return [text for block in data.split(b"\n\n") if block and (text := _block_data(block))]


def _block_data(block: bytes) -> bytes:
    """Join the `data` lines of one event; nearly always there is only one, and it is the last line."""
    start = block.find(b"data:")
    if start < 0:
        return b""
    if block.count(b"\n", start) == 0 and (start == 0 or block[start - 1] == ord("\n")):
        return block[start + 5 :].strip(b" ")
    lines = (line for line in block.split(b"\n") if line.startswith(b"data:"))
    return b"\n".join(line[5:].removeprefix(b" ") for line in lines)


def _json_texts(events: list[bytes], limit: int) -> list[bytes]:
    """Return the events that are JSON, the last one closed if that makes it JSON; without `[DONE]` of OpenAI's API."""
    texts = [text for event in events if (text := event.strip())[:1] in BEGINS and text != b"[DONE]"]
    if json.is_json(b"[" + b",".join(texts) + b"]"):
        return texts
    if not texts:
        return []
    last = texts.pop()
    kept = [text for text in texts if json.is_json(text)]
    closed = last if json.is_json(last) else json.close(last, limit)
    return [*kept, closed] if closed and json.is_json(closed) else kept


def _answering(texts: list[bytes], asked: bytes) -> bytes | None:
    """Find the response to the request, including one that was cut before its id, which some servers write last."""
    found = [(text, answer) for text in texts if (answer := _answer(text))]
    for text, answer in found:
        if asked and bytes(answer.id) == asked:
            return text
    cut = found[-1:] if asked and texts and found and found[-1][0] is texts[-1] else []
    for text, answer in cut:
        if bytes(answer.id) == NO_ID:
            return text
    return found[0][0] if len(found) == 1 and not asked else None


def _answer(text: bytes) -> _Answer | None:
    if b'"result"' not in text and b'"error"' not in text:
        return None
    answer = _read(_answers, text)
    return answer if answer and (bytes(answer.result) or bytes(answer.error)) else None
