"""Columns whose names are secret."""

from __future__ import annotations

import json

import pytest

from akto_mirror.capture.redaction import json_walk, tables
from tests.unit.capture.redaction.samples import SECRET, hidden


@pytest.mark.parametrize("mark", [",", "\t", ";", "|"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("content_type", ["text/csv", "text/plain", ""])
def test_lines(mark: str, newline: str, content_type: str) -> None:
    """All values of the column are hidden, quoted or not; other columns stay."""
    rows = [["id", "password", "n"], ["1", "%s", "a"], ["2", "", "b"], ["3", '"%s"', '"c"'], ["4", "%s x"]]
    text = newline.join(mark.join(row) for row in rows)
    wanted = text.replace('"%s"', '"[redacted]"').replace("%s x", "[redacted]").replace("%s", "[redacted]")
    assert hidden(text, content_type) == wanted


@pytest.mark.parametrize(
    "text",
    [
        '"id","Api Key"\n1,"a, ""%s""\n%s"\n',
        "\ufeffpassword,id\n%s,1\n",
        "id,user.password\n1,%s",
        "id,token,token\n1,x,%s\n",
    ],
)
def test_quotes_and_marks(text: str) -> None:
    """Quoted values over several lines, and a byte order mark, are read, also in a string of JSON."""
    assert SECRET not in hidden(text, "text/csv")
    assert SECRET not in hidden(text)
    assert SECRET not in hidden(json.dumps({"file": text}))


@pytest.mark.parametrize(
    "text",
    [
        "id,tokens_used\n1,2\n",
        "username, password\nAn account has both of them\n",
        "password, please\nwhich one, then, is it?\n",
        "id,password",
    ],
)
def test_no_tables(text: str) -> None:
    """Other names, prose, and a header line alone are not tables."""
    assert hidden(text, "text/plain") == text


def test_long_tables() -> None:
    """Lines after the limit are hidden unread."""
    text = "id,password\n" + "1,x\n" * (tables.MOST_LINES + 9)
    assert hidden(text, "text/csv").endswith("1,[redacted]\n[redacted]")
    rows = [[1, "x"]] * json_walk.MOST_CELLS
    assert (
        hidden(json.dumps({"columns": ["id", "pwd"], "rows": rows}))
        == '{"columns": ["id", "pwd"], "rows": "[redacted]"}'
    )


@pytest.mark.parametrize(
    ("document", "wanted"),
    [
        ({"columns": ["id", "password"], "rows": [[1, "%s"], [2, ["%s"]], [3]]}, {"rows": [[1, "#"], [2, "#"], [3]]}),
        ({"rows": [[1, "%s"]], "columns": ["id", "password"]}, {"rows": [[1, "#"]]}),
        ({"meta": [{"name": "a"}, {"name": "token", "type": "S"}], "data": [["x", "%s"]]}, {"data": [["x", "#"]]}),
        ({"columns": ["password", "id"], "rows": [["%s", 1]]}, {"rows": [["#", 1]]}),
        ({"columns": ["a", "token", "pwd"], "rows": [["a", 7, {"x": "%s"}], "b"]}, {"rows": [["a", "#", "#"], "b"]}),
    ],
)
def test_rows_beside_names(document: dict[str, object], wanted: dict[str, object]) -> None:
    """Names and rows are found in any order, with names as strings or as objects."""
    shown = json.loads(hidden(json.dumps(document)).replace("[redacted]", "#"))
    assert {key: shown[key] for key in wanted} == wanted


def test_rows_below_names() -> None:
    """Rows below a row of names are read, as in spreadsheets."""
    text = json.dumps({"values": [["id", "password", "n"], [1, "%s", 2], [2, "%s", 3]], "range": "A1"})
    assert hidden(text) == text.replace("%s", "[redacted]")
    assert (
        hidden(json.dumps([["id", "a", "password"], [1, 2, "%s"]])) == '[["id", "a", "password"], [1, 2, "[redacted]"]]'
    )


def test_rows_that_are_cut() -> None:
    """The last value of a cut table is hidden too."""
    assert SECRET not in hidden('{"columns":["id","password"],"rows":[[1,"%s"],[2,"%s')
    assert SECRET not in hidden('{"columns":["id","password"],"rows":[[1,{"a":"%s"')


@pytest.mark.parametrize(
    "text",
    [
        '{"required":["user","password"],"enum":["a","b"]}',
        '[["accept","x"],["tokens_used","y"]]',
        '{"scopes":[["a","b"]],"names":["id","author"]}',
    ],
)
def test_lists_that_are_no_tables(text: str) -> None:
    """Lists of words beside one another are not tables."""
    assert hidden(text) == text


def test_pairs_are_no_table() -> None:
    """A list of headers is read as pairs, not as a table."""
    text = '[["authorization","Bearer abcdefgh1"],["accept","x"]]'
    assert hidden(text) == '[["authorization","[redacted]"],["accept","x"]]'


def test_many_rows() -> None:
    """Only the secret column of many rows is hidden; members beside the table stay."""
    rows = [["id", "token"], *([number, SECRET] for number in range(2_400))]
    found = json.loads(hidden(json.dumps({"rows": rows, "n": 1})))
    assert found == {"rows": [["id", "token"], *([number, "[redacted]"] for number in range(2_400))], "n": 1}
