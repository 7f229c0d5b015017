"""JSON values as YAML."""

from __future__ import annotations

from typing import Any

import yaml as pyyaml
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from akto_mirror.ingestion.openapi import yaml

# Strings that a YAML parser could take for another type.
SCALARS = ["yes", "null", "1e3", "0x1f", "1_000", "2024-01-01", "- a", "a: b", "a #b", "~", "=", "<<", "12:30"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
    | st.sampled_from(SCALARS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_yaml_is_read_as_what_it_was(value: Any) -> None:
    """Parsers of YAML 1.1 and 1.2 read the same value, and the text has no control or bidirectional characters."""
    text = yaml.dump(value)
    assert pyyaml.safe_load(text) == value
    assert YAML(typ="safe", pure=True).load(text) == value
    assert not any(char in text for char in "\u202e\u2066\x1b\x85\u2028")
