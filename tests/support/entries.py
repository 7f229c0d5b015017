"""Entries for the tests of the inventory."""

from __future__ import annotations

import json
from typing import Any

from akto_mirror.ingestion.inventory import Inventory

UUID = "550e8400-e29b-41d4-a716-446655440000"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"


def entry(path: str = "/a", method: str = "GET", host: str = "shop.example", **changes: Any) -> dict[str, Any]:
    """Make an entry as the addon ships it; `sent` and `answered` are content types, `headers` further ones."""
    request = {"host": host} if host else {}
    if sent := changes.pop("sent", "application/json"):
        request["content-type"] = sent
    request |= changes.pop("headers", {})
    return {
        "path": path,
        "method": method,
        "time": "1700000000",
        "statusCode": "200",
        "status": "OK",
        "type": "HTTP/1.1",
        "source": "MIRRORING",
        "akto_account_id": "1000000",
        "akto_vxlan_id": "0",
        "requestHeaders": json.dumps(request),
        "responseHeaders": json.dumps({"content-type": changes.pop("answered", "application/json")}),
        **{
            name: json.dumps(value) if isinstance(value, dict | list) and name.endswith("Payload") else value
            for name, value in changes.items()
        },
    }


def folded(*entries: dict[str, Any]) -> Inventory:
    """Fold these entries into an inventory."""
    made = Inventory()
    for each in entries:
        made.add(each)
    return made
