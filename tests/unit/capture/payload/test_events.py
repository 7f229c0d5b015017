"""Event streams become JSON."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import events
from tests.support.amazonframes import chunk, frame
from tests.support.texts import json_texts, read_json

LIMIT = 65_536
ANSWER = '{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"add"}]}}'
PROGRESS = '{"jsonrpc":"2.0","method":"notifications/progress","params":{"progress":1}}'


def stream(*data: str, newline: str = "\n") -> str:
    """Write events as the MCP SDK does."""
    return "".join(f"event: message{newline}data: {text}{newline}{newline}" for text in data)


def render(text: str, asked: bytes = b"", limit: int = LIMIT) -> str | None:
    """Render a stream."""
    found = events.render(text.encode(), limit, asked)
    return None if found is None else found.decode()


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", [[], [PROGRESS], [PROGRESS, PROGRESS]])
def test_the_event_that_answers(newline: str, before: list[str]) -> None:
    """The event with the response is the whole payload, whatever came first and however lines end."""
    assert render(": ping" + newline * 2 + stream(*before, ANSWER, newline=newline), b"1") == ANSWER


@pytest.mark.parametrize("value", ['"\\ud800"', '"\\\\ud800"', "[NaN, -Infinity]", '{"a":"\\uDFFF\\u00e9"}'])
def test_an_answer_that_strict_parsers_refuse(value: str) -> None:
    """A response may have lone surrogates, as from JavaScript, or NaN, as from Python; so may the request."""
    answer = f'{{"jsonrpc":"2.0","id":1,"result":{value}}}'
    assert render(stream(PROGRESS, answer), b"1") == answer
    assert events.request_id(f'{{"id":1,"method":"m","params":{value}}}') == b"1"


@pytest.mark.parametrize("asked", [b'"1"', b"2", b"1.0"])
def test_ids_are_compared_as_they_are_written(asked: bytes) -> None:
    """`1` is not `"1"`; without an answer all events are shown."""
    assert json.loads(render(stream(PROGRESS, ANSWER), asked) or "") == [json.loads(PROGRESS), json.loads(ANSWER)]


def test_an_error_answers_too() -> None:
    """A JSON-RPC error is a response too."""
    error = '{"jsonrpc":"2.0","id":"x","error":{"code":-32601,"message":"no"}}'
    assert render(stream(error), b'"x"') == error


def test_one_answer_alone_needs_no_id() -> None:
    """A single response is chosen even if the request's id is unknown; of two neither is."""
    assert render(stream(PROGRESS, ANSWER)) == ANSWER
    assert json.loads(render(stream(ANSWER, ANSWER.replace("1", "2"))) or "")[0] == json.loads(ANSWER)


def test_data_of_several_lines_is_joined() -> None:
    """Data lines are joined by line breaks, without the blank after the colon, as the standard says."""
    text = 'data: {"a":\ndata:1,\ndata:  "b":2}\nid: 7\nretry: 10\n\n'
    assert json.loads(render(text) or "") == [{"a": 1, "b": 2}]


def test_openai() -> None:
    """The chunks of a chat completion become an array, without the end marker."""
    chunk = '{"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"y"}}]}'
    found = render(f"data: {chunk}\n\ndata: {chunk}\n\ndata: [DONE]\n\n")
    assert found == f"[{chunk},{chunk}]"


def test_anthropic() -> None:
    """Named events become an array."""
    data = ['{"type":"message_start","message":{"id":"m"}}', '{"type": "ping"}', '{"type":"message_stop"}']
    text = "".join(f"event: {json.loads(each)['type']}\ndata: {each}\n\n" for each in data)
    assert render(text) == f"[{','.join(data)}]"


@pytest.mark.parametrize(
    "text", ["data: hello\n\n", "", ": ping\n\n", "data: 5\n\ndata: true\n\n", "plain", "data: [DONE]\n\n", "data\n\n"]
)
def test_streams_without_json_stay_text(text: str) -> None:
    """A stream stays text without JSON objects or arrays; a number is not enough."""
    assert render(text) is None


def test_frames_of_amazon() -> None:
    """The JSON in the frames is kept, Bedrock's decoded from base64; a cut frame is closed."""
    data = chunk({"type": "start"}) + frame(b'{"delta":{"text":"Hi"}}') + frame(b"not json") + chunk([1])
    everything = [{"type": "start"}, {"delta": {"text": "Hi"}}, [1]]
    assert json.loads(events.render_frames(data, LIMIT) or b"") == everything
    for cut in range(len(data)):
        found = events.render_frames(data[:cut], LIMIT)
        assert found is None or len(json.loads(found)) <= 3


