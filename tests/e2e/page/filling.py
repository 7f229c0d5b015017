"""Entries for the page, and the way they come."""

from __future__ import annotations

import json

import httpx

from akto_mirror.ingestion.service import Receiver

DEADLINE_S = 60
TOKEN = "eyJ.secret.token"
EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script><svg onload=alert(3)>"


def entry(path: str, method: str = "GET", host: str = "shop.example", **changes: str) -> dict[str, str]:
    """Make an entry of a JSON API."""
    return {
        "path": path,
        "method": method,
        "time": "1700000000",
        "statusCode": "200",
        "status": "OK",
        "ip": "192.0.2.7",
        "source": "MIRRORING",
        "akto_account_id": "1000000",
        "requestHeaders": json.dumps({"host": host, "content-type": changes.pop("sent", "application/json")}),
        "responseHeaders": json.dumps({"content-type": "application/json"}),
        **changes,
    }


def post(server: Receiver, *entries: dict[str, str], token: str = "") -> None:
    """Send entries to the sink as the addon does."""
    answer = httpx.post(
        f"{server.url}/api/ingestData",
        json={"batchData": entries},
        headers={"authorization": token},
        trust_env=False,
        timeout=DEADLINE_S,
    )
    assert answer.status_code == 200, answer.text
