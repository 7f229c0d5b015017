"""Payloads for sampling: the text that an entry would contain, or JSON directly from the wire (pure)."""

from __future__ import annotations

from akto_mirror.ingestion.entries.fields import Payload, decode_json, read_payload

__all__ = ["NOTHING", "Payload", "read_json", "read_payload"]

NOTHING = Payload("")


def read_json(data: bytes) -> Payload | None:
    """Parse JSON from the wire without decoding it to a string first; None if it is incomplete or not UTF-8."""
    try:
        return Payload("json", (decode_json(data),)) if data else NOTHING
    except ValueError:
        return None
