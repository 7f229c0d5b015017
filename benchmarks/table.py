"""Markdown tables, and the context that every figure needs."""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from statistics import NormalDist, median, quantiles


def render(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Describe the versions and the machine."""
    return (
        f"Python {platform.python_version()}, mitmproxy {version('mitmproxy')}, "
        f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}"
    )


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median and, for several values, the quartiles."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    low, middle, high = quantiles(values, n=4, method="inclusive")
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"  # noqa: RUF001 - a range


def confident(values: Sequence[float], digits: int) -> str:
    """Return the median and, if there are enough values, the bounds of the true one's 95 % confidence interval.

    The bounds are values themselves, chosen by the sign test, which assumes no distribution.
    """
    ordered = sorted(values)
    rank = math.floor(len(values) / 2 - NormalDist().inv_cdf(0.975) * math.sqrt(len(values)) / 2)
    if rank < 1:
        return f"{median(values):.{digits}f}"
    return f"{median(values):.{digits}f} ({ordered[rank - 1]:.{digits}f}–{ordered[-rank]:.{digits}f})"  # noqa: RUF001 - a range
