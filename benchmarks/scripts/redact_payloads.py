"""Prints what redaction costs, as JSON: `python redact_payloads.py then|now`, for what `akto_mirror` is on the path.

`then` is the code of commit b112d1a, which knew names only.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

SIZE = 64 * 1024
JSON = "application/json"
CALLS = 15

KEY = "ghp_" + "0123456789abcdefghij" + "ABCDEFGHIJ012345"
SECRETS = {"password": "hunter2", "accessToken": "s3cr3t"}
SHOWN = {"note": f"paid with 4111 1111 1111 1111, key {KEY}"}


def document(*, secrets: bool) -> str:
    """Return an ordinary answer of 64 KB: a list of users, of which every tenth has secrets, if any has."""
    users = list[dict[str, object]]()
    while len(json.dumps(users)) < SIZE:
        number = len(users)
        user: dict[str, object] = {
            "id": f"0b6f6a3e-7c1d-4a59-9e0f-{number:012x}",
            "name": f"User {number}",
            "email": f"user{number}@example.com",
            "createdAt": "2026-08-01T12:00:00Z",
            "website": f"https://example.com/users/{number}?page=2&sort=name",
            "roles": ["reader", "editor"],
            "score": number * 1.25,
            "active": number % 3 == 0,
            "address": {"street": "1 Main St", "city": "Springfield", "zip": "12345"},
        }
        users.append(user | SECRETS | SHOWN if secrets and number % 10 == 0 else user)
    return json.dumps(users)


def then() -> dict[str, Callable[[str], str]]:
    """Return the old way."""
    from akto_mirror import redact  # noqa: PLC0415 - it is not in later versions

    names = redact.Redaction(fields=redact.field_names(["common"]))
    return {"names": lambda text: str(redact.payload(text, JSON, names))}


def now() -> dict[str, Callable[[str], str]]:
    """Return today's ways."""
    from akto_mirror.capture.redaction import Redaction, payload  # noqa: PLC0415 - it is not in earlier versions

    names = Redaction.of([], ["common"])
    both = Redaction.of([], ["common"], ["common"])
    return {"names": lambda text: payload(text, JSON, names), "both": lambda text: payload(text, JSON, both)}


def least_ms(work: Callable[[str], str], text: str) -> float:
    """Return the CPU time of a call, the least of several: whatever disturbs only adds."""
    spent = list[int]()
    for _ in range(CALLS):
        started = time.process_time_ns()
        work(text)
        spent.append(time.process_time_ns() - started)
    return min(spent) / 1e6


def main() -> None:
    """Measure each way on both documents."""
    ways = {"then": then, "now": now}[sys.argv[1]]()
    figures = dict[str, float]()
    for kind, text in (("clean", document(secrets=False)), ("secrets", document(secrets=True))):
        for name, work in ways.items():
            if ("hunter2" in text) != (work(text) != text) or "hunter2" in work(text):
                sys.exit(f"the figures are void: {name} does not hide")
            figures[f"{kind} {name}"] = least_ms(work, text)
    json.dump(figures, sys.stdout)


if __name__ == "__main__":
    main()
