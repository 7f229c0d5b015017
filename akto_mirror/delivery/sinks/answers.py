"""Decides whether a response with status 200 means success, for the shipper and for `akto-mirror check`. No I/O.

Akto's service reports success with JSON that does not report a failure. A login page, an empty body or a body that
never ends come from another server, which has not accepted anything (docs/operations.md, "What happens when").
"""

from __future__ import annotations

import json

from akto_mirror.delivery.sinks.symptoms import Cause

# Bytes of a response that are read; Akto's are far shorter.
MAX_ANSWER = 64 * 1024


def cause(body: bytes, *, is_whole: bool = True) -> Cause:
    """Return the cause of a response with status 200; `Cause.NONE` if it means success.

    Args:
        body: the part of the body that was read.
        is_whole: whether it ended within `MAX_ANSWER` bytes.
    """
    if not is_whole:
        return Cause.ENDLESS
    if not body.strip():
        return Cause.EMPTY
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Cause.WEB_PAGE if body.lstrip()[:1] == b"<" else Cause.NOT_JSON
    if not isinstance(answer, dict):
        return Cause.NOT_OBJECT
    return Cause.SAYS_NO if answer.get("success", True) in (False, "false") else Cause.NONE
