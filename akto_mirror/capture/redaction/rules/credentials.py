"""Credentials in plain text: `Basic <base64>`, and command options as in `curl -u user:password`."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator

# Where to look, for the gate; what stands before a word is judged afterwards, as it may be an escape.
GATE = (
    r"(?i:basic)(?:[ \t+]|%20){1,3}[A-Za-z0-9+/_-]{4}"
    r"|(?:curl|mysql(?:dump|admin|import|show)?|mariadb(?:-dump|-admin)?|sshpass|redis-cli)(?:[ \t+]|%20)"
)

# RFC 7617.
BASIC = re.compile(rb"(?i:basic)[ \t]+([A-Za-z0-9+/_-]{4,}={0,2})(?![\w+/=-])")

COMMANDS = rb"(curl|mysql|mariadb|sshpass|redis-cli)[a-z-]*[ \t]+"
COMMAND = re.compile(COMMANDS)
# Where a command ends: its line, unless that is continued, or the next command.
COMMAND_ENDS = re.compile(rb"(?<!\\)(?<!\\\r)\n|[ \t](?:\|\|?|&&|;)[ \t]|(?<![\w-])" + COMMANDS)
LONGEST_COMMAND = 4_096

VALUE = rb"(?:(?P<quote>\\*[\"'])%s(?P<quoted>(?:(?!(?P=quote)).)+)|%s(?P<bare>[^\s\"'\\]+))"
USER = rb"[^\s:\"'\\]{0,128}:"
# Switches with the password, as the commands' manuals give them; curl's flags without a value may stand before `u`.
SWITCHES = {
    b"curl": rb"(?:-[aBfgGijklLnNOpqRsSvVZ0-6#]*[uU][ \t]*|--(?:proxy-)?user(?:[ \t]+|=))" + VALUE % (USER, USER),
    b"mysql": rb"-p" + VALUE % (b"", b""),
    b"mariadb": rb"-p" + VALUE % (b"", b""),
    b"sshpass": rb"-p[ \t]*" + VALUE % (b"", b""),
    b"redis-cli": rb"-a[ \t]+" + VALUE % (b"", b""),
}
PASSWORDS = {name: re.compile(rb"(?<=[\s\"'])" + switch) for name, switch in SWITCHES.items()}


def basic(data: bytes, start: int) -> tuple[int, int] | None:
    """Return where user and password stand in base64, if `Basic` with them begins here."""
    found = BASIC.match(data, start)
    if not found or _is_in_word(data, start):
        return None
    text = found[1].rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    try:
        plain = b64decode(text + b"=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return None
    return found.span(1) if ":" in plain and plain.isprintable() else None


def passwords(data: bytes, start: int) -> Iterator[tuple[int, int]]:
    """Find the passwords among the switches of a command that begins here."""
    command = COMMAND.match(data, start)
    if not command or _is_in_word(data, start):
        return
    limit = command.end() + LONGEST_COMMAND
    ends = COMMAND_ENDS.search(data, command.end(), limit)
    for found in PASSWORDS[command[1]].finditer(data, command.end() - 1, ends.start() if ends else limit):
        yield found.span("quoted" if found["quoted"] else "bare")


def _is_in_word(data: bytes, start: int) -> bool:
    before = data[max(0, start - 1) : start]
    return before.isalnum() or before in (b"_", b"-")
