"""Kinds of exchanges that were given to Akto's runtime: it lost parts of them then, and nothing is lost now.

Each kind of which it lost something is in one of the tables here: repaired, filtered out on purpose, without anything
to keep, or sent unchanged.
"""

from __future__ import annotations

import gzip
import json
from base64 import b64decode, b64encode
from typing import Any, NamedTuple

import pytest

from akto_mirror.capture.capture import Capture
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.encoding import Captured
from akto_mirror.ingestion.entries.concerns import DROPPED, concerns
from tests.support.amazonframes import TYPE as AMAZON
from tests.support.amazonframes import chunk, frame
from tests.support.bodies import ITEMS, SHAPES
from tests.support.data import DATA
from tests.support.flows import Fields, flow, request, response
from tests.support.grpcframes import frame as message
from tests.support.notes import Note

# Paths and statuses, and whether Akto's runtime 1.72.16 accepted the entry or filtered it out on purpose.
FILTERED: list[dict[str, Any]] = list(map(json.loads, (DATA / "akto_filter.ndjson").read_text("utf-8").splitlines()))

# All kinds: whether the runtime accepted the entry, and found parameters of each side, including queries. `why` says
# of kinds that are not among `KINDS` why nothing more is kept: there is no parameter, or the payload is sent
# unchanged, because it would mean something else otherwise.
RECORDED: list[dict[str, Any]] = list(map(json.loads, (DATA / "akto_kinds.ndjson").read_text("utf-8").splitlines()))

CONFIG = CaptureConfig(worker=False, account_id="1000000", vxlan_id="0", tag='{"service": "mitmproxy"}')
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=XbX"
CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add"}}'


class Kind(NamedTuple):
    """An exchange of which the runtime lost the entry, or the parameters of one side."""

    name: str
    request_type: str = JSON
    request: bytes = b"{}"
    response_type: str = JSON
    response: bytes = b"{}"
    coding: str = ""


