"""Redaction of multipart bodies, event streams and gRPC."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest

from akto_mirror.capture.redaction import Redaction, framed
from tests.unit.capture.redaction.samples import SECRET, hidden

MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize(
    "head",
    [
        'Content-Disposition: form-data; name="password"; filename="a.txt"\r\nContent-Type: text/plain',
        'Content-Disposition: form-data; filename="a.txt"; name="password"',
        "Content-Disposition: form-data; name='password'",
        "Content-Disposition: form-data; name*=UTF-8''password",
        'Content-Disposition: form-data; name="=?utf-8?B?cGFzc3dvcmQ=?="',
        'Content-Disposition: form-data; name="a\\"b-token"',
        'Content-Disposition: form-data;\r\n name="api key"',
        "X: y\r\ncontent-disposition: FORM-DATA; NAME=api_key\r\nZ: y",
    ],
)
@pytest.mark.parametrize("content_type", [MULTIPART, ""])
def test_parts(head: str, content_type: str) -> None:
    """Parts are found by name, in any spelling, even if the boundary is a letter that occurs in their headers."""
    rest = '\r\n--x\r\nContent-Disposition: form-data; name="note"\r\n\r\nkept\r\n--x--\r\n'
    new = hidden(f"--x\r\n{head}\r\n\r\n%s{rest}", content_type)
    assert new == f"--x\r\n{head}\r\n\r\n[redacted]{rest}"
    assert SECRET not in hidden(f"--x\r\n{head}\r\n\r\n%s", content_type)


@pytest.mark.parametrize(
    "text",
    [
        'data: {"password":\ndata: "%s"}\n\n',
        "data: password:\ndata:   %s\n\n",
        "data: token: |\ndata:   %s\n\n",
        "data: <password>\ndata: %s</password>\n\n",
        'id: 1\r\ndata: {"a":1,\r\ndata: "token":"%s"}\r\n\r\n',
        ": token=%s\n\n",
        'data: [DONE]\n\ndata: {"password":"%s"',
    ],
)
@pytest.mark.parametrize("content_type", ["text/event-stream", ""])
def test_events(text: str, content_type: str) -> None:
    """The data of an event over several lines is one text."""
    assert SECRET not in hidden(text, content_type)


def test_messages() -> None:
    """Strings in protobuf are replaced in place, and lengths are rewritten."""
    inner = json.dumps({"password": SECRET}).encode()
    message = b"\x0a\x04kept\x12" + bytes([len(inner)]) + inner
    text = b64encode(b"\x00" + len(message).to_bytes(4, "big") + message).decode()
    raw = b64decode(hidden(text, "application/grpc"))
    assert raw[5:11] == b"\x0a\x04kept"
    assert int.from_bytes(raw[1:5], "big") == len(raw) - 5
    assert SECRET.encode() not in raw


@pytest.mark.parametrize(
    "message",
    [
        b'{"password":"%s"}',
        b'[{"a":1},{"password":["%s"]}]',
        b"<password>%s</password>",
        b"password=%s",
        b'\x08\x01{"password":"%s"}',
        b"\x0a\x01xpassword=%s",
        b"\x0a\x20password=%s",
        b"\x0a\x15\xff\x00password: %s\x00",
        b"\x0a\x1a\x1b[1mpassword: \x1b[0m%s",
        b"\x0a\x16\x08\x01\x12\x12\xffpassword=%s",
    ],
)
@pytest.mark.parametrize("has_head", [True, False])
def test_messages_that_are_not_protobuf(message: bytes, has_head: bool) -> None:
    """JSON and other text are searched as what they are, as is what cannot be read behind fields, or within them."""
    data = message.replace(b"%s", SECRET.encode())
    head = b"\x00" + len(data).to_bytes(4, "big") if has_head else b""
    raw = b64decode(hidden(b64encode(head + data).decode(), "application/grpc"))
    assert not has_head or int.from_bytes(raw[1:5], "big") == len(raw) - 5
    assert SECRET.encode() not in raw
    assert b"[redacted]" in raw


def test_what_is_in_base64() -> None:
    """Text of `+json` is never in base64, even if it looks like it, and is searched as it is."""
    key, values = "AKIAIOSFODNN7EXAMPLE", Redaction.of(values=["common"])
    assert hidden(key, "application/grpc", values) == key
    assert hidden(f'{{"a":"{key}"}}', "application/grpc", values) == '{"a":"[redacted]"}'
    assert hidden(key, "application/grpc+json", values) == "[redacted]"


def test_what_are_events() -> None:
    """Event streams are recognised by the content type or the first line."""
    assert framed.are_events(b"x", "text/event-stream")
    assert framed.are_events(b"\ndata: x", "")
    assert not framed.are_events(b"update: x", "")
