"""The client's host is kept for the entry, and the target still gets its own."""

from __future__ import annotations

import pytest
from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.test.tflow import tclient_conn, tserver_conn

from akto_mirror.addon.host_header import HostReplacer
from akto_mirror.capture import hosts
from tests.support.flows import flow
from tests.support.harness import Harness, mirroring


def replacers(mirror: Harness) -> list[bool]:
    """Return for each addon in the chain whether it replaces hosts."""
    return [isinstance(addon, HostReplacer) for addon in mirror.context.master.addons.chain]


@pytest.mark.parametrize(
    ("mode", "keeps", "begins"),
    [
        ("reverse:http://target.internal:8080", False, True),
        ("reverse:http://target.internal:8080", True, False),
        ("regular", False, False),
    ],
)
def test_it_begins_where_mitmproxy_would_replace_hosts(mode: str, keeps: bool, begins: bool) -> None:
    """Hosts are replaced once, before all other addons, and mitmproxy's own replacement is turned off."""
    with mirroring(mode=[mode], keeps_host=keeps) as mirror:
        mirror.configure(linger_ms=5)
        assert replacers(mirror) == [begins, *[False] * (len(replacers(mirror)) - 1)]
        assert mirror.context.options.keep_host_header is (begins or keeps)


def test_the_target_gets_its_own_host() -> None:
    """The client's host is recorded before it is replaced; a replayed flow keeps its host."""
    with mirroring(mode=["reverse:http://target.internal:8080"]) as mirror:
        live, replayed = (flow(mode="reverse:http://target.internal:8080", live=each) for each in (True, False))
        for made in (live, replayed):
            mirror.pass_on(made)
        assert live.request.headers["host"] == "target.internal:8080"
        assert live.metadata[hosts.ASKED] == "api.example.com"
        assert replayed.request.headers["host"] == "api.example.com"


@pytest.mark.parametrize("replaces", [True, False])
def test_the_name_of_the_server_is_mitmproxys(replaces: bool) -> None:
    """With the client's Host kept, TLS would use the client's name as the server name."""
    with mirroring(mode=["reverse:https://target.internal"] if replaces else ["regular"]) as mirror:
        client, server = tclient_conn(), tserver_conn()
        client.proxy_mode = flow(mode="reverse:https://target.internal").client_conn.proxy_mode
        client.sni, server.sni = "asked.example", None
        server.address, server.tls = ("target.internal", 443), True
        mirror.hook("server_connect", ServerConnectionHookData(server, client))  # type: ignore[arg-type]
        assert server.sni == ("target.internal" if replaces else None)
