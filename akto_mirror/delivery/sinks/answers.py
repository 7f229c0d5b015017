"""Whether an answer of status 200 is Akto's yes. One judgement for the shipper and for `akto-mirror check`; no I/O.

Akto's service says yes with JSON that does not say no. A login page, an empty body or a body that never ends come from
something else, which has not taken anything (docs/operations.md, "What happens when").
"""

from __future__ import annotations

import json

# Bytes of an answer that are read; Akto's are far shorter.
MAX_ANSWER = 64 * 1024

_ANOTHER = "another service answers there: check the host, the port and the path of akto_url"


def objection(body: bytes, *, is_whole: bool = True) -> str:
    """Return what speaks against an answer's being Akto's yes; empty if nothing does.

    Args:
        body: what was read of it.
        is_whole: it ended within `MAX_ANSWER` bytes.
    """
    if not is_whole:
        return f"the answer is longer than {MAX_ANSWER} bytes"
    if not body.strip():
        return "the answer is empty"
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "the answer is a web page" if body.lstrip()[:1] == b"<" else "the answer is not JSON"
    if not isinstance(answer, dict):
        return "the answer is not a JSON object"
    return "the answer says that it failed" if answer.get("success", True) in (False, "false") else ""


def cause(problem: str) -> str:
    """Name the likely cause of an objection, and so what to do."""
    if "web page" in problem:
        return f"a login page, or {_ANOTHER}"
    return "read the log of Akto's service" if "failed" in problem else _ANOTHER
