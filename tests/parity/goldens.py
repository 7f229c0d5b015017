"""The recorded facts: what the Worker shipped for each case, in a readable and diffable file."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.parity.peers import Entry

GOLDENS = Path(__file__).with_name("goldens.json")
SHIPPED, SKIPPED, REFUSED, FAILED = "shipped", "skipped", "refused", "failed"
SHORT = 200
ENDS = 40
# A hash of the random key that workerd makes for each of its handshakes.
RANDOM_MEMBER = re.compile(r'("sec-websocket-accept":)"[^"]*"')
CONSTANTS = ("akto_account_id", "akto_vxlan_id", "is_pending", "source", "tag")
LONG_FIELDS = ("path", "requestPayload", "responsePayload", "status")

Value = str | dict[str, Any]
"""A field as recorded: the text, or the digest of a long one."""
Fact = dict[str, Value]
"""`outcome` and, where it is `shipped`, the fields of the entry but `time`."""


def digest(text: str) -> Value:
    """Return `text`, or a digest of a long one: length in code points, hash, and both ends."""
    if len(text) <= SHORT:
        return text
    sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return {"length": len(text), "sha256": sha256, "head": text[:ENDS], "tail": text[-ENDS:]}


def shipped(entry: Entry) -> Fact:
    """Return the fact for an entry."""
    fields = {name: digest(value) if name in LONG_FIELDS else value for name, value in entry.items() if name != "time"}
    headers = RANDOM_MEMBER.sub(r'\1"random"', entry["responseHeaders"])
    return {"outcome": SHIPPED, **fields, "responseHeaders": headers}


def load(path: Path = GOLDENS) -> dict[str, Fact]:
    """Return the facts by case name, with the constants restored."""
    document = json.loads(path.read_text(encoding="ascii"))
    constants = document["constants"]
    return {
        name: {**fact, **constants} if fact["outcome"] == SHIPPED else fact for name, fact in document["cases"].items()
    }


def save(facts: Mapping[str, Fact], path: Path) -> None:
    """Write the facts, one case per line.

    Raises:
        ValueError: If the constants differ between entries.
    """
    constants = {json.dumps({key: fact[key] for key in CONSTANTS}) for fact in facts.values() if "path" in fact}
    if len(constants) != 1:
        raise ValueError(f"the constants of an entry vary: {sorted(constants)}")
    rows = [f"{json.dumps(name)}: {json.dumps(_row(fact))}" for name, fact in facts.items()]
    opening, closing = f'{{"constants": {constants.pop()},\n"cases": {{\n', "\n}}\n"
    path.write_text(opening + ",\n".join(rows) + closing, encoding="ascii")


def _row(fact: Fact) -> Fact:
    return {key: value for key, value in fact.items() if key not in CONSTANTS}
