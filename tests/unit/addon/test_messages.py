"""WebSocket messages are dropped where they cannot be viewed."""

from __future__ import annotations

from types import ModuleType

import pytest
from mitmproxy.addons.dumper import Dumper
from mitmproxy.addons.script import Script
from mitmproxy.test.tflow import twebsocketflow

from akto_mirror.addon import AktoMirror, messages
from tests.support.harness import mirroring


def module(**members: object) -> ModuleType:
    """Make the module of a script as mitmproxy loads it."""
    made = ModuleType("__mitmproxy_script__.x")
    vars(made).update(members)
    return made


class Foreign:
    """An addon by another author."""


class Script2:
    """A stand-in for mitmproxy's script, with its module."""

    def __init__(self, *addons: object) -> None:
        self.addons = list(addons)


Script2.__module__ = Script.__module__


def hook(_: object) -> None:
    """A hook of a script."""


@pytest.mark.parametrize(
    ("addon", "foreign"),
    [
        (Dumper(), False),
        (Script2(module(addons=[AktoMirror()])), False),
        (Script2(module(addons=[AktoMirror(), Foreign()])), True),
        (Script2(module(addons=[AktoMirror()], websocket_end=hook)), True),
        (Script2(module(websocket_message=hook)), True),
        (Script2(module()), True),
        (Foreign(), True),
    ],
)
def test_an_addon_of_another_author_is_found(addon: object, foreign: bool) -> None:
    """Another author's addon is found at any depth, and in any form of script."""
    assert messages.any_foreign([Dumper(), addon]) is foreign


def test_the_newest_stays() -> None:
    """The newest message stays for the addons that follow."""
    flow = twebsocketflow()
    assert flow.websocket
    newest = flow.websocket.messages[-1]
    messages.keep_newest(flow)
    assert flow.websocket.messages == [newest]


@pytest.mark.parametrize(("options", "kept"), [({}, 1), ({"save_stream_file": "x"}, 3)])
def test_messages_that_are_saved_stay(options: dict[str, str], kept: int) -> None:
    """With `-w` all messages stay."""
    with mirroring() as mirror:
        for name, value in options.items():
            mirror.context.options.add_option(name, str, value, "")
        flow = twebsocketflow()
        mirror.hook("websocket_start", flow)
        mirror.hook("websocket_message", flow)
        assert flow.websocket
        assert len(flow.websocket.messages) == kept
