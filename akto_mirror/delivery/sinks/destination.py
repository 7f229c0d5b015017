"""Parses `akto_url`, the destination of entries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from akto_mirror.akto_api import BROKER_PORT, INGEST_PATH, TOPIC
from akto_mirror.escaping import printable

# Labels of 1 to 63 characters, separated and perhaps followed by dots (RFC 1035, section 2.3.4).
HOST_NAME = re.compile(r"(?:[^.\s]{1,63}\.)*[^.\s]{1,63}\.?")

KAFKA = "kafka://"

# The client's syntax of a broker, and Kafka's rule for the names of topics.
_BROKER = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[^\s:/?#@\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_TOPIC = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}")


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed `akto_url`.

    Attributes:
        scheme: `http`, `https`, `file` or `kafka`; empty for a dry run.
        url: the complete address, with its path filled in.
        path: the file, or the path and query of a request.
        brokers: the brokers of Kafka, as `HOST:PORT`.
        topic: the topic of Kafka.
    """

    scheme: str = ""
    url: str = ""
    path: str = ""
    brokers: tuple[str, ...] = ()
    topic: str = ""

    @property
    def shown(self) -> str:
        """The address as it may be logged: printable, and without its query, which may contain a key."""
        return printable(shown_url(self.url))


def parse(url: str) -> Destination:
    """Parse an `akto_url`.

    Raises:
        ValueError: it is invalid; the text says why.
    """
    if not url:
        return Destination()
    if not url.isprintable():
        raise ValueError("it contains a line break or another control character")
    if url[: len(KAFKA)].lower() == KAFKA:
        return _kafka_destination(url[len(KAFKA) :])
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return _http_destination(parts)
    if parts.scheme == "file":
        return _file_destination(parts)
    raise ValueError("it must begin with http://, https://, file:// or kafka://")


def spool_target(to: Destination, uds: str) -> str:
    """Return the target of batches on disk; it leaves out the path, so that a corrected path gets the same batches."""
    if to.scheme == "file":
        return to.url
    if to.scheme == "kafka":
        return KAFKA + ",".join(sorted(to.brokers))
    parts = urlsplit(to.url)
    return f"{parts.scheme}://{parts.netloc}" + (f" by {uds}" if uds else "")


def shown_url(url: str) -> str:
    """Hide a URL's user, password and query, even if its slashes are misspelt."""
    bare = re.sub(r"^(\s*[a-z]+:[/\\]+)?.*@", r"\1(hidden)@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"\?.*", "?(hidden)", bare, flags=re.DOTALL)


def _http_destination(parts: SplitResult) -> Destination:
    if not parts.hostname:
        raise ValueError("it names no host; write http://HOST:PORT")
    if parts.username or parts.password:
        raise ValueError("it must not contain a user or password; use akto_token")
    if not parts.netloc.isprintable() or not HOST_NAME.fullmatch(parts.hostname) or len(parts.hostname) > 254:
        raise ValueError("its host is not a host name")
    _check_port(parts)
    path = parts.path.rstrip("/") or INGEST_PATH
    target = f"{path}?{parts.query}" if parts.query else path
    return Destination(parts.scheme, parts._replace(path=path, fragment="").geturl(), target)


def _check_port(parts: SplitResult) -> None:
    try:
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("its port must be a number from 1 to 65535")


def _kafka_destination(address: str) -> Destination:
    brokers, _, topic = address.partition("/")
    if "@" in address:
        raise ValueError("it must not contain a user or password; use AKTO_KAFKA_USERNAME and AKTO_KAFKA_PASSWORD")
    if topic and not _TOPIC.fullmatch(topic):
        raise ValueError("its topic must be at most 249 letters, digits, dots, underscores and hyphens")
    found = tuple(map(_broker, brokers.split(",")))
    url = f"{KAFKA}{','.join(found)}/{topic or TOPIC}"
    return Destination("kafka", url, brokers=found, topic=topic or TOPIC)


def _broker(text: str) -> str:
    match = _BROKER.fullmatch(text)
    if match is None or not HOST_NAME.fullmatch(match["host"].strip("[]")):
        raise ValueError("write kafka://BROKER:9092, or several as kafka://BROKER:9092,BROKER:9092/TOPIC")
    port = int(match["port"] or BROKER_PORT)
    if not 0 < port < 65536:
        raise ValueError("its port must be a number from 1 to 65535")
    return f"{match['host']}:{port}"


def _file_destination(parts: SplitResult) -> Destination:
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise ValueError("write file:///ABSOLUTE/PATH.ndjson, with three slashes")
    if parts.query or parts.fragment or "\0" in str(path):
        raise ValueError("a file's name cannot contain ?, # or NUL here; write %3F and %23")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise ValueError("it is a folder; name a file in it")
    if path.is_fifo() or path.is_socket():
        raise ValueError("it is a pipe or a socket, whose reader could stop the mirror; name a file")
    return Destination("file", parts.geturl(), str(path))
