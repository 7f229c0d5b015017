"""Tables: lines of values below a line of names (CSV, TSV), and rows of JSON beside a list of names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from akto_mirror.capture.payload.json_tokens import SCALAR, STRING
from akto_mirror.capture.payload.leaves import Change, splice
from akto_mirror.capture.redaction.gate import Place
from akto_mirror.capture.redaction.look import Look, is_masked, mask
from akto_mirror.capture.redaction.rules.masks import MASK

BOM = b"\xef\xbb\xbf"
CSV = re.compile(r"csv|tab-separated|tsv")
DELIMITERS = b",\t;|"
# What a line of names looks like, by what parts them: two or more, without other formats' marks.
HEADERS = {
    mark: re.compile(rb"(?:%s(?:%s|\Z))+\Z" % (rb'(?:"[\w .$/-]{1,64}"|[\w.$/-][\w .$/-]{0,63})', re.escape(mark)))
    for mark in (b",", b"\t", b";", b"|")
}
CELLS = {
    mark: re.compile(rb'("(?:[^"]|"")*(?:"|\Z)[^%s\r\n]*|[^%s\r\n]*)(?:(%s)|(\r?\n|\r)|\Z)' % ((re.escape(mark),) * 3))
    for mark in HEADERS
}
# Lines that are rewritten one by one; the rest of a longer table is hidden.
MOST_LINES = 5_000
# Lines by which a text without a type is known for a table.
SAMPLE = 20

# JSON: what opens, what closes, and what parts.
TOKEN = re.compile(rb'"' + STRING + rb'"?|([\[{])|([\]}])|(,)|' + SCALAR, re.DOTALL)


def lines(data: bytes, places: list[Place], kind: str, look: Look) -> bytes:
    """Hide the columns of a table that have the names of secrets; a text that is no table stays as it is.

    Args:
        data: the text.
        places: where the gate fired.
        kind: its content type in lower case, empty if there is none. A text of another type is a table if its first
            lines have as many values as its first has names.
        look: what names stand before secrets.
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
    for cell in cells.finditer(data, start):
        if column in columns and (value := cell[1]) and not is_masked(value.strip(b'"')):
            look.hidden.by_name(columns[column])
            yield Change(*cell.span(1), _masked(value))
        column += 1
        if cell.lastindex == 3:
            column, number = 0, number + 1
            if number == MOST_LINES and cell.end() < len(data):
                look.hidden.by_name("text")
                yield Change(cell.end(), len(data), MASK)
                return


def _masked(value: bytes) -> bytes:
    return b'"' + mask(value.strip(b'"')) + b'"' if value.startswith(b'"') else mask(value)


def rows(data: bytes, start: int, end: int, depth: int, columns: Mapping[int, str]) -> Iterator[tuple[int, int, str]]:
    """Find the values of JSON's rows that stand in the columns of secrets: where they are, and their rules.

    Args:
        data: the text.
        start: where an array begins.
        end: one behind its last byte.
        depth: 1 if that is a row, 2 if its elements are.
        columns: rules by the numbers of their columns.
    """
    level = column = 0
    is_row, opened = False, -1
    for token in TOKEN.finditer(data, start, end):
        kind = token.lastindex
        if kind == 3:
            column += level == depth
            continue
        if kind == 2:
            level -= 1
        if level == depth and is_row and column in columns:
            if kind == 1:
                opened = token.start()
            else:
                yield opened if opened >= 0 else token.start(), token.end(), columns[column]
                opened = -1
        if kind == 1:
            level += 1
            if level == depth:
                is_row, column = token[0] == b"[", 0
    if opened >= 0:
        yield opened, end, columns[column]
