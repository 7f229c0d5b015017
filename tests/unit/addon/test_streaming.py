"""Which bodies are streamed, depending on mitmproxy's options and ours."""

from __future__ import annotations

import pytest
from mitmproxy import http

from akto_mirror.addon.streaming import WHOLE_REQUESTS, WHOLE_RESPONSES
from tests.support.flows import flow, request
from tests.support.harness import Harness, mirroring


def passes(mirror: Harness) -> tuple[bool, bool]:
    """Return whether the request and the response of an exchange are streamed."""
    made = flow(request(b"POST", fields=[(b"content-length", b"2")], content=b"{}"))
    answer, made.response = made.response, None
    mirror.hook("requestheaders", made)
    made.response = answer
    mirror.hook("responseheaders", made)
    assert isinstance(made.response, http.Response)
    return callable(made.request.stream), callable(made.response.stream)


def set_option(mirror: Harness, name: str) -> None:
    """Set one of mitmproxy's options, whose own addon is not loaded."""
    if name not in mirror.context.options:
        mirror.context.options.add_option(name, str, "", "")
    mirror.context.options.update(**{name: "x"})


@pytest.mark.parametrize("name", ["", *sorted({*WHOLE_REQUESTS, *WHOLE_RESPONSES})])
def test_what_needs_whole_bodies_gets_them(name: str) -> None:
    """An addon of mitmproxy that answers or changes a message sees it whole; the opposite one is streamed."""
    with mirroring(stream="always") as mirror:
        if name:
            set_option(mirror, name)
        assert passes(mirror) == (name not in WHOLE_REQUESTS, name not in WHOLE_RESPONSES)


def test_responses_under_way_are_known_until_they_end() -> None:
    """Responses in progress are tracked, so that they are mirrored when mitmproxy ends."""
    with mirroring(stream="always") as mirror:
        made = flow()
        mirror.hook("responseheaders", made)
        assert mirror.addon.session.lasting.streams == {made.id: made}
        mirror.hook("response", made)
        assert mirror.addon.session.lasting.streams == {}


def test_nothing_passes_while_the_options_are_wrong() -> None:
    """With wrong options mitmproxy buffers as without the addon."""
    with mirroring(running=False, stream="always", url="nope") as mirror:
        assert passes(mirror) == (False, False)
