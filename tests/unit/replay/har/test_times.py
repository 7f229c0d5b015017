"""Times in HAR files, as tools and JavaScript write them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.replay.har import times

# 2024-05-06T07:08:09Z.
MOMENT = 1_714_979_289.0


@pytest.mark.parametrize(
    ("given", "start"),
    [
        ("2024-05-06T07:08:09.500Z", MOMENT + 0.5),
        ("2024-05-06T09:08:09.1234567+02:00", MOMENT + 0.123456),
        ("2024-05-06T02:38:09-0430", MOMENT),
        ("2024-05-06T07:08:09", MOMENT),
        ("2024-05-06t07:08:09z", MOMENT),
        ("+002024-05-06T07:08:09Z", MOMENT),
        ("2024-05-06 07:08:09", MOMENT),
        ("2024-05-06 09:08:09 +0200", MOMENT),
        ("2024/05/06 07:08:09", MOMENT),
        ("2024-5-6 7:8:9", MOMENT),
        (" 2024-05-06T07:08:09Z\n", MOMENT),
        ("Mon, 06 May 2024 07:08:09 GMT", MOMENT),
        ("Mon, 6 May 2024 00:08:09 -0700", MOMENT),
        ("Mon May 06 2024 09:08:09 GMT+0200 (Central European Summer Time)", MOMENT),
        ("Mon May  6 07:08:09 2024", MOMENT),
        ("5/6/2024, 7:08:09\u202fAM", MOMENT),
        ("5/6/2024, 7:08:09 PM", MOMENT + 12 * 3600),
        ("5/6/2024, 12:08:09 AM", MOMENT - 7 * 3600),
        ("May 6, 2024 07:08:09", MOMENT),
        ("Monday, May 6th, 2024 at 7:08:09 AM", MOMENT),
        ("06-May-2024 07:08:09", MOMENT),
        ("6 May 2024 02:08:09 EST", MOMENT),
        ("6 May 2024 00:08:09 PDT", MOMENT),
        ("2024-05-06", 1_714_953_600.0),
        ("2024-05", 1_714_521_600.0),
        (1_714_979_289_500, MOMENT + 0.5),
        (1_714_979_289_500.0, MOMENT + 0.5),
        ("1714979289500", MOMENT + 0.5),
        (1_714_979_289.5, MOMENT + 0.5),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        (0, 0.0),
    ],
)
def test_starts(given: object, start: float) -> None:
    """ISO 8601 and the formats of `Date` are read, in UTC without a zone; numbers are milliseconds or seconds."""
    assert times.start(given) == pytest.approx(start, abs=1e-5)


@pytest.mark.parametrize(
    "given",
    [None, "", "yesterday", "0000-00-00", "2024-13-45", "99/99/2024", True, {}, [], math.nan, "1" * 5000, 10**400],
)
def test_what_is_not_a_time_is_not_made_up(given: object) -> None:
    """Other values give NaN."""
    assert math.isnan(times.start(given))


@given(
    st.none()
    | st.booleans()
    | st.floats()
    | st.integers()
    | st.text()
    | st.text("0123456789:/-.TZ+ APMGMT()", max_size=40)
)
def test_nothing_breaks_the_reader(given: object) -> None:
    """Any value gives a number."""
    assert isinstance(times.start(given), float)
    assert times.seconds(given) >= 0


@pytest.mark.parametrize(
    ("given", "seconds"),
    [(500, 0.5), (-1, 0), (None, 0), (math.nan, 0), ("5", 0), (1e30, 1e27), (10**400, math.inf), (math.inf, math.inf)],
)
def test_durations(given: object, seconds: float) -> None:
    """Durations are in milliseconds, and 0 if unknown."""
    assert times.seconds(given) == seconds
