"""Bodies: a bounded prefix of the bytes on the wire, and its decoding as in the Worker.

Memory is bounded by a small multiple of the body limit, whatever an untrusted client sends; mitmproxy's own `.content`
and `.text` decode without a limit.
"""

from __future__ import annotations

from typing import NamedTuple

from akto_mirror.capture.payload.codings import WORKER_DECODERS, prefix_bound

BOM = b"\xef\xbb\xbf"

# Decoded bytes after the limit that are checked for damage: of a damaged body, the Worker ships nothing.
DRAIN = 1024 * 1024


class Body(NamedTuple):
    """The bytes of one body on the wire, as far as they were kept.

    Attributes:
        prefix: the first bytes as they were transferred, with their content coding.
        complete: whether the prefix is the whole body.
    """

    prefix: bytes = b""
    complete: bool = True


EMPTY = Body()


def snapshot(raw: bytes | None, limit: int) -> Body:
    """Take the bounded prefix of a body in mitmproxy's memory; None is a body that was not kept."""
    if raw is None:
        return Body(b"", complete=False)
    bound = prefix_bound(limit)
    return Body(raw[:bound], complete=len(raw) <= bound)


def text(data: bytes) -> str:
    """Decode as the WHATWG `TextDecoder` does: UTF-8 with replacement, a leading byte order mark dropped."""
    return data.removeprefix(BOM).decode("utf-8", "replace")


def worker_payload(body: Body, coding: str, limit: int) -> str:
    """Return the payload that the Worker ships.

    A response in `gzip` or `br`, spelt exactly so, is decoded by the platform, and becomes an empty string if any part
    is damaged; other codings are not decoded. Damage in bytes that were not kept, or more than `DRAIN` bytes after the
    limit, is not noticed here.

    Args:
        body: the body's prefix.
        coding: the `content-encoding` of a response; empty for a request, which the Worker never decodes.
        limit: bytes of the decoded body to keep.
    """
    decoder = WORKER_DECODERS.get(coding)
    if decoder is None or not body.prefix or not limit:
        return text(body.prefix[:limit])
    bound = limit + DRAIN
    decoded = decoder(body.prefix, bound)
    sound = (decoded.ended and not decoded.rest) or not body.complete or len(decoded.data) >= bound
    return text(decoded.data[:limit]) if sound else ""
