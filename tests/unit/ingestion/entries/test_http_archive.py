"""Entries as HAR."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

from akto_mirror.ingestion.entries import http_archive
from akto_mirror.replay import entries as recorded
from tests.support.entries import entry


def test_a_har_file_holds_the_entries(tmp_path: Path) -> None:
    """The exported file, read as a recording, gives the same entries."""
    grpc = b64encode(b"\0\0\0\0\2\x08\7").decode()
    made = [
        entry("/orders?a=1&b=%20", "POST", requestPayload={"n": 1}, responsePayload={"é": None}, statusCode="201"),
        entry("/f", "POST", sent="application/x-www-form-urlencoded", requestPayload="a=1&b=%26"),
        entry("/shop.Stock/Check", "POST", sent="application/grpc", answered="application/grpc", requestPayload=grpc,
              responsePayload=grpc),
    ]  # fmt: skip
    file = tmp_path / "entries.har"
    file.write_bytes(b"".join(http_archive.document(map(msgspec.json.encode, made))))
    again = recorded.entries([file], {"akto_include_query": True})
    assert again.skipped == []
    same = ("path", "method", "time", "statusCode", "status", "requestPayload", "responsePayload")
    assert [{name: each[name] for name in same} for each in again] == [
        {name: each.get(name, "") for name in same} for each in made
    ]
    assert json.loads(again[0]["requestHeaders"])["host"] == "shop.example"


@pytest.mark.parametrize(
    "entries", [[], [{}], [{"time": "9" * 12, "statusCode": "x", "path": 7, "requestHeaders": "["}]]
)
def test_whatever_entries_hold_a_har_file_is_whole(entries: list[dict[str, Any]]) -> None:
    """No entry, an empty one or a hostile one makes the file invalid."""
    document = json.loads(b"".join(http_archive.document(map(msgspec.json.encode, entries))))
    assert len(document["log"]["entries"]) == len(entries)
    assert all(each["startedDateTime"].endswith("Z") for each in document["log"]["entries"])
