"""In reverse mode, records the host that the client asked for, while the target still receives its own."""

from __future__ import annotations

from mitmproxy import ctx, http
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from akto_mirror.addon import chain
from akto_mirror.addon.session import Session, guarded
from akto_mirror.capture import hosts


class HostReplacer:
    """Runs before all other addons, including scripts that were loaded earlier."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Replace the host, as mitmproxy would have done before this hook."""
        if flow.live:
            hosts.replace(flow)


class HostHeader:
    """Makes mitmproxy keep the client's Host, and replaces it by the target's before any other addon sees it."""

    name = "akto-host-header"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._replacer: HostReplacer | None = None

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Start when mitmproxy would replace hosts."""
        del updated
        if self._replacer is None and _replaces_hosts():
            self._replacer = HostReplacer(self.session)
            chain.stand_first(ctx.master.addons, self._replacer)
            ctx.options.update(keep_host_header=True)

    @guarded
    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Note the host of a request target in absolute form."""
        if flow.live:
            hosts.note_absolute(flow)

    @guarded
    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Set the TLS server name as mitmproxy would without `keep_host_header`."""
        if self._replacer is not None:
            hosts.name_server(data.client, data.server)

    @guarded
    def done(self) -> None:
        """Restore everything, in case mitmproxy keeps running."""
        if self._replacer is not None and not ctx.master.should_exit.is_set():
            chain.stand_back(ctx.master.addons, self._replacer)
            ctx.options.update(keep_host_header=False)
            self._replacer = None


def _replaces_hosts() -> bool:
    """Return whether mitmproxy replaces hosts by the target's; without a proxy server the option does not exist."""
    keeps = getattr(ctx.options, "keep_host_header", True)
    return not keeps and any(mode.lower().startswith("reverse:") for mode in ctx.options.mode)
