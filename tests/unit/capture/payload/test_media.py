"""Content types."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akto_mirror.capture.payload import media
from akto_mirror.outcomes import Format


@pytest.mark.parametrize(
    ("given_type", "reported"),
    [
        ("Application/JSON", "application/json"),
        ("Application/JSON; Charset=UTF-8", "application/json; charset=utf-8"),
        ("Application/X-WWW-Form-Urlencoded", "application/x-www-form-urlencoded"),
        ("multipart/Form-Data; Boundary=XbX", "multipart/form-data; boundary=XbX"),
        ('multipart/form-data; BOUNDARY="X;B"; CHARSET=UTF-8', 'multipart/form-data; boundary="X;B"; charset=utf-8'),
        ('application/soap+xml; Action="urn:Do"', 'application/soap+xml; action="urn:Do"'),
        ("application/json", "application/json"),
        ("", ""),
    ],
)
def test_what_is_reported(given_type: str, reported: str) -> None:
    """The content type is reported in lower case, except for case-sensitive values."""
    assert media.reported(given_type) == reported


@given(st.text(st.sampled_from('aZ;="\\ /')))
def test_any_type_is_only_lowered(content_type: str) -> None:
    """Any type is only converted to lower case."""
    assert media.reported(content_type).lower() == content_type.lower()


@pytest.mark.parametrize(
    ("content_type", "data", "kind"),
    [
        ("application/json", b'{"a":1}', Format.JSON),
        ("application/vnd.api+json; charset=utf-8", b"12", Format.JSON),
        ("text/plain", b" [1]", Format.JSON),
        ("", b"<a/>", Format.XML),
        ("application/json", b"<html>", Format.XML),
        ("text/html; charset=utf-8", b"<html>", Format.TEXT),
        ("application/soap+xml", b"<a/>", Format.XML),
        ("application/x-www-form-urlencoded; charset=UTF-8", b"a=1", Format.FORM),
        ("application/x-www-form-urlencoded", b'{"a":1}', Format.JSON),
        ("multipart/mixed; boundary=x", b"--x", Format.MULTIPART),
        ("text/event-stream", b"data: {}", Format.EVENTS),
        ("application/grpc-web-text+proto", b"AAAA", Format.GRPC),
        ("application/connect+json", b"\0", Format.GRPC),
        ("text/plain", b"plain", Format.TEXT),
    ],
)
def test_the_format(content_type: str, data: bytes, kind: Format) -> None:
    """Framed formats are chosen by the content type, all others by the first character."""
    assert media.format_of(content_type, data) is kind


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=XbX", b"XbX"),
        ('multipart/form-data; boundary="X; b"', b"X; b"),
        ('multipart/form-data; a="boundary=no"; Boundary=yes', b"yes"),
        ("multipart/form-data", b"first"),
        ("multipart/form-data; boundary=" + "x" * 71, b""),
    ],
)
def test_the_boundary(content_type: str, boundary: bytes) -> None:
    """The boundary may be quoted or not; if the type has none, the first line's is used."""
    assert media.boundary(content_type, b"--first\r\n") == boundary


def test_the_work_is_linear() -> None:
    """Unterminated quotes and endless semicolons cost no more than other text."""
    start = time.thread_time()
    for tail in (';a="', ";a=b", ';"', "=", ";"):
        media.reported("A/B" + tail * 100_000)
        media.parameter("A/B" + tail * 100_000, "charset")
    assert time.thread_time() - start < 5


def test_a_name_behind_very_many_parameters() -> None:
    """After very many parameters the whole rest is returned as the name, so that redaction sees it."""
    assert "password" in media.parameter("form-data" + "; a=b" * 1_000 + '; name="password"', "name")
    assert media.parameter("form-data" + "; a=b" * 400 + '; name="password"', "name") == "password"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("application/grpc", True),
        ("application/grpc-web-text", True),
        ("application/grpc+json", False),
        ("application/connect+json", False),
        ("application/json", False),
    ],
)
def test_what_entries_hold_in_base64(kind: str, expected: bool) -> None:
    """Of gRPC, only JSON is not in base64."""
    assert media.is_base64(kind) == expected
