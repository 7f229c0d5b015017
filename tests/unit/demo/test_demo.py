"""The demo's verdict; `e2e/test_demo` runs the whole demo."""

from __future__ import annotations

from akto_mirror.demo.demo import CAPTURED, CASES, Row, final_outcome, judge, show


def rows() -> list[Row]:
    """Return the rows of a demo without differences."""
    return [Row(case.method, case.path, 200, "", case.outcome, case.outcome == CAPTURED) for case in CASES]


def test_all_is_well() -> None:
    """Without differences nothing is printed."""
    lines: list[str] = []
    assert judge(lines.append, rows(), sum(case.outcome == CAPTURED for case in CASES))
    assert lines == []


def test_each_difference_is_named() -> None:
    """Missing entries, wrong outcomes, exchanges that were not seen, and additional entries are named."""
    lines: list[str] = []
    given = rows()
    given[0] = given[0]._replace(arrived=False)
    given[-1] = given[-1]._replace(outcome=CAPTURED, arrived=True)
    del given[1]
    assert not judge(lines.append, given, 99)
    first, second, last = CASES[0], CASES[1], CASES[-1]
    assert lines[:3] == [
        f"✗ {first.method} {first.path}: captured, but it did not arrive instead of mirrored",
        f"✗ {second.method} {second.path}: not seen instead of mirrored",
        f"✗ {last.method} {last.path}: mirrored instead of {last.outcome}",
    ]
    assert lines[3].startswith("✗ 99 entries arrived instead of")


def test_the_table_is_safe_and_aligned() -> None:
    """Paths are escaped, because they come from a recording."""
    lines: list[str] = []
    show(lines.append, [Row("GET", "/\x1b[31m", 200, "", "skipped (status 404)", arrived=False)])
    assert lines[1].split()[:2] == ["GET", r"/\x1b[31m"]
    assert lines[0].index("STATUS") == lines[1].index("200")
    assert final_outcome(Row("GET", "/", 200, "", CAPTURED, arrived=True)) == "mirrored"
