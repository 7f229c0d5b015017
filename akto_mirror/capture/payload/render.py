"""Renders a body for Akto: as text, closed if it was cut, with the matching content type."""

from __future__ import annotations

from binascii import b2a_base64
from typing import NamedTuple

from akto_mirror.capture.payload import events, forms, grpc, json, media, multipart, xml
from akto_mirror.capture.payload.charsets import to_utf8, whole_characters
from akto_mirror.outcomes import Format

JSON_TYPE = "application/json"


class Rendered(NamedTuple):
    """A payload as it is in an entry.

    Attributes:
        text: the payload.
        content_type: what to report as its content type.
        repaired: the formats in which it was changed: closed or rewritten for Akto, or, for `text`, converted from
            another charset than UTF-8.
        whole: whether the body was complete, and nothing was left out because of the limit.
    """

    text: str
    content_type: str
    repaired: tuple[Format, ...] = ()
    whole: bool = True


class Source(NamedTuple):
    """A body, and the facts in its headers.

    Attributes:
        data: the body, without its content codings.
        content_type: the header's value; empty if absent.
        cut: whether there was more of the body than `data`.
        grpc_encoding: the header `grpc-encoding`; empty if absent.
        request_id: for event streams, the id of the JSON-RPC request, as `events.request_id` returns it.
    """

    data: bytes
    content_type: str = ""
    cut: bool = False
    grpc_encoding: str = ""
    request_id: bytes = events.NO_ID


def render(source: Source, limit: int) -> Rendered:
    """Return the payload of a body in at most `limit` bytes of UTF-8.

    A complete body within the limit, in UTF-8 without a byte order mark, is unchanged unless it is gRPC, an event
    stream with JSON, JSON of more than `json.MAX_DEPTH` levels, JSON after an XSSI prefix or in a call that Akto cannot
    read, XML with a DOCTYPE that can be removed, or a form with a `%` that begins no escape.
    """
    data, content_type = source.data, source.content_type
    if not data or limit <= 0:
        return Rendered("", media.reported(content_type), whole=not data and not source.cut)
    kind = media.format_of(content_type, data)
    if kind is Format.GRPC:
        framed = _grpc(source, limit)
        if framed is not None:
            return framed
        kind = media.format_of("", data)
    text = to_utf8(data, content_type, kind)
    if text is not data:
        kind = media.format_of(content_type, text)
    rendered = _events(text, source, limit) if kind is Format.EVENTS else None
    rendered = rendered or _text(text, kind, source, limit)
    # A removed byte order mark does not count as a repair.
    recoded = text is not data and not data.endswith(text)
    return rendered._replace(repaired=(Format.TEXT, *rendered.repaired)) if recoded else rendered


def _events(text: bytes, source: Source, limit: int) -> Rendered | None:
    """Render an event stream; None if no event is JSON."""
    if media.essence(source.content_type) == media.AMAZON_EVENTS:
        found = events.render_frames(text, limit)
    else:
        found = events.render(text, limit, source.request_id)
    whole = not source.cut and len(text) <= limit
    return None if found is None else Rendered(_decoded(found), JSON_TYPE, (Format.EVENTS,), whole)


def _text(text: bytes, kind: Format, source: Source, limit: int) -> Rendered:
    reported = media.reported(source.content_type)
    plain = text if source.cut else _readable(text, kind, reported)
    whole = not source.cut and len(plain) <= limit
    if whole and not (kind is Format.JSON and json.is_deep(plain)):
        return Rendered(_decoded(plain), reported, (kind,) if plain is not text else ())
    closed = _closed(plain, kind, reported, limit)
    if closed is None:
        return Rendered(_decoded(_cut(plain, limit)), reported, whole=False)
    return Rendered(_decoded(closed), reported, (kind,), whole=False)


def _readable(text: bytes, kind: Format, content_type: str) -> bytes:
    """Return a whole payload, rewritten if Akto's runtime could not read it."""
    if kind is Format.JSON:
        return json.bare(text)
    if kind is Format.FORM:
        return forms.readable(text)
    is_xml = kind is Format.XML and ("xml" in content_type or "soap" in content_type)
    return xml.readable(text) if is_xml else text


def _closed(text: bytes, kind: Format, content_type: str, limit: int) -> bytes | None:
    """Close a payload in its format; None if it cannot be."""
    if kind is Format.JSON:
        return json.close(json.without_padding(json.without_prefix(text)), limit)
    if kind is Format.XML:
        return xml.close(xml.without_doctype(text), limit)
    if kind is Format.FORM:
        return forms.close(text, limit)
    if kind is Format.MULTIPART and (boundary := media.boundary(content_type, text)):
        return multipart.close(text, boundary, limit)
    return None


def _cut(text: bytes, limit: int) -> bytes:
    return text[: whole_characters(text, min(limit, len(text)))]


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _grpc(source: Source, limit: int) -> Rendered | None:
    """Render JSON messages as JSON, and anything else as base64; None for JSON without frames."""
    reported = media.reported(source.content_type)
    kind = media.essence(reported)
    raw = grpc.unwrapped(source.data) if kind.startswith("application/grpc-web-text") else source.data
    found = grpc.messages(raw, source.grpc_encoding, limit)
    if kind.endswith("+json"):
        text = None if found is None else grpc.json_text(found, limit)
        whole = found is not None and not source.cut and grpc.fits(found, limit)
        return None if text is None else Rendered(_decoded(text), reported, (Format.GRPC,), whole)
    if found is None:
        room = limit // 4 * 3
        return Rendered(_base64(raw[:room]), reported, whole=not source.cut and len(raw) <= room)
    text = grpc.wrapped(found, limit)
    as_it_was = source.data if raw is not source.data else b2a_base64(raw, newline=False)
    whole = not source.cut and grpc.fits(found, grpc.room(limit))
    return Rendered(_decoded(text), reported, () if text == as_it_was else (Format.GRPC,), whole)


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def shorten(text: str, content_type: str, limit: int) -> str:
    """Shorten a rendered payload to at most `limit` bytes of UTF-8, and close it.

    Args:
        text: the payload.
        content_type: its `Rendered.content_type`.
        limit: bytes of UTF-8 that the result may have.
    """
    data = text.encode("utf-8", "replace")
    if len(data) <= limit:
        return text
    if media.is_base64(media.essence(content_type)):
        found = grpc.messages(grpc.unwrapped(data), "", len(data))
        return (grpc.wrapped(found, limit) if found is not None else data[: limit & ~3]).decode("ascii", "replace")
    kind = media.format_of(content_type, data)
    kind = media.format_of("", data) if kind is Format.GRPC else kind
    closed = _closed(data, kind, content_type, limit)
    return _decoded(_cut(data, limit) if closed is None else closed)