LONG = ITEMS.encode()
STRING = b'{"id":1,"blob":"' + b"A" * 100_000 + b'"}'
XML = b"<r>" + b"<i><id>1</id></i>" * 6_000 + b"</r>"
FILE = b'--XbX\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' + b"A" * 99_999 + b"\r\n--XbX--\r\n"
LIST = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[' + b'{"name":"add","inputSchema":{}},' * 3_000 + b"{}]}}"
GRPC = message(Note(text="x" * 99_999, number=1).SerializeToString())
WEB_TEXT = b64encode(message(b"\x08\x01")) + b64encode(b"\x80\x00\x00\x00\x0fgrpc-status:0\r\n")
FORM = "application/x-www-form-urlencoded"
KINDS = [
    Kind("json_deep3000", request=b'{"a":' * 3_000 + b"1" + b"}" * 3_000),
    Kind("cut_req_json", request=LONG),
    Kind("cut_req_json_charset", "application/json; charset=utf-8", LONG),
    Kind("cut_resp_json", response=LONG),
    Kind("cut_resp_array", response=LONG[9:-1]),
    Kind("cut_req_array", request=LONG[9:-1]),
    Kind("cut_long_string", request=STRING),
    Kind("cut_multibyte", request=STRING.replace(b"A", "€".encode())),
    Kind("cut_both", request=LONG, response=LONG),
    Kind("cut_get_resp", "", b"", response=LONG),
    Kind("cut_xml", "application/xml", XML, "application/xml", XML),
    Kind("cut_graphql", request=b'{"query":"{ a }","variables":' + STRING + b"}"),
    Kind("mp_cut", MULTIPART, FILE),
    Kind("mcp_cut_call", request=CALL[:-2] + b',"arguments":' + STRING + b"}}"),
    Kind("mcp_cut_list", request=CALL, response=LIST),
    Kind("mcp_cut_list_sse", JSON, CALL, "text/event-stream", b"event: message\ndata: " + LIST + b"\n\n"),
    Kind("enc_gzip_big", response=gzip.compress(LONG), coding="gzip"),
    Kind("json_xssi", response=b")]}',\n{}"),
    Kind("json_utf16", "application/json; charset=utf-16", '{"a":1}'.encode("utf-16")),
    Kind("xml_utf16", "application/xml", '<?xml version="1.0" encoding="utf-16"?><r><a>1</a></r>'.encode("utf-16")),
    Kind("cut_xml_bom", "application/xml", b"\xef\xbb\xbf" + XML),
    Kind("xml_doctype", "text/xml", b'<?xml version="1.0"?><!DOCTYPE r SYSTEM "r.dtd"><r><n>1</n></r>'),
    Kind("form_badpct", FORM, b"a=%zz&b=1"),
    Kind("form_upper_ct", "Application/X-WWW-Form-Urlencoded", b"a=1"),
    Kind("mp_capital", "multipart/form-data; Boundary=XbX", FILE[:100] + FILE[-11:]),
    Kind("grpcweb_text", "application/grpc-web-text", WEB_TEXT, "application/grpc-web-text", WEB_TEXT),
    Kind("grpc_big", "application/grpc", GRPC),
    Kind("grpc_bigresp", "application/grpc", message(b""), "application/grpc", GRPC),
    Kind(
        "mcp_list_sse_multiline", JSON, CALL, "text/event-stream", b'data: {"id":1,\ndata: "result":{"tools":[]}}\n\n'
    ),
    Kind(
        "mcp_list_sse_notif_first",
        request=CALL,
        response_type="text/event-stream",
        response=b'data: {"jsonrpc":"2.0","method":"notifications/message"}\n\ndata: ' + LIST + b"\n\n",
    ),
    Kind("llm_bedrock", response_type=AMAZON, response=chunk({"type": "message_start"}) + frame(b'{"delta":{}}')),
    Kind("cut_jsonp", response=b"cb(" + LONG + b");"),
    Kind("jsonp_array", response=b'/**/ cb([{"a":1}]);'),
    Kind("json_upper_ct", "Application/JSON; Charset=UTF-8", b'{"a":1}', "Text/XML", b"<a/>"),
    *(
        Kind(
            shape["name"],
            shape["content_type"] if "grpc" in shape["name"] else JSON,
            b64decode(shape["wire"]) if "grpc" in shape["name"] else CALL,
            shape["content_type"],
            b64decode(shape["wire"]) if "grpc" in shape["name"] else shape["wire"].encode(),
        )
        for shape in SHAPES
    ),
]


def captured(kind: Kind, path: bytes = b"/a") -> Captured:
    """Capture an exchange of a kind."""
    host: list[tuple[bytes, bytes]] = [(b"host", b"API.example.com:80"), (b"grpc-encoding", b"gzip")]
    asked: Fields = [*host, *([(b"content-type", kind.request_type.encode())] if kind.request_type else [])]
    answered = [(b"content-type", kind.response_type.encode()), (b"content-encoding", kind.coding.encode())]
    sent = request(b"POST", path, fields=asked, content=kind.request)
    made = Capture(CONFIG, "").of(flow(sent, response(fields=answered, content=kind.response)))
    assert isinstance(made, Captured)
    return made


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_nothing_is_lost(kind: Kind) -> None:
    """Nothing is lost by the rules recorded from the runtime, and changes are reported as repairs."""
    made = captured(kind)
    assert concerns(json.loads(made.encoded)) == []
    assert made.repairs or kind.name in {"json_upper_ct", "form_upper_ct", "mp_capital"}
    assert json.loads(made.entry.requestHeaders)["host"] == "api.example.com"


@pytest.mark.parametrize("row", FILTERED, ids=lambda row: row["name"])
def test_what_is_left_out_by_intent(row: dict[str, Any]) -> None:
    """Entries that the runtime filters out by status or path are reported as dropped, and no others."""
    entry = json.loads(captured(Kind("plain"), row["path"].encode()).encoded)
    headers = json.loads(entry["requestHeaders"]) | ({"x-akto-ignore": "0"} if row["name"] == "h_ignore" else {})
    changed = {"statusCode": str(row["status"]), "type": row["type"], "requestHeaders": json.dumps(headers)}
    kinds = [concern.kind for concern in concerns(entry | changed)]
    assert (DROPPED in kinds) == (not row["taken"])


def test_each_kind_of_which_something_was_lost_is_accounted_for() -> None:
    """All 306 recorded kinds are accounted for: only the 14 that are filtered out on purpose are dropped."""
    assert len(RECORDED) == 306
    left_out = {row["name"] for row in RECORDED if row["verdict"] == "left out"}
    assert left_out == {row["name"] for row in FILTERED if not row["taken"]}
    assert len(left_out) == 14
    lost = {row["name"] for row in RECORDED if _lost_something(row)}
    assert lost - {kind.name for kind in KINDS} == {row["name"] for row in RECORDED if "why" in row}


def _lost_something(row: dict[str, Any]) -> bool:
    if row["verdict"] == "left out":
        return False
    had_request = bool(row["request_type"]) or row["name"].startswith(("query", "ws_"))
    return not row["response"] or (had_request and not row["request"])


READ_BY_AKTO = {
    "json_nan": b'{"a":NaN}',
    "json_trailing_comma": b'{"a":1,}',
    "json_single_quotes": b"{'a':1}",
    "json_lone_surrogate": b'{"a":"\\ud800"}',
    "json_ctrl": b'{"a":"x\x01y"}',
    "json_dupkeys": b'{"a":1,"a":"x"}',
    "json_floats": b'{"f":1.0e5}',
    "json_bigint": b'{"n":12345678901234567}',
    "jsonp": b'cb({"a":1});',
    "ndjson_req": b'{"a":1}\n{"a":2}\n',
    "jsonseq": b'\x1e{"i":1}\n\x1e{"i":2}\n',
}


@pytest.mark.parametrize("name", READ_BY_AKTO)
def test_what_the_runtime_reads_passes_as_it_is(name: str) -> None:
    """Payloads that the runtime reads, although parsers may not, are not changed."""
    body = READ_BY_AKTO[name]
    made = captured(Kind(name, request=body, response=body))
    assert (made.entry.requestPayload, made.entry.responsePayload) == (body.decode(), body.decode())
    assert (made.repairs, concerns(json.loads(made.encoded))) == ((), [])


@pytest.mark.parametrize(
    "query", ["next=/health", "file=app.js", "u=/HealthZ&f=a.PNG", "a=b.html?c.css", "x=1?y=2", "a=%zz", "n=1;m=2"]
)
def test_no_query_drops_an_entry(query: str) -> None:
    """A query is encoded so that the runtime's filter does not drop the entry."""
    assert concerns(json.loads(captured(Kind("plain"), b"/a?" + query.encode()).encoded)) == []
