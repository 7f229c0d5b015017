"""The options of the addon: their declarations, and the one frozen `Settings` that they add up to."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from mitmproxy import flowfilter

from akto_mirror import private, redact, routes
from akto_mirror.marks import Mark
from akto_mirror.redact import Redaction
from akto_mirror.retry import Durability
from akto_mirror.tee import Mode
from akto_mirror.text import printable

INGEST_PATH = "/api/ingestData"
DEFAULT_TAG = '{"service": "mitmproxy"}'
WORKER_TAG = '{\n  "service": "cloudflare"\n}'

# Akto's service takes strings of 5,242,880 characters and bodies of 10,485,760 (its JSON interceptor).
MAX_BODY_LIMIT = 4 * 1024 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ENTRIES = 10_000


# What in the name of an option, even of a misspelt one, tells that its value is nobody's business.
SECRET = re.compile("tok|key|secret|pass|auth", re.IGNORECASE)


class ConfigError(ValueError):
    """An option's value cannot be used; the text names the option, the value, the fault and what would do.

    A token is not shown, nor a user, a password and a query in a URL.
    """

    def __init__(self, option: str, value: object, problem: str) -> None:
        self.option = option
        self.value = value
        self.problem = problem
        shown = printable(shown_value(option, value))
        super().__init__(f"{option}={shown}: {problem if problem.isprintable() else printable(problem)}")


@dataclass(frozen=True, slots=True)
class Option:
    """One declaration for mitmproxy; `env` names the variable that stands in for an empty value."""

    name: str
    type: Any
    default: Any
    help: str
    choices: Sequence[str] | None = None
    bounds: tuple[int, int] | None = None
    env: str = ""


OPTIONS: tuple[Option, ...] = (
    Option(
        "akto_url",
        str,
        "",
        "Where entries go: http(s)://host[/path] of Akto's data-ingestion service (without a path: /api/ingestData), "
        "or file:///path.ndjson. Empty: the variable AKTO_DATA_INGESTION_URL; if that is empty too, nothing is sent "
        "and only verdicts are made.",
        env="AKTO_DATA_INGESTION_URL",
    ),
    Option("akto_uds", str, "", "Connect to akto_url through this Unix socket."),
    Option(
        "akto_token",
        str,
        "",
        "Token sent raw as the Authorization header. Empty: the variable AKTO_API_TOKEN, which other users of the "
        "machine cannot see in the process list.",
        env="AKTO_API_TOKEN",
    ),
    Option("akto_account_id", str, "1000000", "The entries' akto_account_id."),
    Option("akto_vxlan_id", str, "0", "The entries' akto_vxlan_id: the API collection of traffic without a host name."),
    Option(
        "akto_tag",
        str,
        DEFAULT_TAG,
        "The entries' tag, a JSON object that labels the API collection. With akto_fidelity=worker the default is the "
        "Worker's own tag.",
    ),
    Option(
        "akto_fidelity",
        str,
        "akto",
        "akto: entries as Akto's runtime can use them best. worker: exactly what Akto's Cloudflare Worker would send, "
        "its losses included.",
        choices=("akto", "worker"),
    ),
    Option(
        "akto_routes",
        Sequence[str],
        [],
        "Cloudflare route patterns such as *.example.com/api/*; only requests that match one are mirrored. Empty: all.",
    ),
    Option("akto_filter", str, "", "A mitmproxy flow filter; only flows that match are mirrored. Empty: all."),
    Option("akto_host", str, "", "A fixed host name to report. Empty: the one that the client asked for."),
    Option(
        "akto_client_ip_header",
        str,
        "cf-connecting-ip",
        "The request header that holds the client's address. Where it is absent, the peer's address is reported.",
    ),
    Option("akto_include_query", bool, False, "Append the query string to the reported path."),
    Option(
        "akto_body_limit",
        int,
        65536,
        "Bytes of each decoded body that are kept.",
        bounds=(0, MAX_BODY_LIMIT),
    ),
    Option(
        "akto_redact_headers",
        Sequence[str],
        [],
        "Headers whose values are replaced before anything is queued; common stands for the usual ones (authorization, "
        "cookie, set-cookie, x-api-key and their like). Akto finds authentication types by these headers, so that it "
        "learns less.",
    ),
    Option(
        "akto_redact_fields",
        Sequence[str],
        [],
        "JSON keys, form fields, query parameters and XML elements whose values are replaced before anything is "
        "queued; names are compared without case, - and _. common stands for the usual ones (password, token, secret, "
        "card_number and their like).",
    ),
    Option(
        "akto_stream",
        str,
        "auto",
        "auto: bodies that are longer than akto_body_limit, of unknown length, event streams or gRPC pass through as "
        "they come, and the rest is buffered as mitmproxy does. always: every body passes through. never: only what "
        "mitmproxy streams anyway.",
        choices=("auto", "always", "never"),
    ),
    Option(
        "akto_batch_entries",
        int,
        100,
        "Send a batch when it has this many entries.",
        bounds=(1, MAX_BATCH_ENTRIES),
    ),
    Option(
        "akto_batch_bytes",
        int,
        1024 * 1024,
        "Send a batch when it has this many bytes.",
        bounds=(1, MAX_BATCH_BYTES),
    ),
    Option(
        "akto_linger_ms",
        int,
        1000,
        "Send a batch at the latest this many milliseconds after its first entry.",
        bounds=(0, 3_600_000),
    ),
    Option(
        "akto_queue_bytes",
        int,
        64 * 1024 * 1024,
        "Bytes of entries that may wait in memory; what comes on top is dropped and counted.",
        bounds=(1, 2**40),
    ),
    Option(
        "akto_durability",
        str,
        "spill",
        "memory: nothing is ever written to disk. spill: what cannot be delivered now goes to disk. disk: every batch "
        "is on disk before it is sent, so that a crash loses at most the last akto_linger_ms and a second.",
        choices=tuple(durability.value for durability in Durability),
    ),
    Option(
        "akto_spool_dir",
        str,
        "",
        "The folder of batches on disk; several proxies may share one. Empty: akto-mirror in the user's state "
        "directory ($XDG_STATE_HOME or ~/.local/state).",
    ),
    Option(
        "akto_spool_bytes",
        int,
        1024 * 1024 * 1024,
        "Bytes that batches on disk may take; what comes on top stays in memory. A tenth of them is for entries that "
        "Akto refused for good.",
        bounds=(1, 2**50),
    ),
    Option(
        "akto_metrics",
        str,
        "",
        "HOST:PORT that serves Prometheus metrics at /metrics and the state at /healthz. Empty: none.",
    ),
    Option(
        "akto_mark",
        str,
        Mark.AUTO.value,
        "In mitmproxy and mitmweb, show what became of each flow: auto puts a mark and a comment on it, comment only a"
        " comment, never neither. What you have put there yourself stays.",
        choices=tuple(mark.value for mark in Mark),
    ),
    Option("akto_timeout_s", int, 10, "Seconds that one request to Akto may take in all.", bounds=(1, 3600)),
    Option("akto_shutdown_s", int, 5, "Seconds that the flush at exit may take.", bounds=(0, 3600)),
)


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


@dataclass(frozen=True, slots=True)
class Settings:
    """All options, checked and parsed. Times are in the units that the options' names give."""

    destination: Destination
    uds: str
    token: str = field(repr=False)
    account_id: str
    vxlan_id: str
    tag: str
    worker: bool
    routes: tuple[routes.Route, ...]
    filter: flowfilter.TFilter | None
    host: str
    client_ip_header: str
    include_query: bool
    body_limit: int
    stream: Mode
    redaction: Redaction
    batch_entries: int
    batch_bytes: int
    linger_ms: int
    queue_bytes: int
    durability: Durability
    spool_dir: Path
    spool_bytes: int
    timeout_s: int
    shutdown_s: int
    metrics: tuple[str, int] | None
    mark: Mark


