"""Every field of an entry, in both fidelities."""

from __future__ import annotations

import base64
import gzip
import json
import re
from dataclasses import replace
from typing import Any

import ada_url
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import http

from akto_mirror.akto_api import MAX_ENTRY_BYTES, Entry
from akto_mirror.capture import body, entry
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.entry import Exchange, HeaderMap, encode, header_map, path_of, shorten
from tests.unit.flows import TIME, Fields, flow, request, response

AKTO = CaptureConfig(
    worker=False,
    account_id="1000000",
    vxlan_id="0",
    tag='{"service": "mitmproxy"}',
    host="",
    client_ip_header="cf-connecting-ip",
    include_query=False,
    body_limit=65536,
)
WORKER = replace(AKTO, worker=True)


def build(shape: CaptureConfig, made: http.HTTPFlow | None = None, **changes: Any) -> Entry:
    """Build the entry of a flow; what the flow does not tell is as for a plain exchange, or as in `changes`."""
    made = made or flow()
    assert made.response
    cookies = not shape.worker
    exchange = Exchange(
        request_headers=header_map(made.request.headers.fields, all_cookies=cookies),
        response_headers=header_map(made.response.headers.fields, all_cookies=cookies),
        request_body=body.snapshot(made.request.raw_content, shape.body_limit),
        response_body=body.snapshot(made.response.raw_content, shape.body_limit),
        is_websocket=False,
        host="",
        time=TIME,
    )
    return entry.build(made, made.response, shape, exchange._replace(**changes))


def names(fields: Fields, *, all_cookies: bool = False) -> list[str]:
    """Return the header names in the order of the JSON text that is shipped."""
    return list(json.loads(entry.to_json(header_map(fields, all_cookies=all_cookies))))


