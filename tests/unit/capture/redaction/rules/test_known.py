"""The table of known secrets: what the search requires of each row."""

from __future__ import annotations

import re

import pytest

from akto_mirror.capture.redaction.rules.known import COMMON, Rule

# Constructs that Python before 3.11.5 matches wrongly, or that google-re2 does not support.
FOREIGN = re.compile(r"[*+?}]\+|\(\?(?:[=!>]|<[=!]|\()|\\[1-9]")


@pytest.mark.parametrize("rule", COMMON, ids=lambda rule: f"{rule.kind} {rule.keyword}")
def test_a_row_is_fit_for_both_engines(rule: Rule) -> None:
    """A row compiles, has no lookaround, matches no empty text, and always contains its keyword."""
    assert re.compile(rule.pattern).search("") is None
    assert FOREIGN.search(rule.pattern) is None
    assert rule.keyword
    assert not rule.own
    assert re.fullmatch("[a-z0-9-]+", rule.kind)
