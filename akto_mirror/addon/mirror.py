"""The addon as mitmproxy loads it: options, start and end; the rest is in its child addons."""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable
from concurrent.futures import Future

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader

from akto_mirror.addon import handover
from akto_mirror.addon.commands import Commands
from akto_mirror.addon.dead_letter_commands import DeadLetterCommands
from akto_mirror.addon.handover import Flush
from akto_mirror.addon.host_header import HostHeader
from akto_mirror.addon.messages import Messages
from akto_mirror.addon.metrics import Metrics
from akto_mirror.addon.mirroring import Mirroring
from akto_mirror.addon.prior_knowledge import PriorKnowledge
from akto_mirror.addon.screen import Screen
from akto_mirror.addon.session import Session, guarded
from akto_mirror.addon.streaming import Streaming
from akto_mirror.addon.uploads import Uploads, UpstreamConnections
from akto_mirror.config import declarations, mistakes, notices, options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.delivery import Shipper, kafka_config
from akto_mirror.telemetry import pool

logger = logging.getLogger(__name__)


class AktoMirror:
    """Mirrors exchanges that match the capture rules to Akto; `akto_mirror.config.options` reads its options.

    Attributes:
        addons: the children, in the order of their hooks: those that protect the traffic come first.
    """

    name = "akto-mirror"

    def __init__(self) -> None:
        self.session = Session()
        self._mirroring = Mirroring(self.session)
        self.addons: list[object] = [
            PriorKnowledge(self.session),
            Uploads(self.session),
            UpstreamConnections(self.session),
            HostHeader(self.session),
            Streaming(self.session),
            self._mirroring,
            Messages(self.session),
            Screen(self.session),
            Metrics(self.session),
            Commands(self.session, self._mirroring.ship),
            DeadLetterCommands(self.session),
        ]

    def load(self, loader: Loader) -> None:
        """Declare the options, and report given values that mitmproxy would ignore silently."""
        self.session.begin()
        for option in OPTIONS:
            loader.add_option(option.name, option.type, option.default, option.help, option.choices)
        deferred = ctx.options.deferred
        texts = {name: value.val for name, value in deferred.items() if hasattr(value, "val")}
        values = {name: value for name, value in deferred.items() if name not in texts}
        for mistake in mistakes.find(texts, values):
            logger.error("akto: %s", mistake)
            deferred.pop(mistake.option, None)

    @guarded
    def configure(self, updated: set[str]) -> None:
        """Apply changed options; an invalid value stops mitmproxy at start, and later leaves the old one in force."""
        if not set(updated).intersection(declarations.names()):
            return
        given = {name: getattr(ctx.options, name) for name in declarations.names()}
        token = given["akto_token"]
        given["akto_token"] = token or self.session.lasting.token
        shown, secrets = kafka_config.split(given["akto_kafka"])
        given["akto_kafka"] = [*shown, *(self.session.lasting.kafka | secrets).values()]
        try:
            settings = options.read(given, os.environ, pool.current().size)
        except ConfigError as error:
            self.session.refuse(error)
        else:
            self.session.apply(settings)
            if token or secrets:
                self._hide(token, shown, secrets)

    @guarded
    def running(self) -> None:
        """Log what is mirrored and where to, once the proxy runs."""
        session = self.session
        session.running = True
        if session.settings is not None:
            for notice in notices.warnings(session.settings.capture):
                logger.warning("akto: %s", notice)
        if session.shipper is not None:
            session.shipper.start()
        if session.settings is None:
            logger.error("akto: nothing is mirrored until the options above are corrected")
        elif not session.settings.sink.destination.url:
            logger.warning(
                "akto: dry run, nothing is sent; set akto_url=http://HOST:9091 or AKTO_DATA_INGESTION_URL to mirror"
            )
        else:
            what = notices.summary(session.settings.capture)
            logger.info("akto: mirroring to %s (%s)", session.settings.sink.destination.shown, what)

    @guarded
    def done(self) -> Awaitable[None] | None:
        """Flush within `akto_shutdown_s`; mitmproxy waits for that at exit, but not when it reloads the script."""
        shipper, exits = self.session.shipper, ctx.master.should_exit.is_set()
        if shipper is None:
            return self._end_without_shipper(exits=exits)
        flush = Flush(lambda: self._end(shipper, patient=bool(getattr(ctx.options, "rfile", None))))
        if exits or not handover.park(self.session.lasting, shipper, flush):
            flush.begin()
        return flush

    def _hide(self, token: str, shown: list[str], secrets: dict[str, str]) -> None:
        """Move secrets out of the options, which mitmweb shows and `options.save` writes to a file."""
        lasting = self.session.lasting
        lasting.token = token or lasting.token
        lasting.kafka |= secrets
        ctx.options.update(akto_token="", akto_kafka=shown)

    def _end_without_shipper(self, *, exits: bool) -> Awaitable[None] | None:
        """Decide about open streams; if mirroring was switched off a moment ago, its flush may still be running."""
        if exits:
            self._mirroring.mirror_streams()
        closing = self.session.closing
        return None if closing is None else Flush(lambda: closing)

    def _end(self, shipper: Shipper, *, patient: bool) -> Future[None]:
        """End for good, because no other instance has taken over the shipper."""
        self._mirroring.mirror_streams()
        return self.session.close(shipper, patient=patient)
