"""Redaction: secrets leave an entry before it is queued.

Payloads are searched as text, not parsed: they may be cut off in the middle, be one JSON document a line, sit in the
`data:` lines of an event stream or come under a wrong type, and what is not redacted must stay as it was. Where a text
can be read in two ways, more is hidden rather than less.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import NamedTuple
from urllib.parse import quote_plus, unquote, unquote_plus

MASK = "[redacted]"
PRESET = "common"

COMMON_HEADERS = frozenset(
    {
        "api-key",
        "authorization",
        "cookie",
        "private-token",
        "proxy-authorization",
        "set-cookie",
        "x-access-token",
        "x-amz-security-token",
        "x-api-key",
        "x-auth-key",
        "x-auth-token",
        "x-csrf-token",
        "x-goog-api-key",
        "x-session-token",
        "x-vault-token",
        "x-xsrf-token",
    }
)

# Without `-` and `_`, as names are compared: `accesstoken` stands for `access_token`, `accessToken` and `Access-Token`.
COMMON_FIELDS = frozenset(
    {
        "accesskey",
        "accesstoken",
        "apikey",
        "apisecret",
        "apitoken",
        "appsecret",
        "authenticitytoken",
        "authorization",
        "authtoken",
        "awssecretaccesskey",
        "bearertoken",
        "cardcvc",
        "cardcvv",
        "cardnumber",
        "ccnumber",
        "clientassertion",
        "clientsecret",
        "codeverifier",
        "confirmpassword",
        "consumersecret",
        "creditcard",
        "creditcardnumber",
        "csrfmiddlewaretoken",
        "csrftoken",
        "currentpassword",
        "cvc",
        "cvv",
        "cvv2",
        "idtoken",
        "jwt",
        "mfacode",
        "newpassword",
        "oldpassword",
        "otp",
        "passcode",
        "passphrase",
        "passwd",
        "password",
        "passwordagain",
        "passwordconfirm",
        "passwordconfirmation",
        "passwordhash",
        "passwordrepeat",
        "privatekey",
        "pwd",
        "refreshtoken",
        "repeatpassword",
        "resettoken",
        "secret",
        "secretaccesskey",
        "secretkey",
        "securitycode",
        "sessionid",
        "sessiontoken",
        "signingkey",
        "socialsecuritynumber",
        "ssn",
        "token",
        "totp",
        "userpassword",
        "verifypassword",
        "xapikey",
        "xauthtoken",
        "xsrftoken",
    }
)

IGNORED = str.maketrans("", "", "-_")

# What stands between keys, so that a quote behind it begins a string; the expression `KEY` knows it too.
ENDS_NO_KEY = frozenset(":{},\"'")

# Longer keys are nobody's field names, even with every character spelt as \u0061 in JSON in a string.
MAX_KEY = 512

# Backslashes before a quote: 2^depth - 1 in JSON inside so many JSON strings, here at most four.
MAX_RUN = 15

# Every expression is atomic, and can begin only where the part before it ended, so that no text takes longer than in
# proportion to its length. Possessive quantifiers would say the same, but CPython before 3.11.5 matches them wrongly
# (https://github.com/python/cpython/issues/106052).
GAP = r"(?>(?:[\s\ufeff]|(?>\\+)[nrt]|(?<=\n)data:|/\*(?>[^*]{0,99})\*/|//(?>[^\n]{0,99})\n)*)"
BARE_KEY = r"(^|[{,(\r]|\\[nrt])(?>[ \t\ufeff-]*)((?>[\w.$-]+))"
KEY = re.compile(rf"(?:(?<![:{{}},\"'])([\"'])|{BARE_KEY}){GAP}:{GAP}", re.MULTILINE)
DELIMITER = re.compile(r"(?>\\*)[\"']")
UNTIL_QUOTE = {
    '"': re.compile(r'(?>(?:(?>[^"\\]+)|(?>\\+)(?!"))*)((?>\\*))"'),
    "'": re.compile(r"(?>(?:(?>[^'\\]+)|(?>\\+)(?!'))*)((?>\\*))'"),
}
STRUCTURE = re.compile(r"(?>(?:(?>[^\"'{}\[\]\\\n]+)|(?>\\+)(?![\"']))*)((?>\\*))([\"'{}\[\]\n])")
SCALAR = re.compile(r"(?>[^,}\]\"\\\r\n]+)")
LINE = re.compile(r"(?>[^\r\n]+)")
ESCAPED = re.compile(r"(?>\\+)u([0-9a-fA-F]{4})")
SUBSCRIPTS = re.compile(r"[\[\].]")
PARAMETER = re.compile(r"(^|[?&;#\s\"']|\\u0026)((?>[^=?&;#\s\"'<>{}\\]+))=(?>[^&#\s\"'<>\\]+)")
PATH_PARAMETER = re.compile(r"(;)((?>[^=;/]+))=(?>[^;/]+)")
BOUNDARY = re.compile(r"boundary(?>\s*)=(?>\s*)(?:\"((?>[^\"]*))|((?>[^\s;,\"]+)))", re.IGNORECASE)
DELIMITER_LINE = re.compile(r"(?:\A|\r?\n)--((?>[^\r\n]*))")
BLANK_LINE = re.compile(r"\r?\n\r?\n")
PART_NAME = re.compile(r"(?<![\w-])name(?>\*?)(?>\s*)=(?>\s*)(?:\"((?>[^\"\r\n]*))|((?>[^;\s\"]+)))", re.IGNORECASE)
ELEMENT = re.compile(r"<((?>(?:(?>[\w.-]+):)?)((?>[\w.-]+)))(?=[\s/>])(?>[^<>]*)>")
ATTRIBUTE = re.compile(r"(?<![\w.-])(((?>[\w.-]+))(?>\s*)=(?>\s*))(?:(\")(?>[^\"]*)|(')(?>[^']*))")

# What must not be left in the samples of `check`.
PROBE = "hunter2"

# One text of each kind that `payload` knows, with its content type and the secret in a field named `password`.
SAMPLES = (
    ("JSON", '{"a":"b", "password": "hunter2"}', "application/json"),
    ("JSON that was cut", '{"password":{"a":["hunter2', "application/json"),
    ("JSON in JSON", r'{"a":"{\"password\":\"hunter2\"}"}', "application/json"),
    ("event stream", 'data: {"password":1,\ndata: "password":"hunter2"}\n\n', "text/event-stream"),
    ("form", "a=b&password=hunter2", "application/x-www-form-urlencoded"),
    (
        "multipart",
        '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--',
        "multipart/form-data",
    ),
    ("XML", '<a><b:password c="d">hunter2</b:password><e password="hunter2"/></a>', "application/xml"),
)


@dataclass(frozen=True, slots=True)
class Redaction:
    """What is to be hidden: lower-case names of headers, and by `field_names` those of keys, fields and parameters."""

    headers: frozenset[str] = frozenset()
    fields: frozenset[str] = frozenset()


def header_names(given: Iterable[str]) -> frozenset[str]:
    """Return the header names of an option, `common` standing for `COMMON_HEADERS`."""
    names = frozenset(name.strip().lower() for name in given)
    return (names - {PRESET}) | COMMON_HEADERS if PRESET in names else names


def field_names(given: Iterable[str]) -> frozenset[str]:
    """Return the field names of an option as they are compared, `common` standing for `COMMON_FIELDS`."""
    names = frozenset(map(_plain, given)) - {""}
    return (names - {PRESET}) | COMMON_FIELDS if PRESET in names else names


def _plain(name: str) -> str:
    return name.strip().lower().translate(IGNORED)


def check() -> None:
    """Redact samples, so that an interpreter on which that does not work is noticed before a secret is shipped.

    Raises:
        ValueError: if a sample keeps its secret; the text names the kind.
    """
    redaction = Redaction(frozenset({"authorization"}), frozenset({"password"}))
    hidden = {kind: payload(text, content_type, redaction) for kind, text, content_type in SAMPLES}
    hidden["query"] = path(f"/a;password={PROBE}?b=c&password={PROBE}", redaction)
    hidden["header"] = "".join(headers({"authorization": PROBE, "referer": f"/?password={PROBE}"}, redaction).values())
    for kind, text in hidden.items():
        if PROBE in text:
            raise ValueError(f"with this Python, redaction fails to hide a secret in a sample ({kind})")


def headers(values: dict[str, str], redaction: Redaction) -> dict[str, str]:
    """Hide the values of headers, and of parameters in those that hold an address; names are lower-case."""
    if redaction.fields:
        values = {name: _address(value, redaction) for name, value in values.items()}
    if redaction.headers.isdisjoint(values):
        return values
    return {name: MASK if name in redaction.headers else value for name, value in values.items()}


def _address(value: str, redaction: Redaction) -> str:
    start = min((at for mark in "?#" if (at := value.find(mark)) >= 0), default=len(value))
    return value[:start] + _parameters(value[start:], redaction)


def payload(text: str, content_type: str, redaction: Redaction) -> str:
    """Hide the values of fields in a payload: JSON, form, multipart or XML, by what it is as much as by its type."""
    if not redaction.fields or not text:
        return text
    kind = content_type.lower()
    begin = text[:256].lstrip("\ufeff \t\r\n")
    if "multipart/" in kind or begin.startswith("--"):
        text = _multipart(text, content_type, redaction)
    if "x-www-form-urlencoded" in kind and not begin.startswith(("{", "[", '"')):
        text = pairs(text, redaction)
    if begin.startswith("<") or "xml" in kind or "html" in kind:
        text = _xml(text, redaction)
    return _parameters(_json(text, redaction), redaction)


def path(target: str, redaction: Redaction) -> str:
    """Hide the values of query parameters in a path that may have its query string, and of `;name=value` in it."""
    if not redaction.fields:
        return target
    before, mark, query = target.partition("?")
    if ";" in before:
        before = PATH_PARAMETER.sub(partial(_parameter, redaction=redaction), before)
    return before + mark + pairs(query, redaction)


def pairs(text: str, redaction: Redaction) -> str:
    """Hide values in `name=value&name=value`; of `user[password]` every name counts."""
    return "&".join(_semicolons(pair, redaction) for pair in text.split("&"))


def _semicolons(text: str, redaction: Redaction) -> str:
    """A `;` parts pairs for some servers, and belongs to the value for others: behind a secret all is hidden."""
    out: list[str] = []
    for pair in text.split(";"):
        name, mark, value = pair.partition("=")
        if mark and _is_field(unquote_plus(name), redaction):
            return ";".join([*out, f"{name}={MASK}"])
        out.append(name + mark + _inner(value, redaction))
    return ";".join(out)


def _inner(value: str, redaction: Redaction) -> str:
    """Hide what stands in a value that is JSON or an address, as it is or percent-encoded."""
    if "%" not in value and not value.startswith(("{", "[")):
        return _address(value, redaction)
    plain = unquote_plus(value)
    hidden = _json(plain, redaction) if plain.startswith(("{", "[")) else _address(plain, redaction)
    return value if hidden == plain else quote_plus(hidden)


def _parameters(text: str, redaction: Redaction) -> str:
    """Hide parameters wherever they stand: in a form of another type, in the query of an address in any text."""
    return PARAMETER.sub(partial(_parameter, redaction=redaction), text) if "=" in text else text


def _parameter(found: re.Match[str], redaction: Redaction) -> str:
    return f"{found[1]}{found[2]}={MASK}" if _is_field(unquote_plus(found[2]), redaction) else found[0]


def _is_field(name: str, redaction: Redaction) -> bool:
    plain = _plain(name)
    return plain in redaction.fields or (
        ("[" in plain or "." in plain) and not redaction.fields.isdisjoint(SUBSCRIPTS.split(plain))
    )


def _multipart(text: str, content_type: str, redaction: Redaction) -> str:
    given = BOUNDARY.search(content_type)
    boundary = (given[1] or given[2] or "").rstrip() if given else ""
    if not boundary or f"--{boundary}" not in text:
        line = DELIMITER_LINE.search(text)
        boundary = line[1].rstrip(" \t") if line else boundary
    ends = (boundary, f"{boundary}--")
    starts = [line.start() for line in DELIMITER_LINE.finditer(text) if line[1].rstrip(" \t") in ends]
    return "".join(_part(text[start:end], redaction) for start, end in pairwise([0, *starts, len(text)]))


def _part(part: str, redaction: Redaction) -> str:
    blank = BLANK_LINE.search(part)
    names = PART_NAME.findall(part, 0, blank.start()) if blank else ()
    if blank and any(_is_field(_part_name(quoted or token), redaction) for quoted, token in names):
        return part[: blank.end()] + MASK
    return part


def _part_name(given: str) -> str:
    """Return the name of `password` and of `utf-8''password` (RFC 8187)."""
    return unquote(given.rpartition("'")[2].replace("\\", ""))


def _xml(text: str, redaction: Redaction) -> str:
    out, done = [], 0
    while element := ELEMENT.search(text, done):
        out.append(text[done : element.end()])
        done = element.end()
        if _is_field(element[2], redaction) and not element[0].endswith("/>"):
            end = text.find(f"</{element[1]}", done)
            out.append(MASK)
            done = end if end >= 0 else len(text)
    return ATTRIBUTE.sub(partial(_attribute, redaction=redaction), "".join([*out, text[done:]]))


def _attribute(found: re.Match[str], redaction: Redaction) -> str:
    return f"{found[1]}{found[3] or found[4]}{MASK}" if _is_field(found[2], redaction) else found[0]


class Key(NamedTuple):
    """What stands before a value.

    Attributes:
        value: where the value begins.
        delimiter: what the key is quoted by, backslashes of JSON in a string included; empty for a bare key.
        line: the value of a bare key that begins a line, which goes on to its end.
    """

    value: int
    delimiter: str
    line: bool


def _json(text: str, redaction: Redaction) -> str:
    """Hide values behind their keys.

    Each quote with a colon behind it may end a key, wherever strings before it began: text before a document, comments
    and broken strings do not matter. In whole JSON nothing but a key looks so.
    """
    out, done, position = [], 0, 0
    while found := KEY.search(text, position):
        position = _next_start(text, found)
        key = _key(text, found, redaction)
        if key and key.value >= done:
            end, mask = _value(text, key)
            if end > key.value:
                out += [text[done : key.value], mask]
                # The quote that ends a value may as well begin the next key, if one before it was missing.
                done, position = end, max(position, end - 1)
    return "".join([*out, text[done:]])


def _next_start(text: str, found: re.Match[str]) -> int:
    """Return where to look for the next key: it may begin on the last line that the gap behind a bare one took in."""
    if not found[3]:
        return found.start() + 1
    line = text.rfind("\n", found.end(3), found.end())
    return line if line >= 0 else found.end()


def _key(text: str, found: re.Match[str], redaction: Redaction) -> Key | None:
    if found[3]:
        return Key(found.end(), "", not found[2]) if _is_field(found[3], redaction) else None
    close = found.start()
    run = _run(text, close)
    if run > MAX_RUN or text[close - run - 1 : close - run] in ENDS_NO_KEY:
        return None
    start = text.rfind(found[1], max(0, close - MAX_KEY), close - run)
    if start < 0 or _run(text, start) != run:
        return None
    name = text[start + 1 : close - run]
    if "\\" in name:
        name = ESCAPED.sub(lambda code: chr(int(code[1], 16)), name)
    return Key(found.end(), "\\" * run + found[1], line=False) if _is_field(name, redaction) else None


def _run(text: str, position: int) -> int:
    """Count the backslashes before a position, as far as they matter."""
    if text[position - 1 : position] != "\\":
        return 0
    before = text[max(0, position - MAX_RUN - 1) : position]
    return len(before) - len(before.rstrip("\\"))


def _value(text: str, key: Key) -> tuple[int, str]:
    """Return where a value ends, or the text, if it ends before, and what to put in its place."""
    if opened := DELIMITER.match(text, key.value):
        return _string_end(text, opened), f"{opened[0]}{MASK}{opened[0]}"
    mask = f"{key.delimiter}{MASK}{key.delimiter}"
    if text[key.value : key.value + 1] in ("{", "["):
        return _nested_end(text, key.value, max(0, len(key.delimiter) - 1)), mask
    return _scalar_end(text, key), mask


def _scalar_end(text: str, key: Key) -> int:
    scalar = (LINE if key.line else SCALAR).match(text, key.value)
    if not scalar:
        return key.value
    opened = DELIMITER.match(text, scalar.end())
    if opened and opened[0] == key.delimiter:
        return _string_end(text, opened)  # Python's b"…"; in JSON a comma would stand between.
    return key.value + len(scalar[0].rstrip())


def _string_end(text: str, opened: re.Match[str]) -> int:
    """Return where a string ends: behind its closing quote, or before one of the string that it stands in."""
    until, level, position = UNTIL_QUOTE[opened[0][-1]], len(opened[0]) - 1, opened.end()
    while quote := until.match(text, position):
        position = quote.end()
        run = len(quote[1]) % (2 * level + 2)
        if run <= level:
            return position if run == level else quote.start(1)
    return len(text)


def _nested_end(text: str, position: int, level: int) -> int:
    """Return where an object or a list ends; `level` counts the backslashes before its quotes."""
    depth, inside = 0, ""
    while token := STRUCTURE.match(text, position):
        position, mark = token.end(), token[2]
        if mark in "\"'":
            run = len(token[1]) % (2 * level + 2)
            if mark == '"' and run < level:
                return token.start(1)
            if run == level or (mark == "'" and not run):
                inside = "" if inside == mark else inside or mark
        elif mark == "\n":
            inside = ""
        elif not inside:
            depth += 1 if mark in "{[" else -1
            if depth == 0:
                return position
    return len(text)
