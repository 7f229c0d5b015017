"""The runner's manager and mitmproxy's make the same calls in the same order, with the same log."""

from __future__ import annotations

import asyncio
import gc
import warnings

import pytest
from hypothesis import event, example, given, note, settings
from hypothesis import strategies as st
from mitmproxy import addonmanager, hooks

from akto_mirror.runner.manager import TableManager
from tests.unit.runner.worlds import ACTS, EVENTS, FORMS, KINDS, Act, Hook, Spec, Story, World

NUMBERS = st.integers(0, 7)
forms = st.just("returns") | st.sampled_from(FORMS)
events = st.just("request") | st.sampled_from(EVENTS)
acts = st.builds(Act, st.sampled_from(ACTS), NUMBERS, NUMBERS, events, forms)
hook_specs = st.builds(Hook, forms, st.none() | acts)


@st.composite
def addon_specs(draw: st.DrawFn, number: int) -> Spec:
    """Draw an addon, which may be a child of an earlier one."""
    parent = draw(st.integers(0, number - 1) | st.none()) if number else None
    found = draw(st.dictionaries(events, hook_specs, min_size=1, max_size=3))
    return Spec(draw(st.sampled_from(KINDS)), found, parent, draw(st.booleans()))


@st.composite
def scripts(draw: st.DrawFn) -> list[Spec]:
    """Draw the addon's script and its parents in mitmproxy."""
    kinds = ("bundled list", "bundled fresh list", "module", "ours list", "ours", "ours")
    some: st.SearchStrategy[dict[str, Hook]] = st.just({}) | st.dictionaries(events, hook_specs, max_size=2)
    parents = (None, 0, 1, 2, 3, 3)
    return [Spec(kind, draw(some), parent, is_there=True) for kind, parent in zip(kinds, parents, strict=True)]


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Draw addons and events."""
    addons = draw(st.just([]) | scripts())
    addons += [draw(addon_specs(number)) for number in range(len(addons), len(addons) + draw(st.integers(1, 8)))]
    steps = draw(st.lists(events.filter(lambda name: name != "load") | acts, max_size=10))
    return Story(addons, [*steps, "request", "request", "running"])


class PromptManager(TableManager):
    """A manager that calls hooks without a task if possible, as for connections."""

    async def handle_lifecycle(self, event: hooks.Hook) -> None:
        """Call the remaining hooks as mitmproxy does, with a task."""
        if not self.ends_at_once(event):
            await super().handle_lifecycle(event)


def seen(story: Story, kind: type[addonmanager.AddonManager]) -> list[object]:
    """Play a story with a manager, and return everything that can be observed."""
    with warnings.catch_warnings():
        # mitmproxy never awaits the result of an async hook if the caller is not async.
        warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
        found = asyncio.run(World(story, kind).play())
        gc.collect(0)
    return found


def addon(kind: str = "list", parent: int | None = None, **found: Hook) -> Spec:
    """Return an addon that is present from the start."""
    return Spec(kind, found, parent, is_there=True)


CALLED = Hook("returns")
ADDED_ON_THE_WAY = Story(
    [addon("bundled", request=Hook("returns", Act("add", 1))), Spec("list", {"request": CALLED}, None, is_there=False)],
    ["request"],
)
REMOVED_WHILE_AWAITED = Story(
    [
        addon("list", request=Hook("awaits", Act("remove", 1))),
        addon("list", request=CALLED),
        addon("bundled", request=CALLED),
    ],
    ["request", "request"],
)
TURNED_WITHOUT_A_CALL = Story(
    [addon("list"), addon("bare", 0, request=CALLED), addon("bare", 0, request=CALLED)],
    ["request", Act("turn children", 0), "request"],
)
ENDED_BY_AN_ERROR = Story(
    [
        addon("list"),
        addon("bare", 0, request=Hook("raises")),
        addon("bare", 0, request=CALLED),
        addon("bare", request=CALLED),
    ],
    ["request"],
)
SHOWN_WITHOUT_OUR_FRAMES = Story(
    [
        addon(kind, request=Hook(form))
        for kind in ("bundled", "ours", "ours list", "bare")
        for form in ("raises", "awaits and raises")
    ],
    ["request"],
)
REPLACED_ON_THE_WAY = Story(
    [
        addon("bundled", request=Hook("returns", Act("replace a hook of its class", 1, form="raises"))),
        addon("bundled", request=CALLED),
    ],
    ["request", "request"],
)
NOT_CALLABLE = Story(
    [
        *(addon(kind, request=Hook("is a text")) for kind in ("bundled", "bare")),
        addon("ours list", request=CALLED),
        addon("ours", 2, request=Hook("is a text")),
        addon("ours list", request=CALLED),
        addon("ours", 4, request=Hook("is a module")),
    ],
    ["request"],
)
CHILDREN_BEFORE_SIBLINGS = Story(
    [
        addon("bundled list", request=CALLED),
        addon("list", 0, request=CALLED),
        addon("bare", 0, request=CALLED),
        addon("bare", 1, request=CALLED),
    ],
    ["request"],
)
A_FAMILY = [
    addon("list"),
    addon("ours list", 0, request=CALLED, update=Hook("raises")),
    addon("ours", 1, request=Hook("returns", Act("turn children", 1))),
    addon("ours", 1, request=Hook("awaits")),
    addon("ours", 1, request=Hook("returns an awaitable"), update=CALLED),
    addon("bare", 0, request=CALLED),
]
CHANGED_WITHIN_A_FAMILY = Story(A_FAMILY, ["request", "request"])
JOINED_BY_A_STRANGER = Story(
    [*A_FAMILY, Spec("bare", {"request": CALLED}, None, is_there=False)],
    ["request", Act("register below", 6, 1), "request", Act("set a hook", 6, form="raises"), "request"],
)
ENDED_WITHIN_A_FAMILY = Story(
    [
        addon("list"),
        addon("ours list", 0),
        addon("ours", 1, request=Hook("raises")),
        addon("ours", 1, request=CALLED),
        addon("ours", request=CALLED),
    ],
    ["request"],
)
A_SCRIPT = [
    addon("bundled list"),
    addon("bundled fresh list", 0),
    addon("module", 1),
    addon("ours list", 2, update=CALLED),
    addon("ours", 3, request=Hook("returns", Act("set a hook", 2, form="raises"))),
    addon("ours", 3, request=Hook("awaits")),
]
A_SCRIPT_THAT_CHANGES = Story(A_SCRIPT, ["request", "request", Act("take a hook", 2), "request"])
SCRIPTS_THAT_COME = Story(
    [
        *A_SCRIPT,
        *(Spec("bare", {"request": CALLED}, None, is_there=False) for _ in range(4)),
        addon("ours", 3, request=Hook("returns", Act("register below", 6, 0))),
        addon("ours", 3, request=Hook("returns", Act("register below", 7, 3))),
        addon("ours", 3, request=Hook("awaits", Act("register below", 8, 2))),
        addon("ours", 3, request=Hook("raises", Act("register below", 9, 1))),
        addon("ours", 3, request=CALLED),
    ],
    ["request", "request"],
)
A_SCRIPT_THAT_CANNOT_BE_CALLED = Story(
    [*A_SCRIPT, addon("ours", 3, request=Hook("is a text"))],
    ["request", Act("set a hook", 2, form="is a text"), "request"],
)
SHY_IN_A_SCRIPT = Story(
    [
        addon("bundled list"),
        addon("module", 0),
        addon("shy list", 1, request=CALLED),
        addon("bare", request=CALLED),
    ],
    ["request", Act("raise for children", 2), Act("turn the chain"), "request"],
)
REPLACED_ON_MITMPROXYS_OWN = Story(
    [addon("bundled"), addon("bundled", request=CALLED)],
    ["request", Act("replace a hook of its class", 0, form="raises"), "request"],
)


REPLACED_WITH_A_REFUSED_CHANGE = Story(
    [addon("bundled", request=CALLED), addon("bundled", configure=Hook("refuses"))],
    ["request", Act("replace a hook of its class", 0, form="raises"), "request"],
)


@pytest.mark.timeout(600)
@settings(max_examples=120)
@given(stories())
@example(ADDED_ON_THE_WAY)
@example(REMOVED_WHILE_AWAITED)
@example(TURNED_WITHOUT_A_CALL)
@example(ENDED_BY_AN_ERROR)
@example(SHOWN_WITHOUT_OUR_FRAMES)
@example(REPLACED_ON_MITMPROXYS_OWN)
@example(REPLACED_ON_THE_WAY)
@example(REPLACED_WITH_A_REFUSED_CHANGE)
@example(NOT_CALLABLE)
@example(CHANGED_WITHIN_A_FAMILY)
@example(JOINED_BY_A_STRANGER)
@example(ENDED_WITHIN_A_FAMILY)
@example(A_SCRIPT_THAT_CHANGES)
@example(SHY_IN_A_SCRIPT)
@example(SCRIPTS_THAT_COME)
@example(A_SCRIPT_THAT_CANNOT_BE_CALLED)
@example(CHILDREN_BEFORE_SIBLINGS)
def test_any_story_is_the_same_under_all_managers(story: Story) -> None:
    """Calls, order, arguments, log, exceptions and the remaining chain are the same."""
    expected = seen(story, addonmanager.AddonManager)
    for line in expected:
        note(str(line))
    calls = [each for each in expected if isinstance(each, tuple) and isinstance(each[0], int)]
    event("hooks called: " + ("none" if not calls else "some" if len(calls) < 10 else "many"))
    assert seen(story, TableManager) == expected
    assert seen(story, PromptManager) == expected


def test_stories_reach_everything() -> None:
    """The comparison includes calls and errors: with fewer observations it could not fail."""
    found = seen(ADDED_ON_THE_WAY, TableManager)
    calls = [each[:2] for each in found if isinstance(each, tuple) and isinstance(each[0], int)]
    assert calls == [(0, "request"), (1, "request")]
    shown = [
        each for each in seen(SHOWN_WITHOUT_OUR_FRAMES, TableManager) if isinstance(each, tuple) and each[0] == "log"
    ]
    assert [each[3] for each in shown] == [["quick", "end"], ["slow", "end"]] * 4
