"""Payment card numbers, with or without separators, recognised by issuer, length and check digit (ISO/IEC 7812-1)."""

from __future__ import annotations

import re
from collections.abc import Iterator

# 13 to 19 digits, or groups as cards show them (4-4-4-4, 4-4-4-4-3, 4-6-5 and 4-6-4); the neighbours are looked at
# afterwards. A blank may be written as in forms.
GAP = r"(?:[ +-]|%20| {3})"
CANDIDATE = (
    rf"[2-6][0-9]{{12,18}}|[2-6][0-9]{{3}}{GAP}(?:[0-9]{{4}}{GAP}[0-9]{{4}}{GAP}[0-9]{{4}}(?:{GAP}[0-9]{{3}})?"
    rf"|[0-9]{{6}}{GAP}[0-9]{{4,5}})"
)
# They are no part of a longer number, word, decimal fraction or identifier.
BEFORE = "(?<![0-9A-Za-z_.][2-6])(?<![0-9A-Za-z]-[2-6])"
AFTER = r"(?![0-9A-Za-z_]|[.-][0-9A-Za-z])"
CANDIDATES = re.compile(f"[2-6]{BEFORE}(?:{CANDIDATE.replace('[2-6]', '')}){AFTER}".encode())
# Whether there may be any: what stands beside one is neither a letter nor a digit, but for the end of an escape.
GATE = rf"(?:^|\W|\\[bfnrt]|\\u[0-9A-Fa-f]{{4}}|%(?:25)?[0-9A-Fa-f]{{2}})(?:{CANDIDATE})(?:$|\W)"
PARTED = re.compile(rb"%20|[ +-]")

# Lengths by the first digits of the issuers: Visa, Mastercard, American Express, Diners Club, Discover, JCB, UnionPay,
# Maestro, Mir, Verve and RuPay.
ISSUERS = re.compile(
    rb"4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})"
    rb"|(?:5[1-5][0-9]{2}|222[1-9]|22[3-9][0-9]|2[3-6][0-9]{2}|27[01][0-9]|2720)[0-9]{12}"
    rb"|3[47][0-9]{13}|3(?:0[0-59]|[689])[0-9]*|35(?:2[89]|[3-8][0-9])[0-9]*"
    rb"|(?:6011|64[4-9]|65|62|81|5018|5020|5038|5893|6304|67|220[0-4]|506|508|60)[0-9]*"
)
SHORT = re.compile(rb"3(?:0[0-59]|[689])|4|50(?:18|20|38)|5893|6304|67")

ZERO = ord("0")
DOUBLED = bytes.maketrans(b"0123456789", bytes(sum(divmod(2 * digit, 10)) for digit in range(10)))
GTIN = (13, 14)


def candidates(data: bytes) -> Iterator[tuple[int, int]]:
    """Return where numbers may be. Python's own module is linear here too, and faster where there are many."""
    return (found.span() for found in CANDIDATES.finditer(data))


def is_card(data: bytes, start: int, end: int) -> bool:
    """Return whether a candidate is a card's number.

    Args:
        data: the text, with blanks in the places of escapes.
        start: where its digits begin.
        end: one past the last of them.
    """
    digits = data[start:end]
    digits = digits if digits.isdigit() else PARTED.sub(b"", digits)
    return has_issuer(digits) and has_check_digit(digits) and not _is_gtin(digits)


def has_issuer(digits: bytes) -> bool:
    """Return whether a number begins as those of an issuer do, and is as long as they are."""
    if not ISSUERS.fullmatch(digits):
        return False
    return len(digits) >= 16 or digits[:2] in (b"34", b"37") or (SHORT.match(digits) is not None)


def has_check_digit(digits: bytes) -> bool:
    """Return whether the last digit is the one that Luhn's algorithm asks for."""
    plain, doubled = digits[::-2], digits[-2::-2].translate(DOUBLED)
    return (sum(plain) - ZERO * len(plain) + sum(doubled)) % 10 == 0


def _is_gtin(digits: bytes) -> bool:
    """Tell an article's number (EAN, GTIN), whose check digit is another; cards of 13 digits are no longer issued."""
    if len(digits) not in GTIN or (digits[:1] == b"3" and len(digits) == 14):
        return False
    plain, tripled = digits[::-2], digits[-2::-2]
    return (sum(plain) - ZERO * len(plain) + 3 * (sum(tripled) - ZERO * len(tripled))) % 10 == 0
