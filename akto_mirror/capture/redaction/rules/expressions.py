"""Regular expressions in linear time with google-re2, or with Python's own module where google-re2 has no wheel."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

try:
    import re2
except ImportError:  # A platform for which google-re2 has no wheel.
    re2 = None

# The memory that a set of expressions may take for its automaton; with less than 8 MiB it gives up on long texts.
MAX_MEMORY = 16 * 1024 * 1024

Spans = Callable[[bytes], Iterator[tuple[int, int]]]


def is_linear() -> bool:
    """Return whether expressions take time in proportion to the text, whatever they are."""
    return re2 is not None


def spans(pattern: str, *, ignore_case: bool = False) -> Spans:
    """Return what finds an expression in bytes: the spans of its group `secret` if it has one, else of the whole.

    Raises:
        ValueError: the expression is not valid; the text says what is wrong with it.
    """
    compiled = _compiled(pattern, ignore_case=ignore_case)
    # google-re2 gives the names of groups in bytes.
    names = {name.decode() if isinstance(name, bytes) else name: number for name, number in compiled.groupindex.items()}
    group = names.get("secret", 0)

    def found(data: bytes) -> Iterator[tuple[int, int]]:
        return (match.span(group) for match in compiled.finditer(data))

    return found


def first(pattern: str) -> Callable[[bytes], bool]:
    """Return what returns whether an expression is found in bytes."""
    search = _compiled(pattern, ignore_case=False).search
    return lambda data: search(data) is not None


def _compiled(pattern: str, *, ignore_case: bool) -> re.Pattern[bytes]:
    if re2 is None:
        try:
            return re.compile(pattern.encode(), re.IGNORECASE if ignore_case else 0)
        except re.error as error:
            raise ValueError(str(error)) from None
    try:
        return re2.compile(pattern.encode(), _options(ignore_case=ignore_case))  # type: ignore[no-any-return]
    except re2.error as error:
        reason = error.args[0] if error.args else "not a valid expression"
        raise ValueError(reason.decode() if isinstance(reason, bytes) else str(reason)) from None


def _options(*, ignore_case: bool = False) -> object:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    options.max_mem = MAX_MEMORY
    options.case_sensitive = not ignore_case
    return options


def which(patterns: Sequence[str], keywords: Sequence[str]) -> Callable[[bytes], list[int]]:
    """Return a function that finds which of the expressions match in bytes, by their positions in the sequence.

    Args:
        patterns: the expressions, valid each by itself.
        keywords: for each of them what stands in all that it finds, empty if there is no such text. Python's own module
            looks for that first.
    """
    if re2 is None:
        needles = [keyword.encode() for keyword in keywords]
        return lambda data: [number for number, needle in enumerate(needles) if needle in data]
    found = re2.Set.SearchSet(_options())
    for pattern in patterns:
        found.Add(pattern.encode())
    try:
        found.Compile()  # A match without it, or with one that failed, ends the process.
    except re2.error:
        raise ValueError("its expressions are too large together") from None
    return lambda data: found.Match(data) or []
