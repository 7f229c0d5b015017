"""The capture rules: which exchanges are mirrored, and why the others are not."""

from __future__ import annotations

import re

from akto_mirror.outcomes import Reason, Skip

TARGETS = ("json", "xml", "x-www-form-urlencoded", "soap", "grpc")
ANY_TARGET = re.compile("|".join(TARGETS))


def is_websocket(upgrade: str) -> bool:
    """Tell whether a request's `Upgrade` header asks for a WebSocket, by the Worker's own comparison."""
    return upgrade.lower() == "websocket"


def is_handshake(method: str, status: int) -> bool:
    """Tell whether what asks for a WebSocket is a handshake: a GET (RFC 6455, section 4.1) that no 2xx answers.

    Otherwise whoever adds the header to an ordinary request would hide its payloads.
    """
    return method == "GET" and not 200 <= status < 300


def is_target(content_type: str) -> bool:
    """Tell whether a content type is one of those that Akto reads; it is enough that it contains a target."""
    return ANY_TARGET.search(content_type.lower()) is not None


def judge(status: int, request_type: str, response_type: str) -> Skip | None:
    """Apply the Worker's rules to an exchange that is no WebSocket upgrade; None means capture.

    Args:
        status: the response's status code.
        request_type: the request's `content-type`, empty if absent.
        response_type: the response's `content-type`, empty if absent.
    """
    if not 200 <= status < 400:
        return Skip(Reason.STATUS, str(status))
    if not request_type and not response_type:
        return Skip(Reason.NO_CONTENT_TYPE)
    if not is_target(request_type) and not is_target(response_type):
        return Skip(Reason.CONTENT_TYPE, response_type or request_type)
    return None
