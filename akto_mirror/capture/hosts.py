"""Finds the host that the client asked for, which mitmproxy's reverse mode replaces before any addon sees it.

With the option `keep_host_header` mitmproxy does not replace it; the addon then does so itself: with the same value in
the same place, before any other addon sees the request, and with the same server name (SNI) for TLS.
"""

from __future__ import annotations

from mitmproxy import connection, http
from mitmproxy.net.http import url
from mitmproxy.proxy.mode_specs import RegularMode, ReverseMode

from akto_mirror.capture import routes

# Key of the client's host in `flow.metadata`, so that it is still known when a saved flow is replayed.
ASKED = "akto_host"

TLS_SCHEMES = frozenset({"http3", "quic", "https", "tls", "dtls"})


def replace(flow: http.HTTPFlow) -> None:
    """Record the client's host and replace it by the target's, as mitmproxy's HTTP layer does in reverse mode.

    In a replayed flow, the host was replaced when the flow was live.
    """
    if not isinstance(flow.client_conn.proxy_mode, ReverseMode):
        return
    request = flow.request
    target = url.hostport(request.scheme, request.host, request.port)
    named = request.data.authority
    before = _exchange(request, target.encode("utf-8", "surrogateescape"))
    if not (flow.is_replay and ASKED in flow.metadata):
        flow.metadata[ASKED] = (named or before).decode("utf-8", "replace")


def _exchange(request: http.Request, target: bytes) -> bytes:
    """Set the host header and return its first value, in HTTP/1 without mitmproxy's more expensive look-ups."""
    fields = request.headers.fields
    place = next((place for place, (name, _) in enumerate(fields) if len(name) == 4 and _is_host(name)), None)
    if place is None or request.is_http2 or request.is_http3:
        request.host_header = target
    else:
        rest = [field for field in fields[place + 1 :] if len(field[0]) != 4 or not _is_host(field[0])]
        request.headers.fields = (*fields[:place], (fields[place][0], target), *rest)
    return b"" if place is None else fields[place][1]


def _is_host(name: bytes) -> bool:
    return name.lower() == b"host"


def name_server(client: connection.Client, server: connection.Server) -> None:
    """Set the server name that mitmproxy's reverse mode would send; without `keep_host_header` it is the target's."""
    mode = client.proxy_mode
    if not isinstance(mode, ReverseMode) or mode.scheme not in TLS_SCHEMES or server.address != mode.address:
        return
    if server.sni in (None, client.sni):
        server.sni = mode.address[0]


def asked(flow: http.HTTPFlow, header: str) -> str:
    """Return the host that the client asked for.

    A request target in absolute form names it, not Host (RFC 9112, section 3.2.2); so does `:authority` (RFC 9113,
    section 8.3.1).

    Args:
        flow: a live or a saved flow.
        header: the value of its `host` header as it is now.
    """
    noted = flow.metadata.get(ASKED)
    if isinstance(noted, str) and noted:
        return noted
    if authority := flow.request.data.authority:
        return authority.decode("utf-8", "replace")
    return header


def normal(host: str, *, tls: bool) -> str:
    """Return a host in the one spelling that names an API collection.

    That is lower-case, without a final dot, a default port, or the user that some clients leave before an `@`.

    Args:
        host: as the client spelt it.
        tls: whether the client's connection has TLS, whose default port is 443 instead of 80.
    """
    host = host.lower().rpartition("@")[2]
    name, mark, port = host.rpartition(":")
    if not mark or "]" in port:
        return host.removesuffix(".")
    name = name.removesuffix(".")
    return name if port in ("", "443" if tls else "80") else f"{name}:{port}"


def note_absolute(flow: http.HTTPFlow) -> None:
    """Record the host of a request target in absolute form, which mitmproxy's regular mode turns into origin form.

    In regular mode the request's host is the target's, and no server is chosen yet; in a CONNECT tunnel one is.
    """
    request = flow.request
    if not isinstance(flow.client_conn.proxy_mode, RegularMode) or flow.server_conn.address or request.is_http2:
        return
    target = url.hostport(request.scheme, request.host, request.port)
    if routes.host_name(request.host_header or "") != routes.host_name(target):
        flow.metadata[ASKED] = target


def modernize(flow: http.HTTPFlow) -> None:
    """Remove pseudo-headers from a saved HTTP/2 flow's headers, where mitmproxy 6 and older kept them.

    A live flow has none: mitmproxy has kept them apart since version 7.
    """
    for message in (flow.request, flow.response):
        if message and any(name.startswith(b":") for name, _ in message.headers.fields):
            fields = message.headers.fields
            message.headers.fields = tuple(field for field in fields if not field[0].startswith(b":"))
            if message is flow.request and not flow.request.data.authority:
                flow.request.data.authority = dict(fields).get(b":authority", b"")