class TestHeaders:
    """Headers become one JSON object, as `JSON.stringify(Object.fromEntries(headers))` makes it."""

    def test_names_are_lower_case_and_sorted(self) -> None:
        """Names of any case come out lower-case, in byte order."""
        fields = [(b"X_B", b"1"), (b"x-C", b"2"), (b"X.d", b"3"), (b"xA", b"4"), (b"X~", b"5")]
        assert names(fields) == ["x-c", "x.d", "x_b", "xa", "x~"]

    def test_javascripts_integer_keys_come_first(self) -> None:
        """Canonical array indices stand before all other names, by value; what only looks like one does not."""
        given_names = [b"b", b"10", b"9", b"0", b"01", b"4294967294", b"4294967295", b"-1", b"1.0", b"1e3", b"!"]
        assert names([(name, b"") for name in given_names]) == [
            "0", "9", "10", "4294967294", "!", "-1", "01", "1.0", "1e3", "4294967295", "b",
        ]  # fmt: skip

    def test_other_scripts_digits_are_no_integer_keys(self) -> None:
        """JavaScript's array indices are ASCII."""
        assert names([("٣".encode(), b""), ("²".encode(), b""), (b"a", b"")]) == ["a", "²", "٣"]

    def test_objects_own_names_are_ordinary(self) -> None:
        """`__proto__` is a name like any other."""
        assert names([(b"constructor", b"1"), (b"__proto__", b"2")]) == ["__proto__", "constructor"]

    def test_repeated_values_are_joined(self) -> None:
        """By a comma and a blank, empty ones too, in their order and whatever the case of their name."""
        fields = [(b"x", b""), (b"X", b"a"), (b"x", b"")]
        assert header_map(fields, all_cookies=False) == {"x": ", a, "}

    def test_cookies_in_pieces_are_put_together_as_in_one_header(self) -> None:
        """HTTP/2 clients send one field a cookie; the Worker's platform joins them like any other."""
        fields = [(b"cookie", b"a=1"), (b"Cookie", b"b=2")]
        assert header_map(fields, all_cookies=True) == {"cookie": "a=1; b=2"}
        assert header_map(fields, all_cookies=False) == {"cookie": "a=1, b=2"}

    def test_of_several_set_cookies_the_worker_keeps_the_last(self) -> None:
        """And `akto` keeps all."""
        fields = [(b"Set-Cookie", b"a=1"), (b"set-cookie", b"b=2"), (b"SET-COOKIE", b"c=3")]
        assert header_map(fields, all_cookies=False) == {"set-cookie": "c=3"}
        assert header_map(fields, all_cookies=True) == {"set-cookie": "a=1, b=2, c=3"}

    def test_bytes_are_read_as_utf_8_one_value_at_a_time(self) -> None:
        """Invalid bytes become replacements; two halves of a character in two values do not make one."""
        assert header_map([(b"x", b"caf\xc3\xa9"), (b"y", b"\xff\xfe")], all_cookies=False) == {
            "x": "café",
            "y": "\ufffd\ufffd",
        }
        assert header_map([(b"x", b"\xc3"), (b"x", b"\xa9")], all_cookies=False) == {"x": "\ufffd, \ufffd"}

    def test_the_json_is_compact_and_escapes_as_javascript_does(self) -> None:
        """Only quotation mark, backslash and what is below U+0020 are escaped; a byte order mark stays."""
        value = '"\\/\b\t\n\f\r\x01\x7f\u2028é\ufeff😀'
        assert entry.to_json({"a": value, "b": ""}) == (
            '{"a":"\\"\\\\/\\b\\t\\n\\f\\r\\u0001\x7f\u2028é\ufeff😀","b":""}'
        )

    @given(
        st.lists(
            st.tuples(
                st.one_of(
                    st.sampled_from(
                        [
                            b"Set-Cookie",
                            b"set-cookie",
                            b"cookie",
                            b"Cookie",
                            b"Host",
                            b"HOST",
                            b"7",
                            b"07",
                            b"X" * 65,
                            b"\xff" * 65,
                        ]
                    ),
                    st.binary(max_size=6),
                    st.integers(0, 2**33).map(lambda n: str(n).encode()),
                ),
                st.binary(max_size=6),
            ),
            max_size=12,
        ),
        st.booleans(),
    )
    def test_any_fields_become_what_a_naive_model_makes(self, fields: list[tuple[bytes, bytes]], every: bool) -> None:
        """The result equals a plain reading of the rules, and is a JSON object."""
        made = header_map(fields, all_cookies=every)
        assert list(made.items()) == naive(fields, every)
        assert json.loads(entry.to_json(made)) == made


def naive(fields: list[tuple[bytes, bytes]], every: bool) -> list[tuple[str, str]]:
    """State the rules for headers once more, slowly."""
    lowered = [(name.decode("utf-8", "replace").lower(), value.decode("utf-8", "replace")) for name, value in fields]
    whole: HeaderMap = {}
    for name in dict.fromkeys(name for name, _ in lowered):
        values = [value for other, value in lowered if other == name]
        joint = "; " if name == "cookie" and every else ", "
        whole[name] = joint.join(values[-1:] if name == "set-cookie" and not every else values)
    indices = [name for name in whole if re.fullmatch("0|[1-9][0-9]*", name) and int(name) <= 4294967294]
    others = sorted(set(whole) - set(indices))
    return [(name, whole[name]) for name in sorted(indices, key=int) + others]


