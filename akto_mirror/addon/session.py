"""The state that the addons of one instance share, and the part of it that survives a reload of the script."""

from __future__ import annotations

import contextlib
import logging
import secrets
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from weakref import WeakKeyDictionary

from mitmproxy import ctx, exceptions, http

from akto_mirror.accounts import Stats
from akto_mirror.addon import handover
from akto_mirror.capture.capture import Capture
from akto_mirror.config.declarations import ConfigError
from akto_mirror.config.options import Settings
from akto_mirror.delivery import Shipper, open_sink
from akto_mirror.outcomes import Outcome, verdict
from akto_mirror.snapshots import Report, Snapshot
from akto_mirror.telemetry import pool
from akto_mirror.telemetry.marks import VERDICT, Marks
from akto_mirror.telemetry.observation import Observation, observe, with_others

logger = logging.getLogger(__name__)

# How many endpoints metrics and `akto.stats` list, beginning with those of which sampling leaves out the most.
MOST_ENDPOINTS = 100

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(eq=False)
class Lasting:
    """State that survives when mitmproxy reloads the script.

    Attributes:
        token: `akto_token`; the option is cleared as soon as it has been read.
        kafka: secrets in `akto_kafka` by their names; they are removed from the option as soon as it has been read.
        streams: flows whose responses have begun but not ended, by their ids.
        marks: shows outcomes in the user interface; None without one.
        parked: the shipper that an instance has left to the next one.
        capture: makes entries, and remembers what its sampling has seen.
    """

    token: str = ""
    kafka: dict[str, str] = field(default_factory=dict)
    streams: dict[str, http.HTTPFlow] = field(default_factory=dict)
    marks: Marks | None = None
    parked: Shipper | None = None
    capture: Capture | None = None


_lasting: WeakKeyDictionary[object, Lasting] = WeakKeyDictionary()


