"""Formats the inventory as the text of an OpenAPI document, and compares it with an older one (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from akto_mirror.ingestion.openapi import yaml
from akto_mirror.ingestion.openapi.compare import CHANGED, GONE, NEW, Change, compare
from akto_mirror.ingestion.openapi.document import build

__all__ = ["CHANGED", "GONE", "NEW", "Change", "build", "compare", "text"]


def text(document: Mapping[str, Any], *, as_json: bool) -> str:
    """Return a document as indented JSON, or as YAML."""
    return msgspec.json.format(msgspec.json.encode(document)).decode() if as_json else yaml.dump(document)
