"""Separators between names and values, and ends of values, in text without a parser."""

from __future__ import annotations

import re

# How far back a name or the beginning of a line is looked for.
BACK = 256

NAME = re.compile(rb"[\w.$-]*")
# In whatever spelling; brackets are no part of it, as they may open a list.
PIECE_NAME = re.compile(rb"(?:[\w.$%\\-]|[\x80-\xff])*")
PIECE = re.compile(rb"[^\s&?#;=\"'<>,(){}|]*")
ENCODED = re.compile(rb"%(?:25)*[2-7][0-9A-Fa-f]")
STRUCTURE = re.compile(rb"[:=<{\[&?]")
ESCAPE = re.compile(rb"(?<!\\)\\+(?:(?:u00|x)([0-9A-Fa-f]{2})|(1[0-7][0-7]))")

GAP = rb"(?:[ \t]+(?![ \t])|\xef\xbb\xbf|/\*[^*]{0,99}\*/)*"
WIDE_GAP = rb"(?:[\s\x1e]+(?![\s\x1e])|\xef\xbb\xbf|\\[nrt]|/\*[^*]{0,99}\*/|//[^\n]{0,99}\n|(?<=\n)data:)*"
SUBSCRIPTS = rb"(?:\[[^\]\s]{0,64}\]|\]){0,16}"
SEPARATOR = rb"(?:=>|:=|->|,?[:=]{1,3}|;s:[0-9]{1,9}:)"
# All that may stand between a name and its value: comments in it may hold further names, and be passed over again.
BEHIND_NAME = re.compile(rb"\\*[\"'`]?" + WIDE_GAP + rb"(?:,|" + SEPARATOR + rb")?" + WIDE_GAP)
# Behind a name in quotes; behind a bare one, which a type may follow in code.
AFTER_QUOTED = re.compile(SUBSCRIPTS + rb"(\\*[\"'`])" + WIDE_GAP + SEPARATOR + WIDE_GAP)
AFTER_BARE = re.compile(SUBSCRIPTS + GAP + SEPARATOR + GAP)
# A pair in code: ("password", "x") or ["password", "x"].
AFTER_PAIR = re.compile(rb"(\\*[\"'])" + WIDE_GAP + rb"," + WIDE_GAP + rb"(?=\\*[\"'])")
# A call, or a pair that nothing parts: setPassword("x"), "password" "x".
AFTER_CALL = re.compile(rb"\((?=\\*[\"'`])")
AFTER_NOTHING = re.compile(rb"(\\*[\"'])[ \t]+(?=\\*[\"'])")
# In a sentence, a query of OData or a .netrc.
AFTER_WORD = re.compile(rb"[ \t]+(?:(?:is|was|eq|ne)[ \t]+)?")
# In brackets, the value may follow on another line, behind comments.
AFTER_LINE = re.compile(rb"(?:#[^\n]{0,99})?\r?\n(?:[\s,]+(?![\s,])|#[^\n]{0,99}\n)*")
AFTER_SWITCH = re.compile(rb"[ \t]+(?=[^\s-])")
# What follows a scheme is no word: it has a digit, or letters that change case. `Bearer realm="x"` is a challenge.
AFTER_SCHEME = re.compile(
    rb"[ \t]+(?=[A-Za-z._~+/-]{0,99}?(?:[0-9]|[a-z][A-Z]))(?=[A-Za-z0-9._~+/-]{8,}={0,2}(?![\w=\"']))"
)
# A pair in brackets, as YAML writes it: [password, x].
AFTER_ITEM = re.compile(rb"[ \t]*,[ \t]*([^\s,\[\]{}\"'][^,\[\]{}\"'\r\n]*)\]")

QUOTE = re.compile(rb"(?:[bBrRuUfF@$]{0,2})(\\*)(\"\"\"|'''|[\"'`])")
WORD = re.compile(rb"[^\s&,;\"'<>)}\]\\|]+")
IN_BRACKETS = re.compile(rb"[^,;)}\]\r\n\"']+")
SCHEME = re.compile(rb"(?i:bearer|basic|token|digest|negotiate|apikey|sso-key|aws4-hmac-sha256)[ \t]+(?=\S)")
# GraphQL: the type of a variable, of which there may be a default; and a variable.
TYPE = re.compile(rb"\[{0,3}[A-Z][A-Za-z_]*[!\]]*(?=[\s,)=@$])[ \t]*(=[ \t]*)?")
VARIABLE = re.compile(rb"\$([A-Za-z_]\w{0,63})")
DECLARATION = re.compile(rb"\$([A-Za-z_]\w*)\s*:\s*\[*[A-Z]")
MOST_VARIABLES = 16
# Words that are unlikely to be prose: with a letter and a digit, and not a date.
UNLIKELY = re.compile(rb"(?=[^\s]*[A-Za-z])(?=[^\s]*[0-9])(?![0-9]{4}-)(?![\w-]+=[\"'])[^\s]{6,}")
SECRETS = ("pass", "pwd", "secret", "token", "apikey", "accesskey")
IN_ADDRESS = re.compile(rb"[^\s&#\"'<>\\]+")

# No character can match in two ways, which would take exponential time.
LINE_BEGINS = re.compile(
    rb"[ \t]*(?:(?:[-*>#<;]+(?![-*>#<;])|//|export|set|let|const|var|[0-9]{1,3}[.)]|[A-Z]{3,}(?![A-Z])|data:)"
    rb"[ \t]*)*[\"'`]?"
)
# What precedes a name in brackets, or one of several on a line.
OPENS = (b"{", b"(", b"[", b",", b";", b"|")
RUN = re.compile(rb"[A-Za-z0-9+/_-]*")
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{12,}={0,2}")
USER_INFO = re.compile(rb"(:?)(?:\\{0,16}/){2}([^/?#\s\"'<>\\@:]{0,128})(:?)([^/?#\s\"'<>\\@]{0,256})@")


def unescaped(name: bytes) -> bytes:
    """Return a name with the escapes of strings in it resolved."""
    return ESCAPE.sub(_character, name).lstrip(b"\\")


def _character(found: re.Match[bytes]) -> bytes:
    code = int(found[1], 16) if found[1] else int(found[2], 8)
    return bytes((code,)) if code < 0x80 else b"?"
