"""In reverse mode the client's host is known, and the target still gets its own."""

from __future__ import annotations

from mitmproxy import ctx, http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from akto_mirror.addon import chain
from akto_mirror.addon.session import Session, guarded
from akto_mirror.capture import hosts


class HostReplacer:
    """Stands before all other addons, scripts that were loaded earlier included."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Do what mitmproxy would have done before this hook."""
        if flow.live:
            hosts.replace(flow)


class HostHeader:
    """Has mitmproxy keep the client's Host, and puts the target's in its place before any other addon looks."""

    name = "akto-host-header"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._replacer: HostReplacer | None = None

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Begin once mitmproxy would replace hosts."""
        del updated
        if self._replacer is None and _replaces_hosts():
            self._replacer = HostReplacer(self.session)
            chain.stand_first(ctx.master.addons, self._replacer)
            ctx.options.update(keep_host_header=True)

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note the host of a target in absolute form."""
        if flow.live:
            hosts.note_absolute(flow)

    @guarded
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Name the server as mitmproxy would, had it not been asked to leave the host alone."""
        if self._replacer is not None:
            hosts.name_server(data.client, data.server)

    @guarded
    def done(self) -> None:
        """Leave everything as it was, where mitmproxy goes on."""
        if self._replacer is not None and not ctx.master.should_exit.is_set():
            chain.stand_back(ctx.master.addons, self._replacer)
            ctx.options.update(keep_host_header=False)
            self._replacer = None


def _replaces_hosts() -> bool:
    """Return whether mitmproxy puts the target's host into requests; it has no such option without a proxy server."""
    keeps = getattr(ctx.options, "keep_host_header", True)
    return not keeps and any(mode.lower().startswith("reverse:") for mode in ctx.options.mode)
