"""The table of known secrets: what each row must be for the search that uses it."""

from __future__ import annotations

import re

import pytest

from akto_mirror.capture.redaction.rules.known import COMMON, Rule

# What Python before 3.11.5 matches wrongly, and what google-re2 does not know.
FOREIGN = re.compile(r"[*+?}]\+|\(\?(?:[=!>]|<[=!]|\()|\\[1-9]")


@pytest.mark.parametrize("rule", COMMON, ids=lambda rule: f"{rule.kind} {rule.keyword}")
def test_a_row_is_fit_for_both_engines(rule: Rule) -> None:
    """It compiles, looks at nothing around it, matches no empty text, and cannot be without its keyword."""
    assert re.compile(rule.pattern).search("") is None
    assert FOREIGN.search(rule.pattern) is None
    assert rule.keyword
    assert not rule.own
    assert re.fullmatch("[a-z0-9-]+", rule.kind)
