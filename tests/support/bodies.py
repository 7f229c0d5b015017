"""Bodies of many kinds, and those that Akto's runtime was seen to read."""

from __future__ import annotations

import json
from typing import Any

from tests.support.data import DATA

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


# Payloads as they came over the wire, and what Akto's runtime 1.72.16 was seen to read whole instead.
SHAPES: list[dict[str, Any]] = list(map(json.loads, (DATA / "akto_shapes.ndjson").read_text("utf-8").splitlines()))


ITEMS = '{"items":[' + ",".join(f'{{"id":{number},"name":"n{number}"}}' for number in range(4_000)) + "]}"
