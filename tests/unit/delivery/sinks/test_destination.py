"""Destinations: addresses as users write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from akto_mirror.delivery.sinks import destination
from tests.support.options import read, refused

INGEST = "/api/ingestData"


@pytest.mark.parametrize(
    ("url", "shipped_to"),
    [
        ("http://127.0.0.1:9091", f"http://127.0.0.1:9091{INGEST}"),
        ("http://127.0.0.1:9091/", f"http://127.0.0.1:9091{INGEST}"),
        ("https://ingest.example.com", f"https://ingest.example.com{INGEST}"),
        ("HTTP://Ingest.example.com", f"http://Ingest.example.com{INGEST}"),
        ("https://h/own/path", "https://h/own/path"),
        ("https://h/own/path?key=1", "https://h/own/path?key=1"),
        ("https://h?key=1", f"https://h{INGEST}?key=1"),
        ("https://h/x#part", "https://h/x"),
        ("http://[::1]:9091", f"http://[::1]:9091{INGEST}"),
        ("http://bücher.example", f"http://bücher.example{INGEST}"),
        ("http://example.com.:81", f"http://example.com.:81{INGEST}"),
        ("http://h:65535", f"http://h:65535{INGEST}"),
    ],
)
def test_a_url_without_a_path_means_akto_s_own(url: str, shipped_to: str) -> None:
    """The path of the data-ingestion service is the default."""
    assert read(url=url).sink.destination.url == shipped_to


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("user:hunter2@host:9091", "(hidden)@host:9091"),
        ("http:/user:hunter2@host", "http:/(hidden)@host"),
        ("HTTP:\\\\user:hunter2@host", r"HTTP:\\\\(hidden)@host"),
        ("http://user:hunter2@host", "http://(hidden)@host"),
        ("http://user:hunter2@x@host/?a", "http://(hidden)@host/?(hidden)"),
        ("ftp://host/?token=hunter2", "ftp://host/?(hidden)"),
    ],
)
def test_what_may_be_secret_in_a_url_is_not_shown(url: str, shown: str) -> None:
    """Errors show neither username and password nor the query, however the URL is written."""
    line = refused(url=url)
    assert "hunter2" not in line
    assert line.startswith(f"akto_url={shown}: ")


def test_a_query_is_not_logged() -> None:
    """The text for the log has no query, which may contain a key."""
    assert read(url="https://h/x?token=hunter2").sink.destination.shown == "https://h/x?(hidden)"
    assert read(url="https://h/x").sink.destination.shown == "https://h/x"


def test_a_pipe_is_not_a_file_for_entries(tmp_path: Path) -> None:
    """A pipe is refused, because without a reader it would block the sender forever."""
    os.mkfifo(tmp_path / "pipe")
    assert "it is a pipe" in refused(url=f"file://{tmp_path}/pipe")


def test_a_file_url_names_a_file(tmp_path: Path) -> None:
    """Escapes in the URL are decoded; the file need not exist yet."""
    target = read(url=f"file://{tmp_path}/a%20b.ndjson").sink.destination
    assert (target.scheme, target.path) == ("file", str(tmp_path / "a b.ndjson"))
    assert read(url=f"file://localhost{tmp_path}/c").sink.destination.path == str(tmp_path / "c")


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("nope", "must begin with http://, https://, file:// or kafka://"),
        ("127.0.0.1:9091", "must begin with http://, https://, file:// or kafka://"),
        ("ftp://h/x", "must begin with http://, https://, file:// or kafka://"),
        ("://h", "must begin with http://, https://, file:// or kafka://"),
        ("http:", "names no host"),
        ("http://", "names no host"),
        ("http:///x", "names no host"),
        ("http://:9091", "names no host"),
        ("http://[::1", "Invalid IPv6 URL"),
        ("http://h:x", "its port must be a number from 1 to 65535"),
        ("http://h:99999", "its port must be a number from 1 to 65535"),
        ("http://h:0", "its port must be a number from 1 to 65535"),
        ("http://h:-1", "its port must be a number from 1 to 65535"),
        ("http://a b/", "not a host name"),
        ("http://a..b/", "not a host name"),
        ("http://.example/", "not a host name"),
        (f"http://{'a' * 64}.example/", "not a host name"),
        (f"http://{'a.' * 128}example/", "not a host name"),
        ("http://h/\x1b[31m", "control character"),
        ("http://h/\nx", "control character"),
        ("http://h/\udcff", "valid UTF-8"),
        ("file:relative.ndjson", "with three slashes"),
        ("file://relative.ndjson", "with three slashes"),
        ("file://host/x.ndjson", "with three slashes"),
        ("file:///no-such-folder/x.ndjson", "the folder /no-such-folder does not exist; create it first"),
        ("file:///", "it is a folder"),
        ("file:///tmp/%00", "NUL"),
        ("file:///tmp/a#b.ndjson", "%23"),
        ("file:///tmp/a?b.ndjson", "%3F"),
    ],
)
def test_an_unusable_url_is_refused(url: str, problem: str) -> None:
    """The error names the option and the value, and says what is allowed."""
    line = refused(url=url)
    assert line.startswith("akto_url=")
    assert problem in line


@pytest.mark.parametrize(
    "url", ["http://user:hunter2@h", "http://hunter2@h", "http://u:hunter2/@h:1", "http://u:hunter2@"]
)
def test_a_password_in_a_url_is_refused_and_not_shown(url: str) -> None:
    """A URL with a password is refused, because URLs are logged."""
    assert "hunter2" not in refused(url=url)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h:1/own/path?key=1", "http://h:1"),
        ("https://h", "https://h"),
        ("kafka://b:1,a:2/topic", "kafka://a:2,b:1"),
        ("file:///tmp/x.ndjson", "file:///tmp/x.ndjson"),
    ],
)
def test_batches_on_disk_are_for_a_server_and_not_for_a_path(url: str, target: str) -> None:
    """Batches on disk are stored by server, so that a corrected path gets the batches for the wrong one."""
    assert destination.spool_target(destination.parse(url), "") == target


def test_a_server_behind_a_unix_socket_is_another_one() -> None:
    """A Unix socket is part of the target, because two services may have the same host name."""
    assert destination.spool_target(destination.parse("http://h"), "/run/a.sock") == "http://h by /run/a.sock"


def test_kafka_has_a_port_and_a_topic_by_default() -> None:
    """Port and topic have defaults; brokers are separated by commas, and the scheme may be in any case."""
    found = destination.parse("KAFKA://a,[::1]:1")
    assert (found.brokers, found.topic) == (("a:9092", "[::1]:1"), "akto.api.logs")
    assert found.url == "kafka://a:9092,[::1]:1/akto.api.logs"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("kafka://", "write kafka://BROKER:9092"),
        ("kafka://a,,b", "write kafka://BROKER:9092"),
        ("kafka://a:0", "a number from 1 to 65535"),
        ("kafka://a/..", "its topic must be"),
        ("kafka://a/b/c", "its topic must be"),
        ("kafka://u:hunter2@a", "AKTO_KAFKA_USERNAME"),
    ],
)
def test_an_unusable_broker_is_refused(url: str, problem: str) -> None:
    """The error says what is allowed, and shows no password."""
    with pytest.raises(ValueError, match=re.escape(problem)) as caught:
        destination.parse(url)
    assert "hunter2" not in str(caught.value)
