"""Tables: rows of values below a header row (CSV, TSV), and JSON rows with a list of column names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from akto_mirror.capture.payload.json_tokens import BLANK, SCALAR, STRING
from akto_mirror.capture.payload.leaves import Change, splice
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import Look, is_masked, mask

BOM = b"\xef\xbb\xbf"
CSV = re.compile(r"csv|tab-separated|tsv")
DELIMITERS = b",\t;|"
# What a line of names looks like, by what separates them: two or more, without other formats' marks.
HEADERS = {
    mark: re.compile(rb"(?:%s(?:%s|\Z))+\Z" % (rb'(?:"[\w .$/-]{1,64}"|[\w.$/-][\w .$/-]{0,63})', re.escape(mark)))
    for mark in (b",", b"\t", b";", b"|")
}
CELL = rb'("[^"]*(?:""[^"]*)*(?:"|\Z)[^%s\r\n]*|[^%s\r\n]*)(?:(%s)|(\r?\n|\r)|\Z)'
CELLS = {mark: re.compile(CELL % ((re.escape(mark),) * 3)) for mark in HEADERS}
# Lines that are rewritten one by one, and values that are read; the rest of a longer table is hidden.
MOST_LINES = 5_000
MOST_VALUES = 20_000
# Lines that decide whether a text without a content type is a table.
SAMPLE = 20

# JSON: what opens, what closes, and values, with the comma behind them; and an array that holds one.
TOKEN = re.compile(rb'([\[{])|(?:([\]}])|"' + STRING + rb'"?|' + SCALAR + rb")(?:" + BLANK + rb"*(,))?", re.DOTALL)
ROW = re.compile(rb"\[[ \t\r\n]*\[")


def lines(data: bytes, places: list[Place], kind: str, look: Look) -> bytes:
    """Hide the columns of a table that have the names of secrets; a text that is no table stays as it is.

    Args:
        data: the text.
        places: where the gate fired.
        kind: its content type in lower case, empty if there is none. A text of another type is a table if its first
            lines have as many values as its first has names.
        look: decides which names denote secrets.
    """
    begin = len(BOM) if data.startswith(BOM) else 0
    end = data.find(b"\n", begin)
    if end < 0 or places[0].start >= end:
        return data
    header = data[begin:end].rstrip(b"\r")
    mark = next((mark for mark, names in HEADERS.items() if mark in header and names.match(header)), None)
    if mark is None:
        return data
    names = [name.strip(b'" ') for name in header.split(mark)]
    columns = {number: rule for number, name in enumerate(names) if (rule := look.names.of(name))}
    if not columns or not (CSV.search(kind) or _is_even(data, end + 1, mark, len(names))):
        return data
    return splice(data, _cells(data, end + 1, CELLS[mark], columns, look))


def _is_even(data: bytes, start: int, mark: bytes, width: int) -> bool:
    """Return whether the first lines have as many values as there are names; the last may be cut."""
    count, number = 0, 0
    for cell in CELLS[mark].finditer(data, start):
        count += 1
        if count > width:
            return False
        if cell[2]:
            continue
        is_last = cell.end() == len(data)
        if count != width and not (is_last and count <= width):
            return False
        number += 1
        if number == SAMPLE or is_last:
            break
        count = 0
    return number > 0


def _cells(
    data: bytes, start: int, cells: re.Pattern[bytes], columns: Mapping[int, str], look: Look
) -> Iterator[Change]:
    column = number = 0
    for left, cell in zip(range(MOST_VALUES, -1, -1), cells.finditer(data, start), strict=False):
        if column in columns and (value := cell[1]) and not is_masked(value.strip(b'"')):
            look.hidden.by_name(columns[column])
            look.hidden.take(2)
            yield Change(*cell.span(1), _masked(value))
        column += 1
        if cell.lastindex == 3:
            column, number = 0, number + 1
        if (number == MOST_LINES or not left or look.hidden.is_spent) and cell.end() < len(data):
            yield Change(cell.end(), len(data), look.hidden.unread())
            return


def _masked(value: bytes) -> bytes:
    return b'"' + mask(value.strip(b'"')) + b'"' if value.startswith(b'"') else mask(value)


@dataclass(slots=True)
class Frame:
    """An array or object of JSON that is being read.

    Attributes:
        is_array: it is an array.
        count: elements so far.
        rule: the rule by which a name that stands in it as a value is secret.
        armed: where the value of such a name begins in an array of names and values; -1 if none is due.
        is_kind: that name was the value of `type`; then only members whose keys say that they are values count.
        values: where the members that may hold the value are, and whether their keys say that they are values.
        opened: where the object or array begins that is being read as such a value; -1 if there is none.
        opened_value: whether its key says that it is a value.
        start: where it begins.
        columns: the rules of its elements that are names of secrets, by their numbers: those of a table's columns.
        table: the columns of rows that stand in it.
        arrays: where the arrays in it begin and end.
    """

    is_array: bool
    count: int = 0
    rule: str | None = None
    armed: int = -1
    is_kind: bool = False
    values: list[tuple[int, int, bool]] = field(default_factory=list)
    opened: int = -1
    opened_value: bool = False
    start: int = 0
    columns: dict[int, str] | None = None
    table: dict[int, str] | None = None
    arrays: list[tuple[int, int]] = field(default_factory=list)

    @property
    def is_pair(self) -> bool:
        """Whether it is an array of the name of a secret and its value."""
        return self.count == 2 and self.columns is not None and 1 not in self.columns

    def name(self, number: int, rule: str) -> None:
        """Note the name of a secret among the elements."""
        self.columns = self.columns or {}
        self.columns[number] = rule

    def unnamed(self, data: bytes) -> list[tuple[int, int]]:
        """Return where in an object values stand whose names may follow, and rows whose columns may."""
        if self.is_array:
            return []
        values = [(start, stop) for start, stop, _ in self.values]
        return values + [span for span in self.arrays if not self.table and ROW.match(data, span[0])]

    def rows_begin(self, inner: Frame | None, *, is_known: bool) -> int:
        """Return where in an array that is not closed those rows begin that cannot be read; -1 if there are none.

        Args:
            inner: what is open in it.
            is_known: the columns are known, so that all rows but the last can be read.
        """
        if self.is_array and self.arrays and not is_known:
            return self.arrays[0][0]
        if not self.is_array or inner is None or not (is_known or inner.is_array):
            return -1
        return inner.start


def rows(data: bytes, start: int, end: int, behind: int, columns: Mapping[int, str]) -> Iterator[tuple[int, int, str]]:
    """Find the values of JSON's rows that stand in the columns of secrets: where they are, and their rules.

    Args:
        data: the text.
        start: where an array of rows begins.
        end: one past its last byte, or that of its last row.
        behind: where the row of names ends in it, if it has one.
        columns: rules by the numbers of their columns.
    """
    level = column = 0
    is_row, opened = False, -1
    for token in TOKEN.finditer(data, start, end):
        if token.lastindex == 1:
            if level == 2 and is_row and column in columns:
                opened = token.start()
            level += 1
            if level == 2:
                is_row, column = token[0] == b"[", 0
            continue
        if token[2]:
            level -= 1
        if level != 2:
            continue
        if is_row and column in columns and token.start() >= behind:
            cell = token[0].removesuffix(b",").rstrip()
            yield opened if opened >= 0 else token.start(), token.start() + len(cell), columns[column]
        opened = -1
        column += token[3] is not None
    if opened >= 0:
        yield opened, end, columns[column]
