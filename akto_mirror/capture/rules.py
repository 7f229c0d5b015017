"""The capture rules: which exchanges are mirrored, and why the others are not."""

from __future__ import annotations

import re
from collections.abc import Iterable

from akto_mirror.outcomes import Reason, Skip

# The strings that the Worker looks for in content types.
TARGETS = ("json", "xml", "x-www-form-urlencoded", "soap", "grpc")


def is_websocket(upgrade: str) -> bool:
    """Return whether a request's `Upgrade` header asks for a WebSocket, by the Worker's own comparison."""
    return upgrade.lower() == "websocket"


def is_handshake(method: str, status: int) -> bool:
    """Return whether a request for a WebSocket is a GET and was answered with 101 (RFC 6455, section 4).

    Any other is an ordinary exchange: as a WebSocket, it would seem accepted and have no payloads.
    """
    return method == "GET" and status == 101


def any_of(targets: Iterable[str]) -> re.Pattern[str]:
    """Return an expression that finds any of the targets in a lower-case content type."""
    return re.compile("|".join(map(re.escape, targets)))


def judge(status: int, request_type: str, response_type: str, target: re.Pattern[str]) -> Skip | None:
    """Apply the Worker's rules to an exchange that is not a WebSocket upgrade; None means capture.

    Args:
        status: the response's status code.
        request_type: the request's `content-type`, empty if absent.
        response_type: the response's `content-type`, empty if absent.
        target: the result of `any_of`; one of the content types has to contain a target.
    """
    if not 200 <= status < 400:
        return Skip(Reason.STATUS, str(status))
    if not request_type and not response_type:
        return Skip(Reason.NO_CONTENT_TYPE)
    if not target.search(request_type.lower()) and not target.search(response_type.lower()):
        return Skip(Reason.CONTENT_TYPE, response_type or request_type)
    return None
