"""Where entries go: the value of `akto_url`, parsed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from akto_mirror.text import printable

INGEST_PATH = "/api/ingestData"
HEALTH_PATH = "/healthCheck"

# Labels of 1 to 63 characters with dots between them, and perhaps one behind (RFC 1035, section 2.3.4).
HOST_NAME = re.compile(r"(?:[^.\s]{1,63}\.)*[^.\s]{1,63}\.?")


@dataclass(frozen=True, slots=True)
class Destination:
    """A parsed `akto_url`.

    Attributes:
        scheme: `http`, `https` or `file`; empty for a dry run.
        url: the whole address, its path filled in.
        path: the file, or the path and query of a request.
    """

    scheme: str = ""
    url: str = ""
    path: str = ""

    @property
    def shown(self) -> str:
        """The address as it may be logged: printable, and without its query, which may hold a key."""
        return printable(shown_url(self.url))


def parse(url: str) -> Destination:
    """Parse an `akto_url`.

    Raises:
        ValueError: saying what is wrong with it.
    """
    if not url:
        return Destination()
    if not url.isprintable():
        raise ValueError("it holds a line break or another control character")
    parts = urlsplit(url)
    if parts.scheme in ("http", "https"):
        return _http_destination(parts)
    if parts.scheme == "file":
        return _file_destination(parts)
    raise ValueError("it must begin with http://, https:// or file://")


def beside(address: str, path: str) -> str:
    """Return the address of another path of the service.

    What stands before `/api/ingestData` is a prefix of all its paths; of any other path nothing is known of the others.

    Args:
        address: where entries are posted: a URL, or its path and query.
        path: as Akto's service has it.
    """
    parts = urlsplit(address)
    prefix = parts.path.removesuffix(INGEST_PATH) if parts.path.endswith(INGEST_PATH) else ""
    return parts._replace(path=prefix + path, query="", fragment="").geturl()


def spool_target(to: Destination, uds: str) -> str:
    """Name whom batches on disk are for: the server, so that a path that was mended gets what the wrong one did not."""
    if to.scheme == "file":
        return to.url
    parts = urlsplit(to.url)
    return f"{parts.scheme}://{parts.netloc}" + (f" by {uds}" if uds else "")


def shown_url(url: str) -> str:
    """Hide a URL's user and password, however its slashes are misspelt, and its query."""
    bare = re.sub(r"^(\s*[a-z]+:[/\\]+)?.*@", r"\1(hidden)@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"\?.*", "?(hidden)", bare, flags=re.DOTALL)


def _http_destination(parts: SplitResult) -> Destination:
    if not parts.hostname:
        raise ValueError("it names no host; write http://HOST:PORT")
    if parts.username or parts.password:
        raise ValueError("it must not hold a user or password; use akto_token")
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


def _file_destination(parts: SplitResult) -> Destination:
    path = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not path.is_absolute():
        raise ValueError("write file:///ABSOLUTE/PATH.ndjson, with three slashes")
    if parts.query or parts.fragment or "\0" in str(path):
        raise ValueError("a file's name cannot hold ?, # or NUL here; write %3F and %23")
    if not path.parent.is_dir():
        raise ValueError(f"the folder {path.parent} does not exist; create it first")
    if path.is_dir():
        raise ValueError("it is a folder; name a file in it")
    if path.is_fifo() or path.is_socket():
        raise ValueError("it is a pipe or a socket, whose reader could stop the mirror; name a file")
    return Destination("file", parts.geturl(), str(path))