# Labels of 1 to 63 characters with dots between them, and perhaps one behind (RFC 1035, section 2.3.4).
HOST_NAME = re.compile(r"(?:[^.\s]{1,63}\.)*[^.\s]{1,63}\.?")

# What a value must be, by the type of its option.
KINDS = {str: "a text", int: "a whole number", bool: "true or false"}


def names() -> tuple[str, ...]:
    """Return the names of all options."""
    return tuple(option.name for option in OPTIONS)


def shown_value(name: str, value: object) -> str:
    """Return an option's value as it may be shown: no token, nor what may be a secret in a URL.

    Args:
        name: the option, which may be misspelt.
        value: as it was given.
    """
    if SECRET.search(name) or _nearest(name) == "akto_token":
        return "(hidden)"
    if name == "akto_url" or name not in names():
        return shown_url(str(value))
    return re.sub("//.*@", "//(hidden)@", str(value), flags=re.DOTALL)


def shown_url(url: str) -> str:
    """Hide a URL's user and password, however its slashes are misspelt, and its query."""
    bare = re.sub(r"^(\s*[a-z]+:[/\\]+)?.*@", r"\1(hidden)@", url, flags=re.DOTALL | re.IGNORECASE)
    return re.sub(r"\?.*", "?(hidden)", bare, flags=re.DOTALL)


def _nearest(name: str) -> str:
    return next(iter(difflib.get_close_matches(name.casefold(), names(), n=1)), "")


