"""Character sets: converts payloads to UTF-8, and finds positions between characters."""

from __future__ import annotations

import re
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_LE, getincrementaldecoder

from akto_mirror.capture.payload.media import parameter
from akto_mirror.outcomes import Format

UTF8 = "utf-8"

# Python's codecs, each with its labels, most of which are from the WHATWG's Encoding standard. The list is closed,
# because untrusted clients must not choose codecs such as `punycode` and `unicode_escape`.
LABELS = {
    "cp1252": "ascii us-ascii iso-8859-1 iso8859-1 iso_8859-1 latin1 latin-1 l1 cp1252 windows-1252 x-cp1252",
    "utf-16-le": "utf-16 utf-16le utf16 ucs-2 unicode",
    "utf-16-be": "utf-16be",
    "utf-32-le": "utf-32 utf32",
    "cp932": "shift_jis shift-jis sjis x-sjis ms_kanji windows-31j cp932",
    "gb18030": "gbk gb2312 gb_2312-80 x-gbk gb18030 cp936 chinese",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "euc_jp": "euc-jp x-euc-jp",
    "iso2022_jp": "iso-2022-jp",
    "cp949": "euc-kr ks_c_5601-1987 korean windows-949 cp949",
    "koi8-r": "koi8-r koi8 koi",
    "koi8-u": "koi8-u",
    "cp874": "iso-8859-11 tis-620 windows-874",
    "cp1254": "iso-8859-9 latin5 windows-1254",
    "mac-roman": "macintosh x-mac-roman",
} | {f"iso8859-{part}": f"iso-8859-{part} iso8859-{part}" for part in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)}
LABELS |= {f"cp125{part}": f"windows-125{part} cp125{part}" for part in (0, 1, 3, 5, 6, 7, 8)}
CODECS = {label: codec for codec, labels in LABELS.items() for label in labels.split()}
KNOWN = CODECS.keys() | {UTF8, "utf8"}

# The codec of the labels that frameworks give JSON by default, although they write UTF-8 (RFC 8259, section 8.1).
DEFAULT_LABEL = "cp1252"

BOMS = {BOM_UTF16_LE: "utf-16-le", BOM_UTF16_BE: "utf-16-be"}

# UTF-16 without a byte order mark: JSON and XML begin with ASCII characters (RFC 4627, section 3; XML, appendix F).
UNMARKED = (("utf-16-le", re.compile(rb"[{\[<]\0[^\0]\0")), ("utf-16-be", re.compile(rb"\0[{\[<]\0[^\0]")))

# The encoding declaration (XML, section 4.3.3). In UTF-16, it matches only after decoding.
DECLARATION = re.compile(rb"""(<\?xml[ \t\r\n][^<>?]{0,80}?encoding[ \t\r\n]*=[ \t\r\n]*)(["'])([\w.:-]{1,40})\2""")

# Text contains none of these control characters, and at most one replacement character in `MOST_NOT_DECODED` bytes.
CONTROL = frozenset(range(0x20)) - frozenset(b"\t\n\x0b\x0c\r\x1b\x1e")
OF_TEXT = bytes(set(range(256)) - CONTROL)
NOT_DECODED = "\ufffd".encode()
MOST_NOT_DECODED = 16


def to_utf8(data: bytes, content_type: str, kind: Format) -> bytes:
    """Return a payload's bytes as UTF-8, without a byte order mark; UTF-8 is unchanged, valid or not.

    The charset is taken from the byte order mark, else from the content type, else from XML's encoding declaration
    (RFC 7303, section 3.2), which is rewritten if the text is converted; the default is UTF-8.
    """
    if data.startswith(BOM_UTF8):
        return data[len(BOM_UTF8) :]
    codec = BOMS.get(data[:2])
    if codec:
        # No text begins with U+0000.
        return _transcoded(data, "utf-32-le") if data.startswith(BOM_UTF32_LE) else _transcoded(data[2:], codec)
    codec = _codec(data, content_type, kind)
    return data if codec == UTF8 or (data.isascii() and _keeps_ascii(codec)) else _transcoded(data, codec)


def _codec(data: bytes, content_type: str, kind: Format) -> str:
    label = parameter(content_type, "charset").strip().lower()
    if label not in KNOWN and b"\0" in data[:4]:
        return next((codec for codec, head in UNMARKED if head.match(data)), UTF8)
    if not label and kind is Format.XML and (declared := DECLARATION.match(data)):
        label = declared[3].decode("ascii", "replace").lower()
    codec = CODECS.get(label, UTF8)
    return UTF8 if codec == DEFAULT_LABEL and kind is Format.JSON and _is_utf8(data) else codec


def _keeps_ascii(codec: str) -> bool:
    """Return whether a charset is a superset of ASCII, without shift sequences."""
    return not codec.startswith(("utf-16", "utf-32", "iso2022"))


def _is_utf8(data: bytes) -> bool:
    try:
        data[: whole_characters(data, len(data))].decode()
    except UnicodeDecodeError:
        return False
    return True


def _transcoded(data: bytes, codec: str) -> bytes:
    """Decode text, dropping a truncated character at its end, and encode it as UTF-8."""
    decoder = getincrementaldecoder(codec)("replace")
    text = decoder.decode(data).removeprefix("\ufeff").encode("utf-8", "replace")
    return DECLARATION.sub(rb"\1\2UTF-8\2", text, count=1) if DECLARATION.match(text) else text


def whole_characters(data: bytes, end: int) -> int:
    """Return the last position up to `end` at which no UTF-8 character is cut."""
    for back in range(1, min(3, end) + 1):
        byte = data[end - back]
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return end - back if length > back else end
        if byte < 0x80:
            break
    return end


def is_unreadable(data: bytes) -> bool:
    """Return whether a payload is not text: still compressed, an image, or another protocol's messages."""
    return bool(data.translate(None, OF_TEXT)) or data.count(NOT_DECODED) * MOST_NOT_DECODED > len(data)
