"""Expressions of linear time, and Python's own where google-re2 is missing."""

from __future__ import annotations

import pytest

from akto_mirror.capture.redaction.rules import expressions


@pytest.fixture(params=["google-re2", "re"])
def _engine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "re":
        monkeypatch.setattr(expressions, "re2", None)
    elif not expressions.is_linear():
        pytest.skip("there is no google-re2")


@pytest.mark.usefixtures("_engine")
def test_spans() -> None:
    """Spans are of the whole match, or of the group `secret`, in bytes."""
    assert list(expressions.spans("b+")(b"abbab")) == [(1, 3), (4, 5)]
    assert list(expressions.spans("a(?P<secret>b)")(b"ab")) == [(1, 2)]
    assert list(expressions.spans("B", ignore_case=True)("éb".encode())) == [(2, 3)]
    assert expressions.first("b")(b"abc")


@pytest.mark.usefixtures("_engine")
def test_what_is_not_valid() -> None:
    """The error for an invalid expression says why."""
    with pytest.raises(ValueError, match=r"missing|unterminated"):
        expressions.spans("(a")


@pytest.mark.usefixtures("_engine")
def test_which() -> None:
    """The indexes of the expressions found are returned."""
    found = expressions.which(["a[0-9]", "b", "c"], ["a", "b", "c"])
    assert set(found(b"a1 c")) == {0, 2}
    assert found(b"x") == []
