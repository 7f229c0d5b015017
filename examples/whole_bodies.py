"""A script that changes whole bodies, side by side with akto_addon.py.

Usage: mitmdump -s whole_bodies.py -s akto_addon.py

Bodies that stream cannot be changed in `response`. This script makes mitmproxy buffer those that it changes, by
setting `stream` to False; all others still stream. `akto_stream=never` would do so for every body. It is loaded first,
so that what is mirrored is what the client gets.
"""

from mitmproxy import http


def responseheaders(flow: http.HTTPFlow) -> None:
    """Buffer JSON."""
    if flow.response and "json" in flow.response.headers.get("content-type", ""):
        flow.response.stream = False


def response(flow: http.HTTPFlow) -> None:
    """Rename a field on its way to the client."""
    if flow.response and flow.response.content and not flow.response.stream:
        flow.response.content = flow.response.content.replace(b'"colour"', b'"color"')