class TestPath:
    """`path` is the WHATWG URL's pathname of the request's target."""

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            (b"/", "/"),
            (b"/api/items/7", "/api/items/7"),
            (b"/a?b=c", "/a"),
            (b"/a#b", "/a"),
            (b"/a?b#c", "/a"),
            (b"/?", "/"),
            (b"?a=b", "/"),
            (b"", "/"),
            (b"//a", "//a"),
            (b"//a//", "//a//"),
            (b"/a/./b/../c", "/a/c"),
            (b"/a/..", "/"),
            (b"/..", "/"),
            (b"/.", "/"),
            (b"/a/.", "/a/"),
            (b"/...", "/..."),
            (b"/a/%2e%2E/b", "/b"),
            (b"/.hidden", "/.hidden"),
            (b"/a.b", "/a.b"),
            (b"/a\\..\\b", "/b"),
            (b"/{id}", "/%7Bid%7D"),
            (b"/a b", "/a%20b"),
            (b"/^", "/%5E"),
            (b'/`"<>', "/%60%22%3C%3E"),
            (b"/|[]'", "/|[]'"),
            (b"/a;y=1", "/a;y=1"),
            (b"/a%2Fb%61", "/a%2Fb%61"),
            (b"/%zz%", "/%zz%"),
            ("/é".encode(), "/%C3%A9"),
            (b"/\xff\xfe", "/%EF%BF%BD%EF%BF%BD"),
            (b"/\x01\x7f", "/%01%7F"),
            (b"/:80", "/:80"),
            (b"/http://x", "/http://x"),
            (b"*", "/*"),
            (b"a/b", "/a/b"),
            (b"http://h/a/../b?c", "/b"),
            (b"https://h", "/"),
            (b"a://b", "/"),
            (b"x://", "/"),
            (b"foo://?q", "/"),
            (b"blob://x", "/"),
            (b"/@a:b!$&'()*+,=~_-", "/@a:b!$&'()*+,=~_-"),
        ],
    )
    def test_it_is_normalised_as_a_url(self, target: bytes, path: str) -> None:
        """Dot segments are resolved, what a URL cannot hold is encoded, everything else stays; no query string."""
        assert path_of(target, include_query=False) == path

    @pytest.mark.parametrize(
        ("target", "path"),
        [
            (b"/a?b=c", "/a?b=c"),
            (b"/a?", "/a"),
            (b"/a?b=c#d", "/a?b=c"),
            (b"/a", "/a"),
            (b"/../a?b=../c", "/a?b=../c"),
            (b"/a?b=\xff{}", "/a?b=%EF%BF%BD{}"),
            (b"/a?b=/http://c", "/a?b=/http://c"),
            (b"/a?u=http://c/../d", "/a?u=http://c/../d"),
            (b"/a??b?c", "/a??b?c"),
        ],
    )
    def test_the_query_string_is_appended_on_request(self, target: bytes, path: str) -> None:
        """With `akto_include_query` the query string follows, encoded as in a URL."""
        assert path_of(target, include_query=True) == path

    @given(st.from_regex(rb"(/[A-Za-z0-9_~!$&'()*+,;=:@.-]{0,4}){1,6}(\?[a-z=&/.]{0,6})?", fullmatch=True))
    def test_the_short_cut_gives_what_the_parser_gives(self, target: bytes) -> None:
        """A plain path is taken as it is, and that is what a WHATWG parser would make of it."""
        parsed = ada_url.URL("http://h" + target.decode("ascii"))
        assert path_of(target, include_query=False) == parsed.pathname
        assert path_of(target, include_query=True) == parsed.pathname + parsed.search

    @given(st.one_of(st.binary(max_size=60), st.text(max_size=30).map(lambda text: text.encode())), st.booleans())
    def test_any_target_becomes_text_of_a_url(self, target: bytes, query: bool) -> None:
        """It never raises; behind a slash, the result is ASCII and parses to itself."""
        path = path_of(b"/" + target, include_query=query)
        assert path.startswith("/")
        assert path.isascii()
        assert path_of(path.encode(), include_query=query) == path

    @given(st.binary(max_size=60), st.booleans())
    def test_a_target_without_a_slash_does_no_harm(self, target: bytes, query: bool) -> None:
        """Whatever stands for a target, there is a text that UTF-8 can hold."""
        path_of(target, include_query=query).encode("utf-8")

    def test_a_long_path_costs_no_more_than_its_length(self) -> None:
        """A hostile path of a megabyte is dealt with in an instant: the expression does not go back and forth."""
        for piece in (b"/a", b"/.", b"//", b"a.", b"/..a", b"/{"):
            path_of(b"/" + piece * 500_000, include_query=False)


