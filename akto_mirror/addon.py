"""The addon: mitmproxy's hooks, wired to the parts that do the work."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from weakref import WeakKeyDictionary

from mitmproxy import ctx, exceptions, http
from mitmproxy.addonmanager import Loader
from mitmproxy.connection import Client, Connection
from mitmproxy.flow import Flow
from mitmproxy.hooks import UpdateHook
from mitmproxy.proxy.mode_specs import ReverseMode
from mitmproxy.proxy.server_hooks import ServerConnectionHookData

from akto_mirror import (
    capture,
    chain,
    declarations,
    destination,
    entry,
    entry_view,
    handover,
    host,
    metrics,
    mistakes,
    options,
    tee,
    upstreams,
)
from akto_mirror.batch import Limits
from akto_mirror.commands import Commands
from akto_mirror.declarations import OPTIONS, ConfigError
from akto_mirror.entry import Exchange
from akto_mirror.handover import Flush, Room
from akto_mirror.lingering import Lingerer
from akto_mirror.marks import VERDICT, Mark, Marks
from akto_mirror.metrics import Metrics, Observation
from akto_mirror.options import Settings
from akto_mirror.outcome import Outcome, verdict
from akto_mirror.retry import Durability
from akto_mirror.rules import Reason, Skip
from akto_mirror.shipper import Policy, Shipper, SpoolPlan
from akto_mirror.sinks import choose
from akto_mirror.stats import Dropped, Stats
from akto_mirror.tee import Mode, Rule
from akto_mirror.text import printable

logger = logging.getLogger(__name__)

# Options whose addons answer or change a request in the `request` hook, after a streamed one has left.
WHOLE_REQUESTS = (
    "anticache",
    "anticomp",
    "block_list",
    "intercept",
    "map_local",
    "map_remote",
    "modify_body",
    "server_replay",
    "stickyauth",
    "stickycookie",
)

# Options whose addons change a response, or let somebody change it, in the `response` hook.
WHOLE_RESPONSES = ("intercept", "modify_body")

# Options that write flows to a file.
SAVES = ("save_stream_file", "hardump")


# Flows whose responses are under way, by their ids, of a master, over reloads.
_streams: WeakKeyDictionary[object, dict[str, http.HTTPFlow]] = WeakKeyDictionary()

# What follows the flows of a master, over reloads.
_marks: WeakKeyDictionary[object, Marks] = WeakKeyDictionary()


class AktoMirror(Commands):
    """Mirrors what passes the capture rules to Akto; see `akto_mirror.options` for what steers it."""

    name = "akto-mirror"

    def __init__(self) -> None:
        self._stats = Stats()
        self._shipper: Shipper | None = None
        self._closing: Future[None] | None = None
        self._settings: Settings | None = None
        self._running = False
        self._chatty = False
        self._host_replacer: host.HostReplacer | None = None
        self._lingerer = Lingerer(_writers)
        self._needs_whole_requests = False
        self._needs_whole_responses = False
        self._bounded = False
        self._metrics: Metrics | None = None
        self._marks: Marks | None = None
        self._streams: dict[str, http.HTTPFlow] = {}
        self._marker = secrets.token_hex(8)

    def load(self, loader: Loader) -> None:
        """Declare the options, and report given values that mitmproxy would pass over in silence."""
        self._streams = _streams.setdefault(ctx.master, {})
        for option in OPTIONS:
            loader.add_option(option.name, option.type, option.default, option.help, option.choices)
        deferred = ctx.options.deferred
        texts = {name: value.val for name, value in deferred.items() if hasattr(value, "val")}
        values = {name: value for name, value in deferred.items() if name not in texts}
        for mistake in mistakes.find(texts, values):
            logger.error("akto: %s", mistake)
            deferred.pop(mistake.option, None)

    def configure(self, updated: set[str]) -> None:
        """Take over changed options; a value that cannot be used ends the start, or leaves the old one in force."""
        if set(updated).intersection(declarations.names()):
            self._read_options()
        self._observe_mitmproxy()
        self._stand_last()

    def running(self) -> None:
        """Tell what is done, once the proxy runs."""
        self._running = True
        settings = self._settings
        if self._shipper is not None:
            self._shipper.start()
        if settings is None:
            logger.error("akto: nothing is mirrored until the options above are mended")
        elif not settings.destination.url:
            logger.warning(
                "akto: dry run, nothing is sent; set akto_url=http://HOST:9091 or AKTO_DATA_INGESTION_URL to mirror"
            )
        else:
            fidelity = "worker" if settings.worker else "akto"
            logger.info("akto: mirroring to %s (fidelity %s)", settings.destination.shown, fidelity)

    def client_connected(self, client: Client) -> None:
        """Let one client have more live streams than mitmproxy's five."""
        if self._settings is not None and isinstance(client.proxy_mode, ReverseMode):
            upstreams.allow(_handler(client), self._settings.upstream_connections)

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Let a long request pass while it comes."""
        flow.metadata.pop(VERDICT, None)
        if flow.live and self._settings is not None and flow.response is None:
            tee.attach_to_request(flow, self._rule(self._settings, needs_whole=self._needs_whole_requests))

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Let a long response pass while it comes."""
        if flow.live and self._settings is not None and flow.response is not None:
            rule = self._rule(self._settings, needs_whole=self._needs_whole_responses)
            tee.attach_to_response(flow, flow.response, rule)
            if flow.response.stream:
                self._streams[flow.id] = flow

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """Name the server as mitmproxy would, had this addon not asked it to leave the host alone."""
        if self._host_replacer is not None:
            host.name_server(data.client, data.server)

    def done(self) -> Awaitable[None] | None:
        """Flush within `akto_shutdown_s`; mitmproxy waits for it at an exit, but not when it reloads the script."""
        if not ctx.master.should_exit.is_set():
            self._leave_hosts_alone()
            chain.stand_back(ctx.master.addons, self._lingerer)
        self._end_metrics()
        if self._marks is not None:
            entry_view.offer(None)
        if self._shipper is None:
            return self._end_without_shipper()
        replay = bool(getattr(ctx.options, "rfile", None))
        shipper = self._shipper
        flush = Flush(lambda: self._end(shipper, patient=replay))
        if ctx.master.should_exit.is_set() or not handover.park(ctx.master, shipper, flush):
            flush.begin()
        return flush

    def _end_without_shipper(self) -> Awaitable[None] | None:
        """Make the last verdicts; where the mirror was switched off a moment ago its flush may go on."""
        if ctx.master.should_exit.is_set():
            self._mirror_streams()
        closing = self._closing
        return None if closing is None else Flush(lambda: closing)

    def _end(self, shipper: Shipper, *, patient: bool) -> Future[None]:
        """End for good: nobody has taken the shipper over."""
        self._mirror_streams()
        return self._close(shipper, patient=patient)

    def _close(self, shipper: Shipper, *, patient: bool) -> Future[None]:
        if ctx.master.should_exit.is_set():
            handover.on_signals(shipper.hurry)
        handover.forget(ctx.master, shipper)
        ended = shipper.close(patient=patient)
        ended.add_done_callback(lambda _: _sum_up(f"akto: {shipper.stats.snapshot()}"))
        return ended

    def response(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Mirror an exchange, one that becomes a WebSocket too: its client may leave before `websocket_start`."""
        self._mirror(flow)
        self._let_go(flow)
        return self._backpressure(flow)

    def websocket_start(self, flow: http.HTTPFlow) -> None:
        """Mirror an accepted WebSocket upgrade whose `response` hook nobody called."""
        self._mirror(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Mirror what was seen of an exchange that was cut short."""
        if VERDICT in flow.metadata:
            return
        if flow.response is None:
            self._skip(flow, Skip(Reason.NO_RESPONSE))
        elif self._settings is not None and self._settings.worker and not flow.client_conn.connected:
            self._skip(flow, Skip(Reason.CUT_SHORT))
        else:
            self._mirror(flow)
        self._let_go(flow)

    def _mirror_streams(self) -> None:
        """Mirror what was seen of responses that are still under way: mitmproxy cuts them only after `done`.

        Where the script is reloaded they go on, and the next instance mirrors them at their end.
        """
        for flow in list(self._streams.values()):
            if self._settings is not None and self._settings.worker:
                self._skip(flow, Skip(Reason.CUT_SHORT))
            else:
                self._mirror(flow)
        self._streams.clear()

    def _let_go(self, flow: http.HTTPFlow) -> None:
        self._streams.pop(flow.id, None)
        tee.detach(flow.request)
        if flow.response is not None:
            tee.detach(flow.response)

    def _stand_last(self) -> None:
        if self._lingerer not in ctx.master.addons.chain:
            chain.stand_last(ctx.master.addons, self._lingerer)

    def _observe_mitmproxy(self) -> None:
        """Take note of mitmproxy's own options that matter here, and set the two that serve this addon."""
        self._chatty = _shows_debug_lines()
        self._needs_whole_requests = _any_set(WHOLE_REQUESTS)
        self._needs_whole_responses = _any_set(WHOLE_RESPONSES)
        self._keep_bodies_for_people()
        self._bounded = bool(getattr(ctx.options, "body_size_limit", None))
        if self._host_replacer is None and _rewrites_hosts():
            self._replace_hosts()

    def _replace_hosts(self) -> None:
        self._host_replacer = host.HostReplacer()
        chain.stand_first(ctx.master.addons, self._host_replacer)
        ctx.options.update(keep_host_header=True)

    def _leave_hosts_alone(self) -> None:
        if self._host_replacer is not None:
            chain.stand_back(ctx.master.addons, self._host_replacer)
            ctx.options.update(keep_host_header=False)
            self._host_replacer = None

    def _rule(self, settings: Settings, *, needs_whole: bool) -> Rule:
        return Rule(Mode.NEVER if needs_whole else settings.stream, settings.body_limit, self._bounded)

    def _keep_bodies_for_people(self) -> None:
        """Have streamed bodies kept where somebody looks at them or saves them; mitmproxy 11 cannot."""
        watched = _has_screen() or _any_set(SAVES)
        if watched and getattr(ctx.options, "store_streamed_bodies", None) is False:
            ctx.options.update(store_streamed_bodies=True)

    def _read_options(self) -> None:
        try:
            settings = options.read({name: getattr(ctx.options, name) for name in declarations.names()}, os.environ)
            self._serve_metrics(settings.metrics)
        except ConfigError as fault:
            self._refuse(fault)
        else:
            self._apply(settings)

    def _refuse(self, fault: ConfigError) -> None:
        if self._running:
            raise exceptions.OptionsError(f"{fault} (the old value stays in force)") from fault
        logger.error("akto: %s", fault)

    def _apply(self, settings: Settings) -> None:
        before, self._settings = self._settings, settings
        self._shape = capture.shape(settings)
        self._set_marks(settings.mark)
        if not settings.destination.url:
            self._stop()
        elif self._shipper is None:
            self._shipper = self._begin(settings)
            if self._marks is not None:
                self._shipper.observe(self._marks.tell)
            if self._running:
                self._shipper.start()
        else:
            self._reconfigure(self._shipper, before, settings)

    def _set_marks(self, mark: Mark) -> None:
        """Show verdicts where people look at flows; an instance that was there before has left its own."""
        if self._marks is None and _has_screen():
            self._marks = _marks.setdefault(ctx.master, Marks(_soon, _refresh))
            entry_view.offer(self._explain)
        if self._marks is not None:
            self._marks.mark = mark

    def _serve_metrics(self, address: tuple[str, int] | None) -> None:
        before = self._settings.metrics if self._settings else None
        if address == before:
            return
        served = self._new_metrics(*address) if address else None
        self._end_metrics()
        self._metrics = served

    def _new_metrics(self, host_name: str, port: int) -> Metrics:
        try:
            served = Metrics(host_name, port, self._observe)
        except OSError as fault:
            raise ConfigError(
                "akto_metrics", f"{host_name}:{port}", f"{fault.strerror}; choose another address"
            ) from fault
        logger.info("akto: metrics at http://%s:%d/metrics", host_name, served.port)
        return served

    def _end_metrics(self) -> None:
        if self._metrics is not None:
            self._metrics.close()
            self._metrics = None

    def _observe(self) -> Observation:
        settings = self._settings
        if settings is None:
            return metrics.observe(self._stats, self._shipper, 0, None, "")
        folder = None if settings.durability is Durability.MEMORY else settings.spool_dir
        target = destination.spool_target(settings.destination, settings.uds)
        return metrics.observe(self._stats, self._shipper, settings.queue_bytes, folder, target)

    def _begin(self, settings: Settings) -> Shipper:
        """Go on with the shipper that an instance before this one has left when the script was reloaded."""
        policy, sink = _policy(settings), choose.sink(settings, self._marker)
        legacy = handover.claim(ctx.master)
        if legacy is None:
            return Shipper(policy, sink, self._stats)
        self._stats = legacy.stats
        legacy.reconfigure(policy, sink)
        return legacy

    def _stop(self) -> None:
        if self._shipper is not None:
            self._closing = self._close(self._shipper, patient=False)
            self._shipper = None

    def _reconfigure(self, shipper: Shipper, before: Settings | None, settings: Settings) -> None:
        same = before is not None and _sink_key(before) == _sink_key(settings)
        shipper.reconfigure(_policy(settings), None if same else choose.sink(settings, self._marker))

    def _mirror(self, flow: http.HTTPFlow) -> None:
        if self._settings is None or flow.response is None or VERDICT in flow.metadata:
            return
        try:
            self._decide(flow, flow.response, self._settings)
        except Exception:
            # Traffic goes on whatever is wrong here, but the loss is counted and seen.
            self._stats.lose(Dropped.FAULT)
            self._show(flow, Outcome.DROPPED, Dropped.FAULT)
            logger.warning("akto: dropped an entry by a fault of the addon; please report this", exc_info=True)

    def _decide(self, flow: http.HTTPFlow, response: http.Response, settings: Settings) -> None:
        decision = capture.decide(flow, response, settings, self._marker)
        if isinstance(decision, Skip):
            self._skip(flow, decision)
        elif self._shipper is None:
            self._show(flow, Outcome.DRY_RUN)
        else:
            self._capture(flow, response, decision, self._shipper)

    def _show(self, flow: http.HTTPFlow, outcome: Outcome, reason: str = "") -> None:
        flow.metadata[VERDICT] = verdict(outcome, reason)
        if self._marks is not None:
            self._marks.show(flow, outcome, reason)

    def _skip(self, flow: http.HTTPFlow, skip: Skip) -> None:
        self._show(flow, Outcome.SKIPPED, str(skip))
        self._stats.skip(skip.reason)
        if self._chatty:
            request = printable(f"{flow.request.method} {flow.request.path}")
            logger.debug("akto: skipped %s: %s", request, printable(str(skip)))

    def _capture(self, flow: http.HTTPFlow, response: http.Response, exchange: Exchange, shipper: Shipper) -> None:
        encoded = self._encode(entry.build(flow, response, self._shape, exchange))
        self._ship(flow, encoded, shipper)

    def _ship(self, flow: http.HTTPFlow, encoded: bytes, shipper: Shipper) -> None:
        refusal = shipper.offer(encoded)
        if refusal is not None:
            self._show(flow, Outcome.DROPPED, refusal)
            return
        self._show(flow, Outcome.CAPTURED)
        if self._marks is not None:
            self._marks.follow(flow, encoded)

    def _backpressure(self, flow: http.HTTPFlow) -> Awaitable[None] | None:
        """Make a replay of a file, which nobody waits for, wait for room in the queue; live traffic never does."""
        if flow.live or self._shipper is None or not self._shipper.is_crowded():
            return None
        return Room(self._shipper)


def _sum_up(line: str) -> None:
    """Log the counts; at the terminal program's end nobody sees the log any more, but the terminal itself is free."""
    logger.info("%s", line)
    if ctx.master.should_exit.is_set() and ctx.master.addons.get("consoleaddon") is not None:
        sys.stderr.write(f"{line}\n")


def _shows_debug_lines() -> bool:
    """Tell whether anybody would see a debug line: mitmproxy's screens keep them all, mitmdump only if asked to."""
    verbose = getattr(ctx.options, "termlog_verbosity", "") == "debug"
    return verbose or _has_screen()


def _has_screen() -> bool:
    """Tell whether people look at flows: in mitmproxy and mitmweb, not in mitmdump."""
    return ctx.master.addons.get("view") is not None


def _soon(seconds: float, act: Callable[[], None]) -> None:
    """Have a function called on the event loop, unless that has ended."""
    loop = ctx.master.event_loop
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(loop.call_later, seconds, act)


def _refresh(flows: Sequence[Flow]) -> None:
    ctx.master.addons.trigger(UpdateHook(flows))


def _handler(client: Client) -> object:
    """Return what handles a client's connection; the addon that has it is mitmproxy's own."""
    handlers: Mapping[str, object] = getattr(ctx.master.addons.get("proxyserver"), "connections", {})
    return handlers.get(client.id)


def _writers(client: Client) -> dict[Connection, object]:
    """Return the writers of a client's connections."""
    transports = getattr(_handler(client), "transports", {})
    return {connection: transport.writer for connection, transport in transports.items()}


def _rewrites_hosts() -> bool:
    """Tell whether mitmproxy puts the target's host into requests; without its proxy server it has no such option."""
    keeps = getattr(ctx.options, "keep_host_header", True)
    return not keeps and any(mode.lower().startswith("reverse:") for mode in ctx.options.mode)


def _any_set(names: tuple[str, ...]) -> bool:
    return any(getattr(ctx.options, name, None) for name in names)


def _policy(settings: Settings) -> Policy:
    limits = Limits(settings.batch_entries, settings.batch_bytes, settings.linger_ms / 1000)
    plan = SpoolPlan(
        settings.spool_dir, settings.spool_bytes, destination.spool_target(settings.destination, settings.uds)
    )
    return Policy(
        limits,
        settings.queue_bytes,
        settings.timeout_s,
        settings.shutdown_s,
        durability=settings.durability,
        spool=None if settings.durability is Durability.MEMORY else plan,
    )


def _sink_key(settings: Settings) -> tuple[object, ...]:
    return settings.destination, settings.uds, settings.token
