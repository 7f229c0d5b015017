"""The host that the client asked for, which mitmproxy's reverse mode replaces before any addon sees it.

With the option `keep_host_header` mitmproxy leaves it alone; the addon then puts in what mitmproxy would have: the
same value at the same place, before any other addon looks, and the same server name (SNI) for TLS.
"""

from __future__ import annotations

from mitmproxy import connection, http
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import ReverseMode

# Key of the client's host in `flow.metadata`, so that it is still known when a saved flow is replayed.
ASKED = "akto_host"

TLS_SCHEMES = frozenset({"http3", "quic", "https", "tls", "dtls"})


class HostReplacer:
    """An addon that stands before all others, scripts that were loaded earlier included."""

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Do what mitmproxy would have done before this hook."""
        if flow.live:
            replace(flow)


def replace(flow: http.HTTPFlow) -> None:
    """Note the client's host and put the target's in its place, as mitmproxy's HTTP layer does in reverse mode.

    The host of a flow that is replayed was replaced when it was live.
    """
    if not isinstance(flow.client_conn.proxy_mode, ReverseMode):
        return
    request = flow.request
    target = url.hostport(request.scheme, request.host, request.port)
    before = _exchange(request, target.encode("utf-8", "surrogateescape")).decode("utf-8", "replace")
    if not (flow.is_replay and ASKED in flow.metadata):
        flow.metadata[ASKED] = before


def _exchange(request: http.Request, target: bytes) -> bytes:
    """Set the host header and return what it was, in the common case without mitmproxy's look-ups, which cost more."""
    fields = request.headers.fields
    places = [place for place, (name, _) in enumerate(fields) if len(name) == 4 and name.lower() == b"host"]
    if len(places) != 1 or request.is_http2 or request.is_http3:
        before = (request.host_header or "").encode("utf-8", "surrogateescape")
        request.host_header = target
        return before
    place = places[0]
    name, before = fields[place]
    request.headers.fields = (*fields[:place], (name, target), *fields[place + 1 :])
    return before


def name_server(client: connection.Client, server: connection.Server) -> None:
    """Set the server name that mitmproxy's reverse mode would send; without `keep_host_header` it is the target's."""
    mode = client.proxy_mode
    if not isinstance(mode, ReverseMode) or mode.scheme not in TLS_SCHEMES or server.address != mode.address:
        return
    if server.sni in (None, client.sni):
        server.sni = mode.address[0]


def asked(flow: http.HTTPFlow, header: str) -> str:
    """Return the host that the client asked for.

    Args:
        flow: a live or a saved flow.
        header: the value of its `host` header as it is now.
    """
    noted = flow.metadata.get(ASKED)
    if isinstance(noted, str) and noted:
        return noted
    return header or flow.request.data.authority.decode("utf-8", "replace")