class TestFields:
    """The other fields."""

    def test_a_plain_exchange(self) -> None:
        """Every value is a string, and the constants are the Worker's."""
        made = flow(request(b"POST", b"/a?b", content=b'{"n":1}'), response(201, b"Created"))
        assert msgspec.to_builtins(build(WORKER, made)) == {
            "path": "/a",
            "method": "POST",
            "requestHeaders": '{"host":"api.example.com"}',
            "responseHeaders": '{"content-type":"application/json"}',
            "requestPayload": '{"n":1}',
            "responsePayload": '{"ok":true}',
            "ip": "127.0.0.1",
            "time": "1700000000",
            "statusCode": "201",
            "type": "HTTP/1.1",
            "status": "Created",
            "akto_account_id": "1000000",
            "akto_vxlan_id": "0",
            "is_pending": "false",
            "source": "MIRRORING",
            "tag": '{"service": "mitmproxy"}',
        }

    @pytest.mark.parametrize("version", [b"HTTP/1.0", b"HTTP/2.0", b"HTTP/3"])
    def test_the_type_is_the_same_for_every_version(self, version: bytes) -> None:
        """The Worker says HTTP/1.1 whatever is spoken."""
        assert build(AKTO, flow(request(version=version))).type == "HTTP/1.1"

    def test_settings_are_taken_over(self) -> None:
        """Account, collection and tag are what the options say."""
        made = build(replace(AKTO, account_id="7", vxlan_id="42", tag='{"team":"é"}'))
        assert (made.akto_account_id, made.akto_vxlan_id, made.tag) == ("7", "42", '{"team":"é"}')

    @pytest.mark.parametrize(
        ("reason", "status"),
        [(b"", "OK"), (b"Not Modified", "Not Modified"), (b"ok", "ok"), (b"a  b", "a  b"), (b"\xff", "\ufffd")],
    )
    def test_the_status_text_is_the_reason(self, reason: bytes, status: str) -> None:
        """An empty reason, as in HTTP/2, becomes OK."""
        assert build(AKTO, flow(answer=response(reason=reason))).status == status

    @pytest.mark.parametrize(
        ("given_time", "time"),
        [(0.0, "0"), (1700000000.999, "1700000000"), (-5.5, "-5"), (1e15, "1000000000000000")],
    )
    def test_the_time_is_in_whole_seconds(self, given_time: float, time: str) -> None:
        """Fractions are cut off."""
        assert build(AKTO, time=given_time).time == time

    @pytest.mark.parametrize(
        ("fields", "peer", "worker", "akto"),
        [
            ([(b"CF-Connecting-IP", b"203.0.113.9")], ("192.0.2.7", 1), "203.0.113.9", "203.0.113.9"),
            ([], ("192.0.2.7", 1), "127.0.0.1", "192.0.2.7"),
            ([], ("2001:db8::1", 1, 0, 0), "127.0.0.1", "2001:db8::1"),
            ([], None, "127.0.0.1", "127.0.0.1"),
            ([(b"cf-connecting-ip", b"")], ("192.0.2.7", 1), "127.0.0.1", "192.0.2.7"),
            ([(b"cf-connecting-ip", b"1.1.1.1, 2.2.2.2")], None, "1.1.1.1, 2.2.2.2", "1.1.1.1"),
            ([(b"cf-connecting-ip", b"1.1.1.1"), (b"cf-connecting-ip", b"2")], None, "1.1.1.1, 2", "1.1.1.1"),
            ([(b"cf-connecting-ip", b" , 2.2.2.2")], ("192.0.2.7", 1), " , 2.2.2.2", "192.0.2.7"),
            ([(b"cf-connecting-ip", b"\xff")], None, "\ufffd", "127.0.0.1"),
            ([(b"cf-connecting-ip", b"<b>8.8.8.8")], ("192.0.2.7", 1), "<b>8.8.8.8", "192.0.2.7"),
            ([(b"cf-connecting-ip", b"1" * 9000)], ("192.0.2.7", 1), "1" * 9000, "192.0.2.7"),
            ([(b"x-forwarded-for", b"203.0.113.9")], None, "127.0.0.1", "127.0.0.1"),
        ],
    )  # fmt: skip
    def test_the_clients_address(self, fields: Fields, peer: object, worker: str, akto: str) -> None:
        """From the header as it is, else 127.0.0.1; in `akto` the first of a list if it is one, else the peer's."""
        made = flow(request(fields=fields), peer=peer)
        assert build(WORKER, made).ip == worker
        assert build(AKTO, made).ip == akto

    def test_the_clients_address_comes_from_the_header_that_is_named(self) -> None:
        """And from no other."""
        made = flow(request(fields=[(b"X-Real-IP", b"9.9.9.9"), (b"cf-connecting-ip", b"1.1.1.1")]))
        assert build(replace(AKTO, client_ip_header="x-real-ip"), made).ip == "9.9.9.9"
        assert build(replace(AKTO, client_ip_header=""), made).ip == "192.0.2.7"

    def test_the_host_is_put_among_the_headers_at_its_place(self) -> None:
        """It replaces the one that is there, or stands where it would be sorted."""
        made = flow(request(fields=[(b"accept", b"*/*"), (b"x", b"1")]))
        assert build(AKTO, made, host="a.test").requestHeaders == '{"accept":"*/*","host":"a.test","x":"1"}'
        assert build(AKTO, host="a.test").requestHeaders == '{"host":"a.test"}'
        assert build(AKTO, host="").requestHeaders == '{"host":"api.example.com"}'

    @pytest.mark.parametrize("shape", [AKTO, WORKER])
    def test_a_websocket_has_no_payloads(self, shape: CaptureConfig) -> None:
        """Whatever was sent with the handshake."""
        made = build(shape, flow(request(content=b"{}"), response(101, b"Switching Protocols")), is_websocket=True)
        assert (made.type, made.requestPayload, made.responsePayload) == ("WebSocket", "", "")
        assert (made.statusCode, made.status) == ("101", "Switching Protocols")

    @pytest.mark.parametrize("status", [101, 103, 204, 205, 304])
    def test_statuses_without_a_body_have_none_in_the_worker(self, status: int) -> None:
        """The platform gives such a response no body, even if one was sent; `akto` keeps what there was."""
        made = flow(answer=response(status))
        assert build(WORKER, made).responsePayload == ""
        assert build(AKTO, made).responsePayload == '{"ok":true}'

    def test_compressed_requests_are_decoded_in_akto_only(self) -> None:
        """The Worker never looks at a request's content coding."""
        fields = [(b"content-encoding", b"gzip")]
        coded = gzip.compress(b'{"n":1}')
        made = flow(request(b"POST", fields=fields, content=coded))
        assert build(AKTO, made).requestPayload == '{"n":1}'
        assert build(WORKER, made).requestPayload == coded.decode("utf-8", "replace")

    def test_grpc_is_base64_in_akto_only(self) -> None:
        """Of the raw bytes within the limit."""
        fields = [(b"content-type", b"application/grpc")]
        frames = b"\x00\x00\x00\x00\x02\x08\xff"
        made = flow(request(b"POST", fields=fields, content=frames), response(fields=fields, content=frames))
        assert base64.b64decode(build(AKTO, made).requestPayload) == frames
        assert base64.b64decode(build(AKTO, made).responsePayload) == frames
        assert build(WORKER, made).responsePayload == frames.decode("utf-8", "replace")

    def test_the_body_limit_counts_on_both_sides(self) -> None:
        """Each body is cut by itself."""
        made = flow(request(b"POST", content=b"a" * 99), response(content=b"b" * 99))
        cut = build(replace(AKTO, body_limit=7), made)
        assert (cut.requestPayload, cut.responsePayload) == ("a" * 7, "b" * 7)

    def test_a_method_of_any_bytes(self) -> None:
        """Kept as it was, in its own case."""
        assert build(AKTO, flow(request(b"pUrGe"))).method == "pUrGe"
        assert build(AKTO, flow(request(b"\xff"))).method == "\ufffd"


