"""Turns kinds of authentication into OpenAPI security schemes (pure)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from akto_mirror.ingestion.entries.auth import JWT, Auth

NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9._-]+")


def requirements(seen: Mapping[tuple[Auth, ...], int]) -> list[dict[str, list[str]]]:
    """Return an operation's security requirements, including an empty one if there were unauthenticated requests."""
    found: list[dict[str, list[str]]] = [{name_of(auth): [] for auth in ways} for ways in seen]
    unique = [each for number, each in enumerate(found) if each not in found[:number]]
    return unique if any(unique) else []


def name_of(auth: Auth) -> str:
    """Return a scheme's name in the document's components."""
    if auth.scheme:
        return "bearerJwt" if auth.kind == JWT and auth.scheme == "bearer" else auth.scheme
    name = NOT_IN_A_NAME.sub("-", auth.name).strip("-") or "unnamed"
    return f"{auth.place}-{name}"


def scheme(auth: Auth) -> dict[str, Any]:
    """Return the security scheme of one way to authenticate."""
    if auth.scheme == "bearer":
        return {"type": "http", "scheme": "bearer"} | ({"bearerFormat": "JWT"} if auth.kind == JWT else {})
    if auth.scheme:
        return {"type": "http", "scheme": auth.scheme}
    return {"type": "apiKey", "in": auth.place, "name": auth.name}