def read(values: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    """Check and parse the options' values; where one is empty, its environment variable stands in.

    Raises:
        ConfigError: for the first option whose value cannot be used.
    """
    try:
        return _read(values, environ)
    except ConfigError as fault:
        env = {option.name: option.env for option in OPTIONS}[fault.option]
        if env and not values[fault.option]:
            raise ConfigError(fault.option, fault.value, f"{fault.problem} (given by the variable {env})") from fault
        raise


def _read(values: Mapping[str, Any], environ: Mapping[str, str]) -> Settings:
    known = {option.name: _given(option, values[option.name], environ) for option in OPTIONS}
    for option in OPTIONS:
        _check(option, known[option.name])
    worker = known["akto_fidelity"] == "worker"
    return Settings(
        destination=_parsed(known, "akto_url", destination),
        uds=_parsed(known, "akto_uds", _socket),
        token=_parsed(known, "akto_token", _token),
        account_id=known["akto_account_id"],
        vxlan_id=known["akto_vxlan_id"],
        tag=WORKER_TAG if worker and known["akto_tag"] == DEFAULT_TAG else _parsed(known, "akto_tag", _tag),
        worker=worker,
        routes=tuple(_each(known, "akto_routes", routes.parse)),
        filter=_parsed(known, "akto_filter", _filter),
        host=_parsed(known, "akto_host", _host),
        client_ip_header=_parsed(known, "akto_client_ip_header", _header_name),
        include_query=known["akto_include_query"],
        body_limit=known["akto_body_limit"],
        redaction=Redaction(
            headers=_redacted(known, "akto_redact_headers", redact.header_names),
            fields=_redacted(known, "akto_redact_fields", redact.field_names),
        ),
        stream=Mode(known["akto_stream"]),
        batch_entries=known["akto_batch_entries"],
        batch_bytes=known["akto_batch_bytes"],
        linger_ms=known["akto_linger_ms"],
        queue_bytes=known["akto_queue_bytes"],
        durability=Durability(known["akto_durability"]),
        spool_dir=_spool_dir_of(known, environ),
        spool_bytes=known["akto_spool_bytes"],
        timeout_s=known["akto_timeout_s"],
        shutdown_s=known["akto_shutdown_s"],
        metrics=_parsed(known, "akto_metrics", _listener),
        mark=Mark(known["akto_mark"]),
    )


def _spool_dir_of(known: Mapping[str, Any], environ: Mapping[str, str]) -> Path:
    """Return the spool's folder; where nothing is ever written to disk, it need not be fit for that."""
    if known["akto_durability"] == Durability.MEMORY.value:
        return Path()
    folder: Path = _parsed(known, "akto_spool_dir", lambda text: spool_dir(text, environ))
    return folder


def find_mistakes(texts: Mapping[str, list[str]], values: Mapping[str, object]) -> Iterable[ConfigError]:
    """Find what mitmproxy itself would pass over in silence among the values given before the addon was loaded.

    At that time it drops an option that it does not know, and a value of a wrong type takes the whole addon with it.

    Args:
        texts: option name to its values on the command line.
        values: option name to its value in a configuration file.
    """
    known = {option.name: option for option in OPTIONS}
    for name, given in {**texts, **values}.items():
        if name not in known:
            if name.casefold().startswith("akto"):
                yield ConfigError(name, _shown(given), _no_such_option(name))
        elif name in values:
            yield from _type_mistakes(known[name], values[name])
        else:
            yield from _text_mistakes(known[name], texts[name])


def _no_such_option(name: str) -> str:
    close = _nearest(name)
    return f"no such option{f'; is {close} meant?' if close else ''}"


def _type_mistakes(option: Option, value: object) -> Iterable[ConfigError]:
    if option.type == Sequence[str]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            yield ConfigError(option.name, _shown(value), "it must be a list of texts")
    elif type(value) is not option.type:
        yield ConfigError(option.name, _shown(value), f"it must be {KINDS[option.type]}")


def _text_mistakes(option: Option, given: list[str]) -> Iterable[ConfigError]:
    if option.type == Sequence[str]:
        return
    if len(given) > 1:
        yield ConfigError(option.name, _shown(given), "it is given more than once")
    elif option.type is int and not _is_int(given):
        yield ConfigError(option.name, _shown(given), f"it must be {KINDS[int]}")
    elif option.type is bool and given and given[0] not in ("true", "false", "toggle", ""):
        yield ConfigError(option.name, given[0], f"it must be {KINDS[bool]}")


def _is_int(given: list[str]) -> bool:
    try:
        return bool(given) and int(given[0]) is not None
    except ValueError:
        return False


def _shown(given: object) -> object:
    return ", ".join(map(str, given)) if isinstance(given, list) else given


def _given(option: Option, value: Any, environ: Mapping[str, str]) -> Any:
    return value or environ.get(option.env, "") if option.env else value


def _check(option: Option, value: Any) -> None:
    if not all(_is_unicode(text) for text in _texts(value)):
        raise ConfigError(option.name, _shown(value), "it must be valid UTF-8")
    if option.choices and value not in option.choices:
        raise ConfigError(option.name, value, f"it must be one of {', '.join(option.choices)}")
    if option.bounds and not option.bounds[0] <= value <= option.bounds[1]:
        raise ConfigError(option.name, value, f"it must be between {option.bounds[0]} and {option.bounds[1]}")


def _texts(value: Any) -> Sequence[str]:
    if isinstance(value, str):
        return [value]
    return value if isinstance(value, Sequence) else []


def _is_unicode(value: str) -> bool:
    """Tell bytes of the command line that Python could not decode, and keeps as lone surrogates."""
    return not any("\ud800" <= char <= "\udfff" for char in value)


def _parsed(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Any:
    try:
        return parse(known[name])
    except ValueError as fault:
        raise ConfigError(name, known[name], str(fault)) from fault


def _each(known: Mapping[str, Any], name: str, parse: Callable[[str], Any]) -> Iterable[Any]:
    return [_parsed({name: value}, name, parse) for value in known[name]]


def _redacted(known: Mapping[str, Any], name: str, names: Callable[[Iterable[str]], frozenset[str]]) -> frozenset[str]:
    for given in known[name]:
        if not given.strip():
            raise ConfigError(name, given, "it must name something, or be `common`")
    return names(known[name])


def destination(url: str) -> Destination:
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


def spool_target(to: Destination, uds: str) -> str:
    """Name whom batches on disk are for: the server, so that a path that was mended gets what the wrong one did not."""
    if to.scheme == "file":
        return to.url
    parts = urlsplit(to.url)
    return f"{parts.scheme}://{parts.netloc}" + (f" by {uds}" if uds else "")


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


def _listener(address: str) -> tuple[str, int] | None:
    if not address:
        return None
    host, mark, port = address.rpartition(":")
    if not (mark and host and port.isascii() and port.isdigit() and int(port) < 65536):
        raise ValueError("write HOST:PORT, such as 127.0.0.1:9464")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _socket(path: str) -> str:
    if path and not Path(path).parent.is_dir():
        raise ValueError(f"the folder {Path(path).parent} does not exist; start the service that listens there first")
    if path and Path(path).is_dir():
        raise ValueError("it is a folder; name the socket in it")
    return path


def spool_dir(folder: str, environ: Mapping[str, str]) -> Path:
    """Return the spool's folder, the default one if `folder` is empty.

    Raises:
        ValueError: it is unfit; the text says why.
    """
    given = _at_home(folder) if folder else private.default_folder(environ)
    if not given.is_absolute():
        raise ValueError("write an absolute path")
    private.check_folder(given)
    return given


def _at_home(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError as fault:
        raise ValueError("there is no such user; write an absolute path") from fault


def _token(token: str) -> str:
    if not (token.isascii() and token.isprintable()):
        raise ValueError("a token consists of printable ASCII characters; check for a line break at its end")
    return token


def _header_name(name: str) -> str:
    """RFC 9110, section 5.6.2: a field name is a token."""
    if not all(char.isascii() and (char.isalnum() or char in "!#$%&'*+-.^_`|~") for char in name):
        raise ValueError("it is not a header's name")
    return name.lower()


def _host(host: str) -> str:
    if not host.isprintable() or not set(host).isdisjoint(" /?#@"):
        raise ValueError("it must be a host name such as api.example.com, without scheme and path")
    return host


def _tag(tag: str) -> str:
    try:
        parsed = json.loads(tag, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        raise ValueError('it must be a JSON object such as {"service": "mitmproxy"}')
    return tag


def _no_constant(name: str) -> None:
    """Python reads NaN and Infinity, which JSON does not have."""
    raise ValueError(name)


def _filter(expression: str) -> flowfilter.TFilter | None:
    if not expression:
        return None
    try:
        parsed = flowfilter.parse(expression)
    except Exception as fault:
        raise ValueError(
            f"it is no flow filter ({printable(str(fault), 80)}); see mitmproxy's help on filters"
        ) from fault
    if _looks_at_bodies(parsed):
        raise ValueError("~b, ~bq and ~bs cannot be used: mitmproxy decodes bodies for them without a limit")
    return parsed


def _looks_at_bodies(part: object) -> bool:
    """Walk a parsed filter: AND and OR hold a list, NOT holds one item."""
    if isinstance(part, flowfilter.FBod | flowfilter.FBodRequest | flowfilter.FBodResponse):
        return True
    return any(
        map(_looks_at_bodies, getattr(part, "lst", [getattr(part, "itm", None)] if hasattr(part, "itm") else []))
    )
