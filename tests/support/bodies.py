"""Bodies of many kinds, and how Akto's runtime was seen to read them."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

from tests.support.amazonframes import TYPE as AMAZON
from tests.support.amazonframes import chunk, frame
from tests.support.data import DATA
from tests.support.grpcframes import frame as message
from tests.support.notes import Note

WHOLE = [
    ("application/json", '{"a":1.0e5,"a":2, "n":12345678901234567890123 ,\n\t"z":[1,2,]}'),
    ("application/json", "{'a': 1}"),
    ("application/json", '{"a":[{"b":1}'),
    ("application/json", ""),
    ("application/json", "not json"),
    ("application/json", '"\\ud800"'),
    ("application/x-ndjson", '{"a":1}\n{"a":2}\n'),
    ("application/json-seq", '\x1e{"a":1}\n\x1e{"a":2}\n'),
    ("application/xml", '<?xml version="1.0" encoding="utf-8"?>\n<a b=\'1\'>é</a >'),
    ("application/xml", "<a><b></a>"),
    ("application/xml", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'),
    ("application/x-www-form-urlencoded", "a=1&&b&c=%41&d=é+"),
    ("multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=a\r\n\r\n1"),
    ("text/plain", "plain \x00 text\r\n"),
    ("text/event-stream", "data: hello\n\n"),
    ("text/html", "<html>"),
    ("", '{"a":1'),
]


# Payloads as sent over the wire, and the text in place of each that Akto's runtime 1.72.16 was seen to read whole.
SHAPES: list[dict[str, Any]] = list(map(json.loads, (DATA / "akto_shapes.ndjson").read_text("utf-8").splitlines()))


ITEMS = '{"items":[' + ",".join(f'{{"id":{number},"name":"n{number}"}}' for number in range(4_000)) + "]}"


def _multipart(boundary: str, newline: str = "\r\n", before: str = "", behind: str = "") -> bytes:
    """Write a form of three parts with an odd delimiter, an empty part, and a line that looks like a delimiter."""
    parts = [("a", ""), ("b", f"one{newline}--two{newline}"), ("é", "€" * 20)]
    text = "".join(
        f'--{boundary}{behind}{newline}Content-Disposition: form-data; name="{name}"{newline * 2}{content}{newline}'
        for name, content in parts
    )
    return f"{before}{text}--{boundary}--{newline}".encode()


_SOAP = """<?xml version="1.0" encoding="UTF-8"?>
<s:Envelope xmlns:s="http://x/"><s:Body><q:a xmlns:q="u" q:b="1>2" c='"'>t&amp;é</q:a></s:Body></s:Envelope>"""
_MARKUP = (
    "<!-- <a> --><r><![CDATA[ <x> & ]]]]><![CDATA[>]]><?pi >>> ?><!-- </r> --><b c='?>'\n/>&#x1F600;\U0001f600</r>\n"
)
_JSON = '{"a":"é€\U0001f600\\"\\ud83d\\ude00","b":[1.5e3,true,null,{"k":["x"]}],"c":-0}'
_EVENTS = [
    "\ufeff: ping",
    "",
    "id: 1",
    'data: {"jsonrpc":"2.0",',
    'data:"id":1,"result":{"x":"é"}}',
    "",
    "data: [DONE]",
    "",
    "",
]
_CALL = message(Note(text="hé" * 20, number=7, many=["a", "b"]).SerializeToString())
_WEB = _CALL + _CALL + b"\x80" + (15).to_bytes(4, "big") + b"grpc-status:0\r\n"
_FORM = "multipart/form-data; boundary="

# Bodies of each format with its odd cases, by content type.
ODD: list[tuple[str, bytes]] = [
    (f'{_FORM}"X b:?"', _multipart("X b:?")),
    (f'{_FORM}"X\\"X"', _multipart('X"X')),
    (f"{_FORM}XbX", _multipart("XbX", behind="  ")),
    (f"{_FORM}XbX", _multipart("XbX", newline="\n")),
    (f"{_FORM}----WebKitFormBoundary7MA", _multipart("----WebKitFormBoundary7MA")),
    (f"{_FORM}XbX", _multipart("XbX")[:-2]),
    ("application/soap+xml; charset=utf-8", _SOAP.encode()),
    ("text/xml", _MARKUP.encode()),
    ("application/xml", _SOAP.replace("UTF-8", "UTF-16").encode("utf-16")),
    ("application/xml; charset=utf-16le", _MARKUP.encode("utf-16-le")),
    ("application/json", _JSON.encode()),
    ("application/json", _JSON.encode("utf-8-sig")),
    ("application/json", _JSON.encode("utf-16")),
    ("application/json; charset=utf-32", _JSON.encode("utf-32-le")),
    ("application/json; charset=shift_jis", '{"a":"日本","b":["語"]}'.encode("shift_jis")),
    ("application/x-ndjson", b'{"a":1}\r\n{"b":"x\\r\\n"}\r\n\r\n[1]\r\n"s"\r\n12\r\n'),
    *(("text/event-stream", newline.join(_EVENTS).encode()) for newline in ("\n", "\r", "\r\n")),
    (AMAZON, chunk({"type": "start"}) + frame(b'{"delta":{"text":"Hi"}}') + chunk([1])),
    ("application/x-www-form-urlencoded", "a=1;b=2;c=%41%C3%A9&d=x;y&e=&f=%zz&g=é".encode()),
    ("application/grpc", _CALL + _CALL),
    ("application/grpc-web+proto", _WEB),
    *(
        ("application/grpc-web-text", b"".join(b64encode(_WEB[at : at + size]) for at in range(0, len(_WEB), size)))
        for size in (1, 4, 5, 30)
    ),
]
