"""Parses the times of a HAR file: all formats that JavaScript's `Date` reads, and a few more."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

CLOCK = re.compile(r"(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9})\d*)?)?\s*([ap]m\b)?", re.IGNORECASE)
OFFSET = re.compile(r"(?:\b(?:gmt|utc?|z)|(?<=\s))\s*([+-])(\d{1,2}):?(\d{2})?", re.IGNORECASE)
COMMENT = re.compile(r"\([^()]*\)")
NUMBER = re.compile(r"\d{9,17}(\.\d*)?")
MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = "|".join(MONTH_NAMES)
DAY_FIRST = re.compile(rf"(\d{{1,2}})[\s-]*({MONTHS})[a-z]*[\s,.-]*(\d{{4}})", re.IGNORECASE)
MONTH_FIRST = re.compile(rf"({MONTHS})[a-z]*[\s.-]*(\d{{1,2}})(?:st|nd|rd|th)?[\s,.-]+(\d{{4}})", re.IGNORECASE)
YEAR_FIRST = re.compile(r"(\d{4})[/.-](\d{1,2})(?:[/.-](\d{1,2}))?")
AMERICAN = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})")

# The zones that JavaScript knows by name, in hours.
ZONES = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7}

# A number from FIRST_S up to FIRST_MS is in seconds: as milliseconds it would lie before 1973, before HTTP existed. Any
# other number is in milliseconds.
FIRST_MS = 1e11
FIRST_S = 1e8

# Longer texts are not times.
LONGEST = 100


def start(given: Any) -> float:
    """Return epoch seconds, or NaN for an invalid time; a time without a zone is taken as UTC."""
    if isinstance(given, bool):
        return math.nan
    try:
        if isinstance(given, int | float):
            return _of_number(float(given))
        return _of_text(given.strip()) if isinstance(given, str) and len(given) <= LONGEST else math.nan
    except (ValueError, OverflowError):
        return math.nan


def seconds(given: Any) -> float:
    """Convert milliseconds to seconds; 0 if unknown, for which programs write -1 or null, and infinity if too large."""
    if not isinstance(given, int | float) or not given > 0:
        return 0.0
    try:
        return given / 1000
    except OverflowError:
        return math.inf


def _of_number(number: float) -> float:
    return number if FIRST_S <= number < FIRST_MS else number / 1000


def _of_text(text: str) -> float:
    if NUMBER.fullmatch(text):
        return _of_number(float(text))
    try:
        when = datetime.fromisoformat(text.upper())
    except ValueError:
        when = _of_words(text)
    return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()


def _of_words(text: str) -> datetime:
    """Parse the formats of `toString`, `toUTCString` and `toLocaleString`, and ISO dates without a day.

    Raises:
        ValueError: it is not a time.
    """
    plain = COMMENT.sub(" ", text)
    clock = CLOCK.search(plain)
    zone = _zone(plain[clock.end() :]) if clock else UTC
    days = f"{plain[: clock.start()]} {OFFSET.sub(' ', plain[clock.end() :])}" if clock else plain
    year, month, day = _date(days)
    return datetime(year, month, day, tzinfo=zone) + (_time_of_day(clock) if clock else timedelta())


def _date(text: str) -> tuple[int, int, int]:
    if found := YEAR_FIRST.search(text):
        return int(found[1]), int(found[2]), int(found[3] or 1)
    if found := AMERICAN.search(text):
        return int(found[3]), int(found[1]), int(found[2])
    if found := DAY_FIRST.search(text):
        return int(found[3]), _month(found[2]), int(found[1])
    if found := MONTH_FIRST.search(text):
        return int(found[3]), _month(found[1]), int(found[2])
    raise ValueError("not a date")


def _month(name: str) -> int:
    return MONTH_NAMES.index(name.lower()) + 1


def _time_of_day(clock: re.Match[str]) -> timedelta:
    hours = int(clock[1])
    if clock[5]:
        hours = hours % 12 + (12 if clock[5].lower() == "pm" else 0)
    fraction = float(f"0.{clock[4]}") if clock[4] else 0.0
    return timedelta(hours=hours, minutes=int(clock[2]), seconds=int(clock[3] or 0) + fraction)


def _zone(text: str) -> timezone:
    if found := OFFSET.search(f" {text}"):
        minutes = int(found[2]) * 60 + int(found[3] or 0)
        return timezone(timedelta(minutes=-minutes if found[1] == "-" else minutes))
    return timezone(timedelta(hours=next((ZONES[word] for word in text.upper().split() if word in ZONES), 0)))
