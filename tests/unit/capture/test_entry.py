"""Every field of an entry, in both fidelities."""

from __future__ import annotations

import base64
import gzip
from dataclasses import replace

import msgspec
import pytest

from akto_mirror.capture.config import CaptureConfig
from tests.support.built import AKTO, WORKER, build
from tests.support.flows import Fields, flow, request, response


class TestFields:
    """All fields of an entry, except for the details that other files test."""

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
        """The type is HTTP/1.1 for all versions, as in the Worker."""
        assert build(AKTO, flow(request(version=version))).type == "HTTP/1.1"

    def test_settings_are_taken_over(self) -> None:
        """Account, collection and tag come from the options."""
        made = build(replace(AKTO, account_id="7", vxlan_id="42", tag='{"team":"é"}'))
        assert (made.akto_account_id, made.akto_vxlan_id, made.tag) == ("7", "42", '{"team":"é"}')

    @pytest.mark.parametrize(
        ("reason", "status"),
        [(b"", "OK"), (b"Not Modified", "Not Modified"), (b"ok", "ok"), (b"a  b", "a  b"), (b"\xff", "\ufffd")],
    )
    def test_the_status_text_is_the_reason(self, reason: bytes, status: str) -> None:
        """The status is the reason phrase; an empty one, as in HTTP/2, becomes OK."""
        assert build(AKTO, flow(answer=response(reason=reason))).status == status

    @pytest.mark.parametrize(
        ("given_time", "time"),
        [(0.0, "0"), (1700000000.999, "1700000000"), (-5.5, "-5"), (1e15, "1000000000000000")],
    )
    def test_the_time_is_in_whole_seconds(self, given_time: float, time: str) -> None:
        """Fractions of the seconds are cut off."""
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
        """The header's value is used, else 127.0.0.1; `akto` uses the first address of a list, else the peer's."""
        made = flow(request(fields=fields), peer=peer)
        assert build(WORKER, made).ip == worker
        assert build(AKTO, made).ip == akto

    def test_the_clients_address_comes_from_the_header_that_is_named(self) -> None:
        """Only the configured header is used, or none."""
        made = flow(request(fields=[(b"X-Real-IP", b"9.9.9.9"), (b"cf-connecting-ip", b"1.1.1.1")]))
        assert build(replace(AKTO, client_ip_header="x-real-ip"), made).ip == "9.9.9.9"
        assert build(replace(AKTO, client_ip_header=""), made).ip == "192.0.2.7"

    def test_the_host_is_put_among_the_headers_at_its_place(self) -> None:
        """The host replaces the existing header, or is inserted in sorted order."""
        made = flow(request(fields=[(b"accept", b"*/*"), (b"x", b"1")]))
        assert build(AKTO, made, host="a.test").requestHeaders == '{"accept":"*/*","host":"a.test","x":"1"}'
        assert build(AKTO, host="a.test").requestHeaders == '{"host":"a.test"}'
        assert build(AKTO, host="").requestHeaders == '{"host":"api.example.com"}'

    @pytest.mark.parametrize("shape", [AKTO, WORKER])
    def test_a_websocket_has_no_payloads(self, shape: CaptureConfig) -> None:
        """An accepted WebSocket has no payloads, whatever was sent with the handshake."""
        made = build(shape, flow(request(content=b"{}"), response(101, b"Switching Protocols")), is_websocket=True)
        assert (made.type, made.requestPayload, made.responsePayload) == ("WebSocket", "", "")
        assert (made.statusCode, made.status) == ("101", "Switching Protocols")

    @pytest.mark.parametrize("status", [101, 103, 204, 205, 304])
    def test_statuses_without_a_body_have_none_in_the_worker(self, status: int) -> None:
        """Responses with these statuses have no payload in `worker`, because the platform drops it; `akto` keeps it."""
        made = flow(answer=response(status))
        assert build(WORKER, made).responsePayload == ""
        assert build(AKTO, made).responsePayload == '{"ok":true}'

    def test_compressed_requests_are_decoded_in_akto_only(self) -> None:
        """Request bodies are decoded in `akto` only, because the Worker ignores their content coding."""
        fields = [(b"content-encoding", b"gzip")]
        coded = gzip.compress(b'{"n":1}')
        made = flow(request(b"POST", fields=fields, content=coded))
        assert build(AKTO, made).requestPayload == '{"n":1}'
        assert build(WORKER, made).requestPayload == coded.decode("utf-8", "replace")

    def test_grpc_is_base64_in_akto_only(self) -> None:
        """Bodies of gRPC become base64 of the raw bytes in `akto` only."""
        fields = [(b"content-type", b"application/grpc")]
        frames = b"\x00\x00\x00\x00\x02\x08\xff"
        made = flow(request(b"POST", fields=fields, content=frames), response(fields=fields, content=frames))
        assert base64.b64decode(build(AKTO, made).requestPayload) == frames
        assert base64.b64decode(build(AKTO, made).responsePayload) == frames
        assert build(WORKER, made).responsePayload == frames.decode("utf-8", "replace")

    def test_the_body_limit_counts_on_both_sides(self) -> None:
        """The limit applies to each body separately."""
        made = flow(request(b"POST", content=b"a" * 99), response(content=b"b" * 99))
        cut = build(replace(AKTO, body_limit=7), made)
        assert (cut.requestPayload, cut.responsePayload) == ("a" * 7, "b" * 7)

    def test_a_method_of_any_bytes(self) -> None:
        """The method keeps its case, and invalid bytes become U+FFFD."""
        assert build(AKTO, flow(request(b"pUrGe"))).method == "pUrGe"
        assert build(AKTO, flow(request(b"\xff"))).method == "\ufffd"
