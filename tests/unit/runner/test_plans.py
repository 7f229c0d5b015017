"""Plans: the hooks that an event calls."""

from __future__ import annotations

import inspect

from mitmproxy import hooks
from mitmproxy.addons.anticache import AntiCache
from mitmproxy.addons.onboarding import Onboarding
from mitmproxy.proxy.layers.http._hooks import HttpRequestHook
from mitmproxy.test import taddons, tflow

from akto_mirror.runner import plans


def _none(addon: object, name: str) -> None:
    """Return no shortcut."""
    del addon, name


def test_an_addon_of_mitmproxy_is_checked_once_and_a_script_each_time() -> None:
    """Only addons that have the hook are in the plan."""
    own, script = AntiCache(), object()
    names, steps = plans.plan(HttpRequestHook, [object(), own, script, Onboarding()], _none)
    assert names == ("flow",)
    assert [(place, addon is own, hook is None) for place, addon, hook, _ in steps] == [
        (0, False, True),
        (1, True, False),
        (2, False, True),
        (3, False, False),
    ]
    assert plans.plan(hooks.UpdateHook, [own], _none) == (("flows",), ())


def test_the_app_for_certificates_costs_others_no_coroutine() -> None:
    """The app for certificates handles only requests to its own host; a replaced hook is called for all requests."""
    app = Onboarding()
    with taddons.context(app):
        [(_, _, hook, _)] = plans.plan(HttpRequestHook, [app], _none)[1]
        assert hook is not None
        asked, other = tflow.tflow(), tflow.tflow()
        asked.request.host = "mitm.it"
        made = hook(asked)
        assert inspect.iscoroutine(made)
        made.close()
        assert hook(other) is None
        setattr(app, "request", print)  # noqa: B010 - as a script may do
        [(_, _, replaced, _)] = plans.plan(HttpRequestHook, [app], _none)[1]
        assert replaced is print
