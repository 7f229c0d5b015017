"""Text in any charset becomes UTF-8."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload.charsets import CODECS, to_utf8, whole_characters
from akto_mirror.outcomes import Format


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-16", '{"a":"é€"}'),
        ("utf-16be", '{"a":"é€"}'),
        ("iso-8859-1", '{"name":"Jürgen"}'),
        ("Windows-1252", '{"price":"€ 5"}'),
        ("Shift_JIS", '{"名":"日本"}'),
        ("GBK", '{"名":"中文"}'),
        ("EUC-JP", '{"名":"日本"}'),
        ("big5", '{"名":"中文"}'),
        ("euc-kr", '{"k":"한국"}'),
        ("koi8-r", '{"k":"привет"}'),
        ("utf-8", '{"a":"é€"}'),
        ('"utf-8"', '{"a":"é€"}'),
    ],
)
def test_the_charset_parameter(charset: str, text: str) -> None:
    """The charset parameter is used, in any case and quoted or not."""
    codec = {"utf-16": "utf-16-le"}.get(charset, charset.strip('"'))
    assert to_utf8(text.encode(codec), f"application/json; charset={charset}", Format.JSON).decode() == text


@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_goes_first(codec: str) -> None:
    """A byte order mark takes precedence over the content type."""
    assert to_utf8('{"a":"é"}'.encode(codec), "application/json; charset=gbk", Format.JSON).decode() == '{"a":"é"}'


def test_json_under_the_default_label_is_utf8_if_it_reads_so() -> None:
    """Frameworks label UTF-8 as `charset=ISO-8859-1`."""
    assert to_utf8("é".encode(), "application/json;charset=ISO-8859-1", Format.JSON) == "é".encode()
    assert to_utf8("é".encode(), "text/plain;charset=ISO-8859-1", Format.TEXT).decode() == "Ã©"


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "windows-1252", "GBK"])
def test_xml_says_it_itself(encoding: str) -> None:
    """The encoding in an XML declaration is used, and rewritten with the text."""
    head, tail = f"<?xml version='1.0' encoding='{encoding}'?><a>", "é</a>"
    shown = to_utf8((head + tail).encode(encoding), "application/xml", Format.XML).decode()
    assert shown == head.replace(encoding, "UTF-8") + tail


def test_xml_in_utf16() -> None:
    """XML in UTF-16 is recognised by its byte order mark."""
    text = '<?xml version="1.0" encoding="UTF-16"?><a>é</a>'
    assert to_utf8(text.encode("utf-16"), "application/xml", Format.XML).decode() == text.replace("UTF-16", "UTF-8")


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize(
    ("text", "kind"), [('{"é":1}', Format.JSON), ("[1]", Format.JSON), ("<?xml version='1.0'?><a>é</a>", Format.TEXT)]
)
def test_utf16_without_a_mark(codec: str, text: str, kind: Format) -> None:
    """UTF-16 without a mark is recognised by its first characters, unless the content type says otherwise."""
    assert to_utf8(text.encode(codec), "", kind).decode() == text
    assert to_utf8(text.encode(codec), "application/json; charset=utf-8", kind) == text.encode(codec)


@pytest.mark.parametrize(("charset", "text"), [("utf-16", "aé\U0001f600"), ("shift_jis", "日本"), ("gbk", "中文")])
def test_a_cut_character_is_left_out(charset: str, text: str) -> None:
    """The kept text is a prefix of the original."""
    data = text.encode({"utf-16": "utf-16-le"}.get(charset, charset))
    for cut in range(len(data)):
        assert text.startswith(to_utf8(data[:cut], f"text/plain; charset={charset}", Format.TEXT).decode())


@pytest.mark.parametrize("charset", ["punycode", "unicode_escape", "utf-7", "rot13", "no-such", "", "../x", "\x00"])
def test_other_charsets_are_utf8(charset: str) -> None:
    """Untrusted clients cannot choose any of Python's codecs."""
    data = b"a\\u0041+AGE-\xff"
    assert to_utf8(data, f"text/plain; charset={charset}", Format.TEXT) is data


def test_an_unknown_label_hides_no_utf16() -> None:
    """UTF-16 is recognised by its zero bytes."""
    assert to_utf8('{"a":1}'.encode("utf-16-be"), "application/json; charset=utf-16_be", Format.JSON) == b'{"a":1}'


def test_utf32_is_not_utf16() -> None:
    """UTF-32 is not taken for UTF-16, although its byte order mark begins alike."""
    assert to_utf8('{"a":"é"}'.encode("utf-32"), "application/json", Format.JSON) == '{"a":"é"}'.encode()


def test_every_codec_is_one_of_text() -> None:
    """The table has only text codecs that Python knows."""
    for codec in set(CODECS.values()):
        assert codecs.lookup(codec)
        assert b"a".decode(codec, "replace") is not None


@given(st.binary(max_size=60), st.sampled_from(sorted(CODECS)), st.sampled_from(list(Format)))
def test_any_bytes_become_utf8(data: bytes, label: str, kind: Format) -> None:
    """Any bytes become UTF-8 without an error."""
    assert len(to_utf8(data, f"x/y; charset={label}", kind)) <= 4 * len(data) + 8


@given(st.text(), st.data())
def test_characters_are_not_cut(text: str, data: st.DataObject) -> None:
    """The longest prefix of whole characters is kept."""
    raw = text.encode()
    end = data.draw(st.integers(0, len(raw)))
    kept = whole_characters(raw[:end], end)
    assert text.startswith(raw[:kept].decode())
    assert end - kept < 4
    assert end != len(raw) or kept == end
