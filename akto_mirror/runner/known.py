"""Lists the code of mitmproxy that the runner replaces, and checks that it is a known version."""

from __future__ import annotations

import functools
import hashlib
import inspect
from typing import Any

from mitmproxy import addonmanager, flow, hooks, http, optmanager
from mitmproxy.addons import asgiapp, onboarding, proxyserver
from mitmproxy.proxy import mode_servers, server

# Replaced code, and code that the replacements rely on: identical in every release from 11.0.2 to 12.3.1.
REPLACED: tuple[Any, ...] = (
    addonmanager.AddonManager,
    addonmanager.cut_traceback,
    addonmanager.safecall,
    addonmanager.traverse,
    asgiapp.ASGIApp,
    flow.Flow.wait_for_resume,
    hooks.Hook.args,
    http.MessageData,
    mode_servers.ProxyConnectionHandler,
    mode_servers.ServerInstance.handle_stream,
    onboarding.Onboarding.request,
    optmanager._Option,
    optmanager.OptManager.__getattr__,
    proxyserver.Proxyserver.register_connection,
    server.ConnectionHandler.hook_task,
)

KNOWN = "4d684efd0c9475b73a1b79e21756991a614c319f3e1e5b0e65de49efa6bfa262"


@functools.cache
def is_known() -> bool:
    """Return whether that code is identical in the installed mitmproxy."""
    return digest() == KNOWN


def digest() -> str:
    """Return the digest of that code; empty if its source is not available."""
    try:
        source = "\n".join(map(inspect.getsource, REPLACED))
    except (OSError, TypeError):
        return ""
    return hashlib.sha256(source.encode()).hexdigest()