@pytest.mark.parametrize("data", [b"", frame(b"text"), b"\0" * 100, frame(b"{}")[:8] + b"\0" * 50, b"\0\0\0\x04" * 9])
def test_frames_without_json(data: bytes) -> None:
    """Frames without JSON, and bytes that are not frames, are not rendered."""
    assert events.render_frames(data, LIMIT) is None


def test_line_ends_are_those_of_the_standard() -> None:
    """A line separator in a string, which Python treats as a line end, ends no line."""
    assert render('data: {"a":"x\u2028y\x0bz\x85"}\n\n'.replace("\x0b", "")) == '[{"a":"x\u2028yz\x85"}]'


def test_a_stream_left_in_the_middle() -> None:
    """The last event is closed, and is the payload if it is the response."""
    assert render(stream(PROGRESS) + 'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"x":"ab', b"1") == (
        '{"jsonrpc":"2.0","id":1,"result":{"x":"ab"}}'
    )
    assert render(stream('{"a":1}') + 'data: {"b":[1,2') == '[{"a":1},{"b":[1]}]'


def test_an_answer_cut_before_its_id() -> None:
    """A response cut before its id is still recognised: some servers write the id last."""
    assert render('data: {"result":{"tools":[{"name":"a"},{"na', b"7") == '{"result":{"tools":[{"name":"a"},{}]}}'


def test_the_limit() -> None:
    """The response is closed within the limit; of other events as many as fit are kept."""
    long = '{"jsonrpc":"2.0","id":1,"result":{"text":"' + "x" * 500 + '"}}'
    found = render(stream(long), b"1", 200) or ""
    assert len(found) == 200
    assert json.loads(found)["result"]["text"].startswith("xxx")
    found = render(stream(*['{"a":"12345"}'] * 50), limit=100) or ""
    assert len(found) <= 100
    assert len(json.loads(found)) == 7


@pytest.mark.parametrize(
    ("payload", "asked"),
    [
        ('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', b"1"),
        ('{"jsonrpc":"2.0","id":"1","method":"tools/list"}', b'"1"'),
        ('{"method":"m","params":{"id":5},"id": 6 }', b"6"),
        ('{"method":"m"}', b""),
        ('{"method":"m","id":null}', b""),
        ('[{"method":"m","id":1}]', b""),
        ('{"id":1}', b""),
        ("plain", b""),
        ("", b""),
        ("[" * 100_000, b""),
    ],
)
def test_the_request_id(payload: str, asked: bytes) -> None:
    """The request id is returned as written; a batch has none."""
    assert events.request_id(payload) == asked


@given(st.lists(json_texts, max_size=6), st.sampled_from(["\n", "\r\n"]), st.data())
def test_any_stream_at_any_cut(texts: list[str], newline: str, data: st.DataObject) -> None:
    """The result fits and is JSON."""
    lines = ["".join(f"data: {line}{newline}" for line in text.split("\n")) for text in texts if "\r" not in text]
    raw = newline.join([*lines, ""]).encode()
    cut, limit = data.draw(st.integers(0, len(raw))), data.draw(st.integers(0, len(raw) + 2))
    found = events.render(raw[:cut], limit, b"1")
    if found:
        assert len(found) <= limit
        read_json(found.decode())


@given(st.lists(json_texts.map(lambda text: json.dumps({"a": json.loads(text)})), min_size=1, max_size=6))
def test_whole_events_stay_as_they_are(texts: list[str]) -> None:
    """Whole events are not changed."""
    assert render(stream(*texts)) == f"[{','.join(texts)}]"


@given(st.binary(max_size=200))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are rendered without an error."""
    for text in (data, b"data: {" + data, b'data: {"result":' + data):
        found = events.render(text, 100, b"1")
        assert found is None or len(found) <= 100


def test_the_work_is_linear() -> None:
    """Tiny, malformed and endless events cost no more than others."""
    start = time.thread_time()
    for piece in (b"data:{}\n\n", b"data:{x\n\n", b'data:{"result":1}\n\n', b"\r", b"data:\n", b"data: {\n", b"d\n\n"):
        data = piece * (500_000 // len(piece))
        events.render(data, len(data), b"1")
    assert time.thread_time() - start < 15
