"""Whether an answer of status 200 is Akto's yes. One judgement for the shipper and for `akto-mirror check`; no I/O.

Akto's service says yes with JSON that does not say no. A login page, an empty body or a body that never ends come from
something else, which has not taken anything (docs/operations.md, "What happens when").
"""

from __future__ import annotations

import json

from akto_mirror.delivery.sinks.symptoms import Cause

# Bytes of an answer that are read; Akto's are far shorter.
MAX_ANSWER = 64 * 1024


def cause(body: bytes, *, is_whole: bool = True) -> Cause:
    """Return what an answer of status 200 comes from; `Cause.NONE` if it is Akto's yes.

    Args:
        body: what was read of it.
        is_whole: it ended within `MAX_ANSWER` bytes.
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
