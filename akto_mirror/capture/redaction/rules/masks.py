"""The replacements for secrets."""

from __future__ import annotations

MASK = b"[redacted]"

# Akto sees by a JWT that an API asks for one: `{"alg":"HS256","typ":"JWT"}`, `{"sub":"redacted"}`, and no signature.
MADE_UP_JWT = b"eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJyZWRhY3RlZCJ9.cmVkYWN0ZWQ"