class TestEncoding:
    """On the wire."""

    def test_the_fields_are_in_the_workers_order(self) -> None:
        """The order of the Worker's object literal."""
        assert ",".join(json.loads(encode(build(WORKER)))) == (
            "path,method,requestHeaders,responseHeaders,requestPayload,responsePayload,ip,time,statusCode,type,status,"
            "akto_account_id,akto_vxlan_id,is_pending,source,tag"
        )

    @pytest.mark.parametrize("char", ["\x01", '"', "é", "😀", "a"])
    def test_an_entry_over_the_bound_is_cut_to_fit(self, char: str) -> None:
        """Line 5: escapes make a text six times as long; payloads are cut until the entry fits, the rest stays."""
        made = replace_payloads(build(AKTO), char * MAX_ENTRY_BYTES, char * 2000)
        encoded = encode(shorten(made))
        assert 0.9 * MAX_ENTRY_BYTES < len(encoded) <= MAX_ENTRY_BYTES
        shipped = json.loads(encoded)
        assert shipped["path"] == made.path
        assert made.requestPayload.startswith(shipped["requestPayload"])
        assert len(shipped["requestPayload"]) > 1000

    def test_base64_stays_base64(self) -> None:
        """What is left of a gRPC payload can be decoded."""
        made = replace_payloads(build(AKTO), "QUJD" * (MAX_ENTRY_BYTES // 4), "QUJD")
        shipped = json.loads(encode(shorten(made)))
        assert set(base64.b64decode(shipped["requestPayload"], validate=True)) == set(b"ABC")

    @pytest.mark.parametrize("turned", [False, True])
    def test_escapes_in_one_half(self, turned: bool) -> None:
        """A text whose escapes all stand at one end still fits."""
        halves = ["\x01" * MAX_ENTRY_BYTES, "a" * MAX_ENTRY_BYTES]
        made = replace_payloads(build(AKTO), "".join(reversed(halves) if turned else halves), "")
        assert len(encode(shorten(made))) <= MAX_ENTRY_BYTES

    def test_one_that_fits_is_not_touched(self) -> None:
        """Exactly the bound is within it."""
        room = MAX_ENTRY_BYTES - len(encode(replace_payloads(build(AKTO), "", "")))
        whole = replace_payloads(build(AKTO), "a" * room, "")
        assert len(encode(whole)) == MAX_ENTRY_BYTES
        assert json.loads(encode(shorten(whole)))["requestPayload"] == whole.requestPayload
        assert len(encode(shorten(replace_payloads(whole, "a" * (room + 1), "")))) < MAX_ENTRY_BYTES

    @pytest.mark.parametrize("byte", [b'"', b"\\", b"\x01", b"\xff", b"a"])
    def test_whatever_is_too_long_is_cut(self, byte: bytes) -> None:
        """Headers, their names, the path, method and reason of megabytes leave an entry that fits."""
        long = byte * 2_000_000
        fields = [(b"a", long), (long, b"b"), *((b"x%d" % number, byte * 9000) for number in range(100))]
        made = build(AKTO, flow(request(long, b"/" + long, fields=fields), response(reason=long, fields=fields)))
        shipped = json.loads(encode(shorten(made)))
        assert entry.is_oversized(made, b"")
        assert json.loads(shipped["requestHeaders"])["a"] == json.loads(made.requestHeaders)["a"][: entry.MAX_HEADER]
        assert len(encode(shorten(made))) <= MAX_ENTRY_BYTES

    def test_repeated_headers_take_linear_time(self) -> None:
        """One name a hundred thousand times is joined once; joined one by one, it would take minutes."""
        fields = [(b"a", b"b" * 100)] * 100_000
        assert len(entry.header_map(fields, all_cookies=True)["a"]) == 102 * 100_000 - 2

    @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
    def test_any_text_survives(self, text: str) -> None:
        """JSON gives back what was put in."""
        assert json.loads(encode(replace_payloads(build(AKTO), text, text)))["responsePayload"] == text


def replace_payloads(made: Entry, asked: str, answered: str) -> Entry:
    """Return an entry with other payloads."""
    return msgspec.structs.replace(made, requestPayload=asked, responsePayload=answered)
