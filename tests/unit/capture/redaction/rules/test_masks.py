"""The replacements of secrets."""

from __future__ import annotations

import base64
import json

from akto_mirror.capture.redaction.rules.masks import MADE_UP_JWT, MASK


def test_the_made_up_jwt_is_one() -> None:
    """Akto can read the replacement's header and claims; its signature says that it is one."""
    head, claims, signature = (base64.urlsafe_b64decode(part + "==") for part in MADE_UP_JWT.decode().split("."))
    assert json.loads(head) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(claims) == {"sub": "redacted"}
    assert signature == MASK.strip(b"[]")
