"""Checks at start-up that redaction works, before anything is mirrored.

If redaction fails with this interpreter or library, nothing is shipped; and a user's own expression must be fast.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

from akto_mirror.capture.redaction.hiding import Hiding, Redaction
from akto_mirror.capture.redaction.rules import expressions
from akto_mirror.capture.redaction.rules.values import MOST_FOUND

# What must not be left in the samples.
PROBE = "hunter2"
CARD = "4111111111111111"

GRPC = b"\x00\x00\x00\x00\x18\x0a\x16" + b'{"password":"hunter2"}'

# A text of each format, with its content type and the probe in a field named `password`.
SAMPLES = (
    ("JSON", '{"a":"b", "password": "hunter2"}', "application/json"),
    ("duplicate keys in JSON", '{"password":"hunter2","password":["hunter2"]}', "application/json"),
    ("JSON lines", '{"a":1}\n{"password":"hunter2"}', "application/json"),
    ("JSON that was cut", '{"password":{"a":["hunter2', "application/json"),
    ("JSON in JSON", r'{"a":"{\"password\":\"hunter2\"}"}', "application/json"),
    ("escapes in JSON", r'{"pass\u0077ord":"hunter2"}', "application/json"),
    ("base64 of JSON", '{"a":"' + b64encode(b'{"password":"hunter2"}').decode() + '"}', "application/json"),
    ("pairs in JSON", '[{"name":"password","value":"hunter2"},["password","hunter2"]]', "application/json"),
    ("nearly JSON", "{'password': 'hunter2'}", "application/json"),
    ("event stream", 'data: {"password":1,\ndata: "password":"hunter2"}\n\n', "text/event-stream"),
    ("form", "a=b&user[pass%77ord]=hunter2", "application/x-www-form-urlencoded"),
    (
        "multipart",
        '--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--x--',
        "multipart/form-data; boundary=x",
    ),
    ("XML", '<a><b:password c="d">hunter2</b:password><e password="hunter2"/></a>', "application/xml"),
    ("pairs in XML", "<dict><key>password</key><string>hunter2</string></dict>", "application/xml"),
    ("HTML", '<input name="password" value="hunter2">', "text/html"),
    ("GraphQL", r'{"query":"{ login(password: \"\"\"hunter2\"\"\") { ok } }"}', "application/json"),
    ("YAML", "a:\n  password: |\n    hunter2\n", "application/yaml"),
    ("INI", "[a]\npassword = hunter2\n", "text/plain"),
    ("text", "see https://user:hunter2@host/ or password=hunter2", "text/plain"),
    ("gRPC", b64encode(GRPC).decode(), "application/grpc"),
)

# What an expression is tried out on: texts of the size of a payload as untrusted clients could send them. Where nothing
# but Python's own module is there, one that takes exponential time shows on very little.
TRIAL_UNITS = (b"a", b"1", b"a1", b"a ", b"1-", b"ab.", b"aA0_-", b'{"a":1},')
TRIAL_SIZE = 64 * 1024
TRIAL_SHORT = 24
TRIAL_SECONDS = 0.05


def check() -> None:
    """Redact a sample of each format.

    Raises:
        ValueError: a sample keeps its secret; the text names the format.
    """
    for kind, text in _hidden().items():
        if PROBE in text or CARD in text:
            raise ValueError(f"with this Python, redaction fails to hide a secret in a sample ({kind})")


def _hidden() -> dict[str, str]:
    hiding = Hiding(Redaction.of(["authorization", "cookie"], ["common"], ["common"]))
    hidden = {kind: _readable(hiding.payload(text, content_type)) for kind, text, content_type in SAMPLES}
    hidden["query"] = hiding.path(f"/a;password={PROBE}?b=c&password={PROBE}")
    given = {"authorization": f"Bearer {PROBE}", "cookie": f"a={PROBE}", "referer": f"/?password={PROBE}"}
    hidden["header"] = "".join(hiding.headers(given).values())
    hidden["value"] = hiding.payload(f'{{"a": {CARD}, "b": "x {CARD}"}}') + hiding.path(f"/{CARD}")
    return hidden


def _readable(text: str) -> str:
    """Return a payload with what stands in base64 in it."""
    pieces = [text, *text.split('"')]
    return " ".join(filter(None, (text, *map(_decoded, pieces))))


def _decoded(text: str) -> str:
    try:
        return b64decode(text, validate=True).decode("utf-8", "replace")
    except ValueError:
        return ""


def try_out(name: str, pattern: str, clock: Callable[[], float]) -> None:
    """Time an expression, by a clock of seconds.

    Raises:
        ValueError: it takes too long.
    """
    spans = expressions.spans(pattern)
    for size in (TRIAL_SIZE,) if expressions.is_linear() else (TRIAL_SHORT, TRIAL_SIZE):
        for unit in TRIAL_UNITS:
            text = unit * (size // len(unit)) + b"!"
            started = clock()
            for count, _ in enumerate(spans(text)):
                if count == MOST_FOUND:
                    break
            if clock() - started > TRIAL_SECONDS:
                problem = f"takes too long on {size:,} bytes of {unit.decode()!r}; make it simpler"
                raise ValueError(f"the expression of {name} {problem}")
