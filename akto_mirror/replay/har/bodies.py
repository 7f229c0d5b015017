"""Reads the bodies of a HAR file's messages, in the content coding that their headers name.

A body is None if it existed but is not in the file, and empty if there was none.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import brotlicffi
import zstandard

from akto_mirror.capture.payload.codings import MAX_CODINGS, content_codings
from akto_mirror.escaping import printable
from akto_mirror.replay.har import headers, params, values
from akto_mirror.replay.har.attachments import AttachmentError, Attachments
from akto_mirror.replay.har.headers import Fields

NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
# Characters outside both base64 alphabets: text with one of them is not encoded, whatever the file claims.
FOREIGN = re.compile(r"[^A-Za-z0-9+/=\s_-]")
BASE64 = frozenset({"base64", "base64url"})
URL_SAFE = str.maketrans("-_", "+/")

# The first bytes of bodies that are still compressed, because the program that wrote the file could not decode them.
MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}

# The fastest settings, because the result is decoded again at once.
ENCODERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content, 1, mtime=0),
    "deflate": lambda content: zlib.compress(content, 1),
    "br": lambda content: bytes(brotlicffi.compress(content, quality=1)),
    "zstd": zstandard.ZstdCompressor(1).compress,
}

# Responses without a body (RFC 9110, section 6.4.1).
BODILESS = frozenset({204, 205, 304})


@dataclass
class Bodies:
    """Reads the bodies of one entry.

    Args:
        attachments: the files that the entry may name; None if there are none.

    Attributes:
        notes: which files could not be read, and why.
    """

    attachments: Attachments | None = None
    notes: list[str] = field(default_factory=list)

    def of_request(self, request: Mapping[str, Any], fields: Fields) -> bytes | None:
        """Return a request's body as it was sent.

        Chrome sometimes omits the text of a form, and HTTP Toolkit stores binary bodies separately.
        """
        posted = values.content(request.get("postData"))
        found = self._held(posted, "request")
        if not found and posted.get("params") and not self._names_file(posted):
            found = params.body(posted["params"], _form_type(posted, fields))
        if not found:
            found = self._held(values.mapping(request.get("_content")), "request") or found
        is_known = found is not None or not values.line(posted.get("mimeType"))
        return coded(found or b"", fields) if found or not _had_body(request, posted, fields, is_known) else None

    def of_response(self, response: Mapping[str, Any], fields: Fields, method: str, status: int) -> bytes | None:
        """Return a response's body as it was sent."""
        content = values.content(response.get("content"))
        found = self._held(content, "response")
        if not found and (method == "HEAD" or status < 200 or status in BODILESS):
            return b""
        is_known = found is not None or not headers.first(fields, b"content-type")
        return coded(found or b"", fields) if found or not _had_body(response, content, fields, is_known) else None

    def _held(self, content: Mapping[str, Any], message: str) -> bytes | None:
        if self._names_file(content):
            return self._attached(values.text(content["_file"]), message)
        if content.get("text") is None:
            return None
        text = values.text(content["text"])
        encoding = values.line(content.get("encoding")).lower()
        return unbase64(text) if encoding in BASE64 and not FOREIGN.search(text) else values.encoded(text)

    def _names_file(self, content: Mapping[str, Any]) -> bool:
        return self.attachments is not None and bool(content.get("_file"))

    def _attached(self, name: str, message: str) -> bytes | None:
        assert self.attachments is not None  # noqa: S101 - checked before; for the type checker
        try:
            return self.attachments.read(name)
        except AttachmentError as error:
            self.notes.append(f"the {message} body cannot be read from {printable(name)}: {error}")
            return None


def _form_type(posted: Mapping[str, Any], fields: Fields) -> str:
    """Return the content type of a form; a multipart type without a boundary gets one, also in the header."""
    described = values.line(posted.get("mimeType"))
    kind = headers.first(fields, b"content-type") or described
    if kind.lower().startswith("multipart/") and not params.boundary(kind):
        kind += f"; boundary={params.boundary(described) or params.OWN_BOUNDARY}"
        headers.set_type(fields, kind)
    return kind


def _had_body(message: Mapping[str, Any], content: Mapping[str, Any], fields: Fields, is_known: bool) -> bool:
    """Return whether a message had a body that is not in the file.

    The sizes in the file decide: with an empty text only the first that is given, without a text all of them. Without
    sizes, there was a body unless `is_known`.
    """
    if content.get("_file"):
        return True
    given = headers.first(fields, b"content-length").strip()
    length = int(given) if re.fullmatch(r"\d{1,18}", given) else -1
    counts = [
        size for each in (content.get("size"), message.get("bodySize"), length) if (size := values.size(each)) >= 0
    ]
    if content.get("text") is not None:
        counts = counts[:1]
    return any(counts) if counts else not is_known


def unbase64(text: str) -> bytes:
    """Decode base64 that may be truncated in the middle of a group."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        kept = NOT_BASE64.sub("", text.translate(URL_SAFE))
        whole = kept[: len(kept) - (len(kept) % 4 == 1)]
        return base64.b64decode(whole + "=" * (-len(whole) % 4))


def coded(content: bytes, fields: Fields) -> bytes:
    """Encode a body in the codings that its headers name: HAR files contain decoded bodies.

    With more codings than are decoded later, the body is unchanged.
    """
    codings = _codings(fields)
    if not content or len(codings) > MAX_CODINGS:
        return content
    magic = MAGIC.get(codings[-1]) if codings else None
    if magic and content.startswith(magic):
        return content
    for name in codings:
        content = ENCODERS[name](content) if name in ENCODERS else content
    return content


def _codings(fields: Fields) -> list[str]:
    value = b",".join(value for name, value in fields if name.lower() == b"content-encoding").decode("latin-1")
    return [name.removeprefix("x-") for name in content_codings(value)]
