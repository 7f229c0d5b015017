"""Serves metrics at the address in `akto_metrics`."""

from __future__ import annotations

import logging

from akto_mirror.addon.session import Session, guarded
from akto_mirror.config.declarations import ConfigError
from akto_mirror.escaping import host_and_port
from akto_mirror.telemetry.server import MetricsServer

logger = logging.getLogger(__name__)


class Metrics:
    """Starts and stops the server as the option changes."""

    name = "akto-metrics"

    def __init__(self, session: Session) -> None:
        self.session = session
        self._address: tuple[str, int] | None = None
        self._server: MetricsServer | None = None

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Serve at another address, if it has changed; if it cannot be used, the old one stays in force."""
        settings = self.session.settings
        if settings is None or "akto_metrics" not in updated or settings.screen.metrics == self._address:
            return
        try:
            served = None if settings.screen.metrics is None else self._new(*settings.screen.metrics)
        except ConfigError as error:
            self.session.refuse(error)
            return
        self.done()
        self._server, self._address = served, settings.screen.metrics

    @guarded
    def done(self) -> None:
        """Stop the server."""
        if self._server is not None:
            self._server.close()
            self._server = self._address = None

    def _new(self, host: str, port: int) -> MetricsServer:
        try:
            served = MetricsServer(host, port, self.session.observe)
        except OSError as error:
            address = host_and_port(host, port)
            raise ConfigError("akto_metrics", address, f"{error.strerror}; choose another address") from error
        logger.info("akto: metrics at %s/metrics", served.url)
        return served
