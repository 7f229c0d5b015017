"""Text, paths and header objects of many random inputs, compared with workerd's own results."""

from __future__ import annotations

import base64
import json
import random
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from akto_mirror.capture import body, headers, paths

SCRIPT = Path(__file__).with_name("oracle.mjs")
TIMEOUT_S = 120
COUNT = 4000
SEED = 20250901

Pair = tuple[str, str]
T = TypeVar("T")

# Pieces on which UTF-8 decoders and URL parsers tend to differ, mixed with random bytes.
TEXT_PIECES = (
    *(b"a", b"\x00", b"\x7f", b"\x80", b"\xbf", b"\xef\xbb\xbf", b"\xef\xbb", b"\xc3\xa9", b"\xc3", b"\xe2\x82\xac"),
    *(b"\xe2\x82", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80", b"\xf0\x9f", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\xf8\x88"),
)
PATH_PIECES = (
    *(b"/", b"//", b".", b"..", b"%2e", b"%2E", b"%2f", b"%", b"%zz", b"%41", b"a", b"b;c=1", b":", b"@", b"\\", b"|"),
    *(b"^", b"`", b'"', b"<", b">", b"{", b"}", b"[", b"]", b"?", b"#", b"&", b"=", b"'", b"~", b"C:", b"C|", b" "),
    *(b"\t", b"\n", b"\x01", b"\x7f", b"\xc3\xa9", b"\xff", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xef\xbb\xbf"),
)
NAMES = (
    *("a", "b", "x-a", "X-A", "x_a", "x.a", "x~", "!a", "#b", "host", "cookie", "set-cookie", "__proto__"),
    *("0", "1", "9", "10", "007", "00", "1a", "4294967294", "4294967295"),
)
VALUES = (
    *("", "v", "a b", '"', "\\", "/", "x\ty", "\x01.", "\x7f"),
    *("\u00e9", "\u20ac", "\U0001f600", "\u2028", "\ufeff."),
)


@dataclass(frozen=True)
class Questions:
    """Random inputs, equal in every run."""

    texts: Sequence[bytes]
    targets: Sequence[bytes]
    headers: Sequence[Sequence[Pair]]


def questions(count: int = COUNT) -> Questions:
    """Return `count` inputs of each kind."""
    draw = random.Random(SEED)
    return Questions(
        [_mix(draw, TEXT_PIECES) for _ in range(count)],
        [b"/" + _mix(draw, PATH_PIECES) for _ in range(count)],
        [[(draw.choice(NAMES), draw.choice(VALUES)) for _ in range(draw.randrange(6))] for _ in range(count)],
    )


def _mix(draw: random.Random, pieces: Sequence[bytes]) -> bytes:
    parts = (draw.choice(pieces) if draw.random() < 0.9 else draw.randbytes(1) for _ in range(draw.randrange(12)))
    return b"".join(parts)


def ask(asked: Questions, modules: Path) -> dict[str, list[str]]:
    """Return workerd's answers: texts, paths and header objects.

    Raises:
        subprocess.CalledProcessError: If node fails.
    """
    document = {
        "texts": [base64.b64encode(item).decode() for item in asked.texts],
        "targets": [base64.b64encode(item).decode() for item in asked.targets],
        "headers": asked.headers,
    }
    command = ["node", str(SCRIPT), "--modules", str(modules)]
    done = subprocess.run(
        command, input=json.dumps(document).encode(), capture_output=True, check=True, timeout=TIMEOUT_S
    )
    answers: dict[str, list[str]] = json.loads(done.stdout)
    return answers


def differences(modules: Path) -> Iterator[str]:
    """Ask workerd, and yield a line for each input for which our result differs."""
    asked = questions()
    answers = ask(asked, modules)
    yield from _compare("text", asked.texts, body.text, answers["texts"])
    yield from _compare("path", asked.targets, _path, answers["targets"])
    yield from _compare("headers", asked.headers, _headers, answers["headers"])


def _path(target: bytes) -> str:
    return paths.path_of(target, include_query=False)


def _headers(pairs: Sequence[Pair]) -> str:
    fields = [(name.encode(), value.encode()) for name, value in pairs]
    return headers.to_json(headers.header_map(fields, all_cookies=False))


def _compare(kind: str, inputs: Sequence[T], ours: Callable[[T], str], answers: Sequence[str]) -> Iterator[str]:
    for item, theirs in zip(inputs, answers, strict=True):
        if (made := ours(item)) != theirs:
            yield f"{kind} of {item!a}: workerd has {theirs!a}, we have {made!a}"
