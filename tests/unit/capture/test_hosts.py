"""The client's host is remembered, and the target gets the host that mitmproxy would have sent."""

from __future__ import annotations

import pytest
from mitmproxy.connection import Client, Server
from mitmproxy.proxy.mode_specs import ProxyMode
from mitmproxy.test.tflow import tclient_conn, tserver_conn

from akto_mirror.capture import hosts
from tests.support.flows import flow, request

REVERSE = "reverse:http://target.internal:8080"


@pytest.mark.parametrize(
    ("address", "tls", "sent"),
    [
        (("target.internal", 8080), False, "target.internal:8080"),
        (("target.internal", 80), False, "target.internal"),
        (("target.internal", 443), True, "target.internal"),
        (("target.internal", 80), True, "target.internal:80"),
        (("192.0.2.1", 8080, 0, 0), False, "192.0.2.1:8080"),
    ],
)
def test_in_reverse_mode_the_targets_host_takes_the_clients_place(
    address: tuple[str, int], tls: bool, sent: str
) -> None:
    """The value is the one that mitmproxy writes, with the port unless it is the scheme's default."""
    made = flow(request(fields=[(b"A", b"1"), (b"hOST", b"asked.example"), (b"b", b"2")]), mode=REVERSE)
    made.request.data.host, made.request.data.port = address[:2]
    made.request.data.scheme = b"https" if tls else b"http"
    hosts.replace(made)
    assert made.request.headers["host"] == sent
    assert [name.lower() for name, _ in made.request.headers.fields] == [b"a", b"host", b"b"]
    assert hosts.asked(made, sent) == "asked.example"


@pytest.mark.parametrize("mode", ["regular", "transparent", "socks5", "upstream:http://next:8080"])
def test_in_other_modes_nothing_is_touched(mode: str) -> None:
    """In other modes the host is not replaced."""
    made = flow(mode=mode)
    hosts.replace(made)
    assert made.request.headers["host"] == "api.example.com"
    assert hosts.asked(made, "api.example.com") == "api.example.com"
    assert made.metadata == {}


def test_a_replayed_flow_reports_what_its_first_client_asked_for() -> None:
    """The first client's host is kept; the new target gets its own."""
    made = flow(mode=REVERSE)
    made.request.data.host, made.request.data.port = "target.internal", 80
    hosts.replace(made)
    made.is_replay = "request"
    made.request.data.port = 8081
    hosts.replace(made)
    assert made.request.headers["host"] == "target.internal:8081"
    assert hosts.asked(made, "") == "api.example.com"


@pytest.mark.parametrize(
    ("raw", "asked"),
    [(b"caf\xc3\xa9.example", "café.example"), (b"\xff.example", "\ufffd.example"), (b"A.Example:81", "A.Example:81")],
)
def test_a_host_of_any_bytes_is_text(raw: bytes, asked: str) -> None:
    """The host is kept as the client sent it, with U+FFFD for invalid UTF-8."""
    made = flow(request(fields=[(b"host", raw)]), mode=REVERSE)
    hosts.replace(made)
    assert hosts.asked(made, "target.internal:8080") == asked


def test_without_a_host_header_the_authority_stands_in() -> None:
    """HTTP/2 and HTTP/3 send `:authority` in place of `Host`."""
    made = flow(request(fields=[], authority=b"h2.example", version=b"HTTP/2.0"), mode=REVERSE)
    assert hosts.asked(made, "") == "h2.example"
    hosts.replace(made)
    assert hosts.asked(made, "") == "h2.example"
    assert hosts.asked(flow(request(fields=[], authority=b"\xff.example")), "") == "\ufffd.example"


def test_a_request_without_any_host_reports_what_was_sent() -> None:
    """Without a host, as in HTTP/1.0, the one that was sent to the target is reported."""
    made = flow(request(fields=[]), mode=REVERSE)
    hosts.replace(made)
    assert hosts.asked(made, "target.internal:8080") == "target.internal:8080"


def test_a_saved_flow_holds_the_clients_host() -> None:
    """The client's host is in the flow's metadata, which flow files keep."""
    made = flow(mode=REVERSE)
    hosts.replace(made)
    copied = flow()
    copied.set_state(made.get_state())
    assert hosts.asked(copied, "target.internal:8080") == "api.example.com"


def test_a_strange_note_is_left_out() -> None:
    """A note of another type is ignored: flow files may come from anyone."""
    made = flow()
    made.metadata[hosts.ASKED] = ["x"]
    assert hosts.asked(made, "api.example.com") == "api.example.com"


class TestServerName:
    """The server name for TLS is the one that mitmproxy sends without `keep_host_header`."""

    def ends(self, mode: str, sni: str | None = None, client_sni: str | None = None) -> tuple[Client, Server]:
        """Return the client's and the server's connection of a proxy in this mode."""
        client, server = tclient_conn(), tserver_conn()
        client.proxy_mode = ProxyMode.parse(mode)
        client.sni, server.sni, server.address = client_sni, sni, ("target.internal", 443)
        return client, server

    @pytest.mark.parametrize("sni", [None, "asked.example"])
    def test_it_is_the_targets(self, sni: str | None) -> None:
        """The name is the target's if it was unset or the client's."""
        client, server = self.ends("reverse:https://target.internal:443", sni, client_sni="asked.example")
        hosts.name_server(client, server)
        assert server.sni == "target.internal"

    def test_another_addons_choice_stays(self) -> None:
        """A name that another addon has set is kept."""
        client, server = self.ends("reverse:https://target.internal:443", "other.example", client_sni="asked.example")
        hosts.name_server(client, server)
        assert server.sni == "other.example"

    @pytest.mark.parametrize("mode", ["reverse:http://target.internal:443", "regular", "reverse:https://other:443"])
    def test_elsewhere_it_is_left_alone(self, mode: str) -> None:
        """The name is not set without TLS, in other modes, or for a server that is not the mode's target."""
        client, server = self.ends(mode)
        hosts.name_server(client, server)
        assert server.sni is None


@pytest.mark.parametrize(
    ("host", "tls", "shown"),
    [
        ("API.Example.com", False, "api.example.com"),
        ("api.example.com.", False, "api.example.com"),
        ("api.example.com.:80", False, "api.example.com"),
        ("api.example.com:80", False, "api.example.com"),
        ("api.example.com:443", True, "api.example.com"),
        ("api.example.com:443", False, "api.example.com:443"),
        ("api.example.com:80", True, "api.example.com:80"),
        ("api.example.com:8080", True, "api.example.com:8080"),
        ("api.example.com:", True, "api.example.com"),
        ("user:pass@API.example.com:443", True, "api.example.com"),
        ("[2001:DB8::1]", True, "[2001:db8::1]"),
        ("[2001:DB8::1]:443", True, "[2001:db8::1]"),
        ("", True, ""),
    ],
)
def test_a_host_has_one_spelling(host: str, tls: bool, shown: str) -> None:
    """A host is normalised, because Akto makes a collection for each spelling."""
    assert hosts.normal(host, tls=tls) == shown
