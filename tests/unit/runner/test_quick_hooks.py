"""Hooks without tasks complete in the same order as hooks with mitmproxy's tasks."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mitmproxy import addonmanager, exceptions, http, options
from mitmproxy.addons import proxyserver
from mitmproxy.proxy import commands, context, events, layer, mode_specs
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook, HttpResponseHook
from mitmproxy.proxy.mode_servers import ProxyConnectionHandler
from mitmproxy.test import tflow
from mitmproxy.utils import asyncio_utils

from akto_mirror.runner.manager import TableManager
from akto_mirror.runner.quick_hooks import Proxyserver, QuickHooks

# Behaviours of the script's `request` hook.
FORMS = ("returns", "waits", "raises", "refuses", "halts", "intercepts", "waits and intercepts")

Seen = dict[int, list[object]]


class Script:
    """An addon whose hooks behave as the request's path says."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def request(self, flow: http.HTTPFlow) -> Any:
        """Behave as the path says, and return a coroutine if it has to be awaited."""
        form, number = flow.request.path, flow.request.port
        self.seen[number].append(("request", form))
        if form.startswith("waits"):
            return self._wait(flow, form)
        self._do(flow, form)
        return None

    async def _wait(self, flow: http.HTTPFlow, form: str) -> None:
        await asyncio.sleep(0)
        self.seen[flow.request.port].append("waited")
        self._do(flow, form.removeprefix("waits and "))

    def _do(self, flow: http.HTTPFlow, form: str) -> None:
        if form == "raises":
            raise ValueError(form)
        if form == "refuses":
            raise exceptions.OptionsError(form)
        if form == "halts":
            raise exceptions.AddonHalt
        if form == "intercepts":
            flow.intercept()
            asyncio.get_running_loop().call_later(0.001, self._resume, flow)

    def _resume(self, flow: http.HTTPFlow) -> None:
        self.seen[flow.request.port].append("resumed")
        flow.resume()

    def response(self, flow: http.HTTPFlow) -> None:
        """Record the call."""
        self.seen[flow.request.port].append("response")


class Late:
    """An addon after the script, which is not called after a halt."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def request(self, flow: http.HTTPFlow) -> None:
        """Record the call."""
        self.seen[flow.request.port].append("request, late")

    def update(self, flows: Sequence[http.HTTPFlow]) -> None:
        """Record the call."""
        self.seen[flows[0].request.port].append("update")


class Exchange(layer.Layer):
    """A layer that triggers two hooks and waits for each, like mitmproxy's layers."""

    def __init__(self, given: context.Context, flow: http.HTTPFlow, seen: list[object]) -> None:
        super().__init__(given)
        self._flow = flow
        self._seen = seen

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        del event
        self._seen.append("begins")
        yield HttpRequestHook(self._flow)
        self._seen.append("goes on")
        yield HttpResponseHook(self._flow)
        self._seen.append("ends")


class Exchanges(layer.Layer):
    """A layer with a layer for each exchange, like HTTP/2's; one event starts them all."""

    def __init__(self, given: context.Context, forms: Sequence[str], seen: Seen) -> None:
        super().__init__(given)
        self._waiting: dict[commands.Command, Exchange] = {}
        self._new = deque(
            Exchange(given, _flow(number, form), seen[number]) for number, form in enumerate(forms, start=1)
        )

    def _handle_event(self, event: events.Event) -> layer.CommandGenerator[None]:
        if isinstance(event, events.HookCompleted):
            yield from self._pass(event, self._waiting.pop(event.command))
        while self._new:
            yield from self._pass(events.Start(), self._new.popleft())

    def _pass(self, event: events.Event, to: Exchange) -> layer.CommandGenerator[None]:
        for command in to.handle_event(event):
            self._waiting[command] = to
            yield command


def _flow(number: int, form: str) -> http.HTTPFlow:
    made = tflow.tflow()
    made.request.path, made.request.port = form, number
    return made


class Master:
    """The parts of a master that managers and connections need."""

    def __init__(self, kind: type[addonmanager.AddonManager], addons: Sequence[object]) -> None:
        self.options = options.Options()
        self.addons = kind(self)
        self.addons.chain = list(addons)


def play(kind: type[addonmanager.AddonManager], forms: Sequence[str], *, heard: bool) -> Seen:
    """Run these exchanges on one connection at once, and return the events of each."""
    seen: Seen = defaultdict(list)
    late = Late(seen)
    master = Master(kind, [Script(seen), late] if heard else [Script(seen)])
    asyncio.run(_play(master, forms, seen))
    return seen


async def _play(master: Any, forms: Sequence[str], seen: Seen) -> None:
    mode = mode_specs.ProxyMode.parse("regular@0")
    handler = ProxyConnectionHandler(master, mock.Mock(), mock.MagicMock(), master.options, mode)
    handler.layer = Exchanges(handler.layer.context, forms, seen)
    server = proxyserver.Proxyserver()
    if isinstance(master.addons, TableManager):
        Proxyserver.adopt(server)
    # An exchange whose hook was refused does not go on with either manager.
    ending = [number for number, form in enumerate(forms, start=1) if form != "refuses"]
    with asyncio_utils.set_eager_task_factory(), server.register_connection("it", handler):
        assert isinstance(handler.layer, QuickHooks) == isinstance(master.addons, TableManager)
        await handler.server_event(events.Start())
        while not all("ends" in seen[number] for number in ending) or len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0)


@given(st.lists(st.sampled_from(FORMS), max_size=8), st.booleans())
def test_each_exchange_sees_the_same_as_with_tasks(forms: list[str], heard: bool) -> None:
    """Calls, waits, updates and resumes are in the same order."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    expected = play(addonmanager.AddonManager, forms, heard=heard)
    assert len(expected) == len(forms)
    assert play(TableManager, forms, heard=heard) == expected


@pytest.mark.parametrize(("form", "tasks"), [("returns", 0), ("raises", 0), ("waits", 1), ("intercepts", 1)])
def test_only_a_hook_that_waits_gets_a_task(form: str, tasks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook that does not wait needs no task, while mitmproxy makes one for each hook."""
    make = mock.Mock(wraps=asyncio_utils.create_task)
    monkeypatch.setattr(asyncio_utils, "create_task", make)
    assert play(TableManager, [form], heard=True)[1][-1] == "ends"
    assert make.call_count == tasks
    make.reset_mock()
    play(addonmanager.AddonManager, [form], heard=True)
    assert make.call_count == 2
