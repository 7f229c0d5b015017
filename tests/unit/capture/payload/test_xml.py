"""Cut XML is repaired to well-formed XML."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import xml
from tests.support.texts import path, read_xml, xml_texts


@pytest.mark.parametrize(
    ("cut", "closed"),
    [
        ("<r><i><id>1</id></i><i>", "<r><i><id>1</id></i><i></i></r>"),
        ("<r><i><id>12", "<r><i><id>12</id></i></r>"),
        ('<r><i a="x', "<r></r>"),
        ('<r><i a="x>y" b=\'', "<r></r>"),
        ("<r>a &am", "<r>a </r>"),
        ("<r>a &amp;", "<r>a &amp;</r>"),
        ("<r>a<!-- never en", "<r>a</r>"),
        ("<r>a<![CDATA[ <x> & ", "<r>a<![CDATA[ <x> & ]]></r>"),
        ("<r>a</r", "<r>a</r>"),
        ("<r>a</r>\n<!-- ", "<r>a</r>\n"),
        ('<?xml version="1.0"?><r>é', '<?xml version="1.0"?><r>é</r>'),
        ('<?xml version="1.0"?>', ""),
        ("<s:Env xmlns:s='u'><s:Body><x/>", "<s:Env xmlns:s='u'><s:Body><x/></s:Body></s:Env>"),
    ],
)
def test_what_is_closed(cut: str, closed: str) -> None:
    """Open elements are closed, and an unfinished tag, comment or reference is dropped."""
    found = xml.close(cut.encode(), 1_000)
    assert found is not None
    assert found.decode() == closed


@pytest.mark.parametrize(
    "text", ["<a></b>", "plain", "<a b=c>", '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;', "<r>&nbsp;</r><", "<r/><r/>"]
)
def test_what_is_not_a_xml_to_be_read(text: str) -> None:
    """Other text is left alone; a DOCTYPE ends the parse before an entity can expand."""
    assert xml.close(text.encode(), 1_000) is None


@pytest.mark.parametrize(
    "declared",
    [
        "<!DOCTYPE r>",
        '<!DOCTYPE r SYSTEM "r>.dtd">',
        "<!DOCTYPE r PUBLIC '-//X' \"r\" >\n",
        '<!DOCTYPE r [<!ENTITY x "y"> ] >',
    ],
)
@pytest.mark.parametrize("before", ["", '<?xml version="1.0"?>\n', "<!-- c --> "])
def test_a_doctype_that_nothing_uses_is_taken_off(declared: str, before: str) -> None:
    """An unused DOCTYPE is removed, because Akto reads no document that has one."""
    plain = xml.readable((before + declared + "<r>1</r>").encode()).decode()
    assert plain.replace("\n", "").strip() == (before + "<r>1</r>").replace("\n", "").strip()


@pytest.mark.parametrize(
    "text",
    [
        '<!DOCTYPE r [<!ENTITY x "y">]><r>&x;</r>',
        "<!DOCTYPE html><p>a<br>b</p>",
        "<r><!DOCTYPE r></r>",
        "<!DOCTYPE r [ <!-- ] --> ]><r/>",
        "<!DOCTYPE r",
        "<r/>",
    ],
)
def test_other_documents_stay(text: str) -> None:
    """Documents stay that use an entity, are not XML, or have an ambiguous end of the declaration."""
    assert xml.readable(text.encode()) == text.encode()


@given(xml_texts, st.data())
def test_any_xml_at_any_cut(text: str, data: st.DataObject) -> None:
    """The result fits, is well-formed, and is a prefix of the text followed by end tags."""
    raw = text.encode()
    cut = data.draw(st.integers(0, len(raw)))
    limit = data.draw(st.integers(0, cut + 5))
    closed = xml.close(raw[:cut], limit)
    assert closed is not None
    assert len(closed) <= limit
    if closed:
        read_xml(closed.decode())
        ended = closed.rstrip(b">")
        assert raw.startswith(closed) or len(ended) > 0


@given(xml_texts.filter(lambda text: text[1] not in "?!"), st.data())
def test_texts_longer_than_what_is_marked(item: str, data: st.DataObject) -> None:
    """The same holds where most tags are only counted, and where room is needed before the first mark."""
    names = "".join(f"<n{'o' * 90}{number}>" for number in range(60))
    items = item * (6_000 // len(item) + 1)
    raw = f"<r>{items}{names}{items}".encode()
    cut = data.draw(st.integers(0, len(raw)))
    closed = xml.close(raw[:cut], cut)
    assert closed is not None
    assert len(closed) <= cut
    assert closed == b"" or read_xml(closed.decode()).tag == "r"
    assert len(closed) >= min(cut - 200, len(f"<r>{items}".encode()) - 200)


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes(data: bytes, limit: int) -> None:
    """Any bytes are closed without an error, and the result is not longer."""
    closed = xml.close(data, limit)
    assert closed is None or len(closed) <= limit
    closed = xml.close(b"<r>" + data, limit)
    assert closed is None or len(closed) <= limit


def test_deep_xml_is_cut_at_its_level() -> None:
    """Five hundred levels are kept."""
    closed = xml.close(b"<a>" * 3_000, 100_000)
    assert closed == b"<a>" * 500 + b"</a>" * 500


def test_leaves_are_texts_and_attributes() -> None:
    """Leaves are texts and attributes, with the enclosing names as written."""
    data = b"<r k='v&amp;'><a>one<!-- no -->two</a><b><![CDATA[<x>]]></b> <c/> tail</r>"
    found = [(path(leaf.place), data[leaf.start : leaf.end]) for leaf in xml.leaves(data)]
    assert found == [
        (("r", "k"), b"v&amp;"),
        (("r", "a"), b"one"),
        (("r", "a"), b"two"),
        (("r", "b"), b"<x>"),
        (("r",), b" tail"),
    ]


def test_a_comment_that_looks_like_the_end_hides_nothing() -> None:
    """The text after such a comment still belongs to its element."""
    data = b"<password><!-- </password> -->hunter2</password>"
    assert [data[leaf.start : leaf.end] for leaf in xml.leaves(data)] == [b"hunter2"]


@given(xml_texts)
def test_leaves_hold_all_text(text: str) -> None:
    """Each text and attribute that a parser finds is in one of the leaves."""
    data = text.encode()
    spans = b" ".join(data[leaf.start : leaf.end] for leaf in xml.leaves(data)).decode()
    spans = spans.replace("&lt;", "<").replace("&#62;", ">").replace("&quot;", '"').replace("&amp;", "&")
    for element in read_xml(text).iter():
        assert all(value in spans for value in element.attrib.values() if "<" not in value)


@pytest.mark.parametrize("text", ["<a>", "<a/><b/>", "<!DOCTYPE a><a/>", "plain"])
def test_leaves_of_what_is_not_well_formed(text: str) -> None:
    """Malformed text is refused, so that a part is not taken for the whole."""
    with pytest.raises(ValueError, match="not well-formed"):
        xml.leaves(text.encode())


def test_the_work_is_linear() -> None:
    """Nesting, empty elements, references and attributes cost no more than other text."""
    start = time.thread_time()
    for data in (
        b"<a>" * 300_000,
        b"<r>" + b"<b/>" * 200_000,
        b"<r>" + b"&amp;" * 200_000,
        b"<r>" + b"<b c='&amp;'/>" * 70_000,
        b"<r " + b"a" * 1_000_000,
        b"<r>" + b"<!---->" * 100_000,
        b"<r>" + b"<![CDATA[]]>" * 80_000,
    ):
        xml.close(data, len(data))
    assert time.thread_time() - start < 15
