"""A document as JSON and YAML."""

from __future__ import annotations

import json

import yaml

from akto_mirror.ingestion import documents
from akto_mirror.ingestion.inventory import Inventory
from tests.support.entries import entry


def test_both_notations_say_the_same() -> None:
    """JSON is indented, and YAML is parsed to the same values."""
    inventory = Inventory()
    inventory.add(entry())
    document = documents.build(inventory.endpoints())
    as_json, as_yaml = (documents.text(document, as_json=each) for each in (True, False))
    assert json.loads(as_json) == yaml.safe_load(as_yaml) == document
    assert as_json.startswith('{\n  "openapi": "3.1.')
    assert documents.compare(document, document) == []