class Session:
    """One instance's state; its addons read it, and only `apply` and `close` change the delivery.

    Attributes:
        stats: the counts.
        settings: all options; None while they cannot be used.
        capture: makes entries; None while the settings are.
        shipper: delivers entries; None in a dry run.
        running: whether the proxy runs.
        lasting: the state that survives a reload.
        marker: the value of the header `x-akto-mirror` in requests to Akto.
    """

    def __init__(self) -> None:
        self.stats = Stats()
        self.settings: Settings | None = None
        self.capture: Capture | None = None
        self.shipper: Shipper | None = None
        self.running = False
        self.lasting = Lasting()
        self.marker = secrets.token_hex(8)
        self.closing: Future[None] | None = None
        self._failed: set[str] = set()

    def begin(self) -> None:
        """Take over the state that the previous instance has left."""
        self.lasting = _lasting.setdefault(ctx.master, Lasting())
        pool.current().watch(self.report)

    def configured(self) -> Settings:
        """Return the settings.

        Raises:
            CommandError: there are none, because an option is invalid.
        """
        if self.settings is None:
            raise exceptions.CommandError("an akto_ option is invalid; see the event log")
        return self.settings

    def refuse(self, error: ConfigError) -> None:
        """Report an invalid value: at start by logging an error, which stops mitmproxy; later by raising.

        Raises:
            OptionsError: the proxy runs.
        """
        if self.running:
            raise exceptions.OptionsError(f"{error} (the old value stays in force)") from error
        logger.error("akto: %s", error)

    def apply(self, settings: Settings) -> None:
        """Use new settings from now on."""
        before, self.settings = self.settings, settings
        self.capture = self.lasting.capture = Capture(settings.capture, self.marker, self.lasting.capture)
        if not settings.sink.destination.url:
            self._stop()
        elif self.shipper is None:
            self.shipper = self._new_shipper(settings)
            if self.running:
                self.shipper.start()
        else:
            same = before is not None and before.sink == settings.sink
            self.shipper.reconfigure(settings.delivery, None if same else open_sink(settings.sink, self.marker))

    def show(self, flow: http.HTTPFlow, outcome: Outcome, reason: str = "") -> None:
        """Record a flow's outcome on it, and show it if there is a user interface."""
        flow.metadata[VERDICT] = verdict(outcome, reason)
        if self.lasting.marks is not None:
            self.lasting.marks.show(flow, outcome, reason)

    def observe(self) -> Observation:
        """Collect everything that metrics and `akto.stats` show; takes long on a slow disk."""
        settings, together = self.settings, pool.current()
        if settings is None:
            return observe(self.stats, self.shipper, 0, None, "")
        spool = settings.delivery.spool
        folder = None if spool is None else spool.folder
        own = observe(self.stats, self.shipper, settings.delivery.queue_bytes, folder, settings.sink.target)
        own = own._replace(sampling=self.capture.account(MOST_ENDPOINTS) if self.capture else None)
        return with_others(own, together.size, together.others())

    def report(self) -> Report:
        """Return this process's report, which the other processes of this proxy add to theirs."""
        shipper = self.shipper
        report = Report(
            self.stats.snapshot(),
            shipper.queue_bytes if shipper else 0,
            shipper.oldest_s if shipper else 0.0,
            self.capture.account(MOST_ENDPOINTS) if self.capture else None,
        )
        return Report.total([report])

    def close(self, shipper: Shipper, *, patient: bool) -> Future[None]:
        """Flush and close a shipper that no other instance takes over."""
        if ctx.master.should_exit.is_set():
            handover.on_signals(shipper.hurry)
        if self.lasting.parked is shipper:
            self.lasting.parked = None
        ended = shipper.close(patient=patient)
        ended.add_done_callback(lambda _: _sum_up(shipper.stats.snapshot()))
        return ended

    def fail(self, hook: str, error: Exception) -> None:
        """Count an error in a hook; the first one of each hook is logged."""
        self.stats.err()
        if hook not in self._failed:
            self._failed.add(hook)
            logger.warning("akto: an error in %s; the traffic goes on; please report this", hook, exc_info=error)

    def _new_shipper(self, settings: Settings) -> Shipper:
        """Return the shipper that the previous instance has left when the script was reloaded, or a new one."""
        sink = open_sink(settings.sink, self.marker)
        parked, self.lasting.parked = self.lasting.parked, None
        if parked is None:
            return Shipper(settings.delivery, sink, self.stats)
        self.stats = parked.stats
        parked.reconfigure(settings.delivery, sink)
        return parked

    def _stop(self) -> None:
        if self.shipper is not None:
            self.closing = self.close(self.shipper, patient=False)
            self.shipper = None


class Sharing(Protocol):
    """An addon of a session."""

    session: Session


A = TypeVar("A", bound=Sharing)


def guarded(hook: Callable[Concatenate[A, P], T]) -> Callable[Concatenate[A, P], T | None]:
    """Hide an error in a hook from mitmproxy, which would skip the hooks of the remaining addons.

    Exceptions meant for mitmproxy pass: `OptionsError` and `AddonHalt`.
    """

    @wraps(hook)
    def run(self: A, /, *args: P.args, **kwargs: P.kwargs) -> T | None:
        try:
            return hook(self, *args, **kwargs)
        except (exceptions.AddonHalt, exceptions.OptionsError):
            raise
        except Exception as error:  # noqa: BLE001 - it is logged and counted, and the traffic goes on
            self.session.fail(hook.__qualname__, error)
            return None

    return run


def has_screen() -> bool:
    """Return whether there is a user interface: in mitmproxy and mitmweb, not in mitmdump."""
    return ctx.master.addons.get("view") is not None


def any_set(names: tuple[str, ...]) -> bool:
    """Return whether one of mitmproxy's options is set."""
    return any(getattr(ctx.options, name, None) for name in names)


def _sum_up(counts: Snapshot) -> None:
    """Log the counts; the event log of mitmproxy's terminal UI is gone at exit, so there they are also printed."""
    if pool.current().sum_up(counts):
        return
    line = f"akto: {counts}"
    with contextlib.suppress(ValueError):
        logger.info("%s", line)
    if ctx.master.should_exit.is_set() and ctx.master.addons.get("consoleaddon") is not None:
        sys.stderr.write(f"{line}\n")
