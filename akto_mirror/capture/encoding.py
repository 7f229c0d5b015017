"""Encodes entries, once, and shortens those that are larger than Akto accepts."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from akto_mirror.akto_api import MAX_ENTRY_BYTES, MAX_RECORD_BYTES, Entry
from akto_mirror.capture import headers
from akto_mirror.capture.payload import render
from akto_mirror.outcomes import Repair, Secret
from akto_mirror.sampling.sampler import Look

# In an entry larger than `MAX_ENTRY_BYTES`: the most characters of one header, and of another field.
MAX_HEADER = 8 * 1024
MAX_FIELD = 64 * 1024

# Shortens a payload, given its content type, to a fraction of its length.
Cut = Callable[[str, str, float], str]

_encoder = msgspec.json.Encoder()


class Draft(NamedTuple):
    """An entry before it is encoded.

    Attributes:
        entry: the entry, of any size.
        types: the content types of the request's and the response's payload.
        repairs: the repairs of the payloads.
        hidden: the secrets that were redacted.
    """

    entry: Entry
    types: tuple[str, str] = ("", "")
    repairs: tuple[Repair, ...] = ()
    hidden: tuple[Secret, ...] = ()


class Captured(NamedTuple):
    """An entry that is ready to be sent.

    Attributes:
        entry: the entry.
        encoded: the encoded entry, which is never encoded again.
        is_shortened: whether it was too large, and was cut.
        repairs: what of the payloads was repaired.
        look: what sampling has to learn once it is queued; None without sampling.
        hidden: what was redacted.
    """

    entry: Entry
    encoded: bytes
    is_shortened: bool
    repairs: tuple[Repair, ...] = ()
    look: Look | None = None
    hidden: tuple[Secret, ...] = ()


def encode(entry: Entry) -> bytes:
    """Encode an entry."""
    # A copy: the bytes from msgspec keep its buffer, up to half as large again, while the entry waits.
    return bytes(memoryview(_encoder.encode(entry)))


def fit(draft: Draft, *, worker: bool, is_cut: bool = False) -> Captured:
    """Encode an entry, shortened if it is too large.

    Args:
        draft: the entry.
        worker: whether the fidelity is `worker`: payloads are cut, and not repaired.
        is_cut: whether something was cut before.
    """
    encoded = encode(draft.entry)
    limit = MAX_ENTRY_BYTES if worker else MAX_RECORD_BYTES
    if len(encoded) <= limit and _header_size(draft.entry) <= headers.MAX_HEADERS:
        return Captured(draft.entry, encoded, is_cut, draft.repairs, hidden=draft.hidden)
    short = shorten(draft, limit, cut_plainly if worker else cut_by_repair)
    return Captured(short, encode(short), True, draft.repairs, hidden=draft.hidden)


def _header_size(entry: Entry) -> int:
    return len(entry.requestHeaders) + len(entry.responseHeaders)


def shorten(draft: Draft, limit: int, cut: Cut) -> Entry:
    """Shorten an entry until it fits: first the other long fields, then the payloads.

    Each payload loses the same fraction. Escapes can make a payload up to six times as long, and may be in one part of
    it only, so that one cut may not be enough.
    """
    entry = draft.entry
    fixed = _fixed_size(entry)
    if fixed > limit // 2 or _header_size(entry) > headers.MAX_HEADERS:
        entry = _with_short_fields(entry, limit)
        fixed = _fixed_size(entry)
    while (size := len(encode(entry))) > limit:
        share = 0.98 * (limit - fixed) / (size - fixed)
        entry = msgspec.structs.replace(
            entry,
            requestPayload=cut(entry.requestPayload, draft.types[0], share),
            responsePayload=cut(entry.responsePayload, draft.types[1], share),
        )
    return entry


def _fixed_size(entry: Entry) -> int:
    return len(encode(msgspec.structs.replace(entry, requestPayload="", responsePayload="")))


def _with_short_fields(entry: Entry, limit: int) -> Entry:
    """Shorten all fields but the payloads, to far less than the limit however they are escaped."""
    share = limit / MAX_ENTRY_BYTES
    field, room, longest = (int(bound * share) for bound in (MAX_FIELD, headers.MAX_HEADERS // 2, MAX_HEADER))
    return msgspec.structs.replace(
        entry,
        path=entry.path[:field],
        method=entry.method[:field],
        ip=entry.ip[:field],
        status=entry.status[:field],
        requestHeaders=headers.shortened(entry.requestHeaders, room, longest),
        responseHeaders=headers.shortened(entry.responseHeaders, room, longest),
    )


def cut_plainly(payload: str, content_type: str, share: float) -> str:
    """Cut a payload of any format, as the Worker does, at a multiple of 4 characters, so that base64 stays valid."""
    del content_type
    return payload[: int(len(payload) * share) & ~3]


def cut_by_repair(payload: str, content_type: str, share: float) -> str:
    """Shorten a payload so that Akto can still read it."""
    return render.shorten(payload, content_type, int(len(payload.encode("utf-8", "replace")) * share))
