"""Payloads as sampling reads them: the text that an entry would hold, or JSON straight from the wire (pure)."""

from __future__ import annotations

from akto_mirror.ingestion.entries.fields import Payload, decode_json, read_payload

__all__ = ["NOTHING", "Payload", "read_json", "read_payload"]

NOTHING = Payload("")


def read_json(data: bytes) -> Payload | None:
    """Read JSON as it came over the wire, without making a text of it; None if it is not whole or not UTF-8."""
    try:
        return Payload("json", (decode_json(data),)) if data else NOTHING
    except ValueError:
        return None
