"""The declarations of the addon's options, and the one error that a value of theirs can cause."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from akto_mirror.akto_api import DEFAULT_TAG
from akto_mirror.config.option import Option
from akto_mirror.config.redaction import REDACTION
from akto_mirror.config.screen import Mark
from akto_mirror.delivery.retry import Durability
from akto_mirror.delivery.sinks import destination
from akto_mirror.escaping import printable
from akto_mirror.sampling.sampler import MEMORY_BYTES

# Akto's service takes strings of 5,242,880 characters and bodies of 10,485,760 (its JSON interceptor).
MAX_BODY_LIMIT = 4 * 1024 * 1024
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ENTRIES = 10_000

# What in the name of an option, even of a misspelt one, marks its value as secret.
SECRET = re.compile("tok|key|secret|pass|auth", re.IGNORECASE)


class ConfigError(ValueError):
    """An option's value cannot be used; the text names the option, the value, the error and what would do.

    A token is not shown, nor a user, a password and a query in a URL.
    """

    def __init__(self, option: str, value: object, problem: str) -> None:
        self.option = option
        self.value = value
        self.problem = problem
        shown = printable(shown_value(option, value))
        super().__init__(f"{option}={shown}: {problem if problem.isprintable() else printable(problem)}")


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
        "Token sent raw as the Authorization header. It is taken over and emptied at once, so that nothing that lists "
        "options shows it. Empty: the variable AKTO_API_TOKEN, which other users of the machine cannot see in the "
        "process list.",
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
        "The request header that holds the client's address. Where it is absent, the peer's address is reported. "
        "Empty: always the peer's; do so where nothing in front sets the header, for any client can send it.",
    ),
    Option("akto_include_query", bool, False, "Append the query string to the reported path."),
    Option(
        "akto_honor_ignore",
        bool,
        True,
        "Leave out requests with the header x-akto-ignore, as Akto itself does: its scanner sets it, and any client "
        "can. false: ship them without the header. akto_fidelity=worker ships them as they are.",
    ),
    Option(
        "akto_body_limit",
        int,
        65536,
        "Bytes of each decoded body that are kept.",
        bounds=(0, MAX_BODY_LIMIT),
    ),
    *REDACTION,
    Option(
        "akto_skip",
        Sequence[str],
        [],
        "Leave out exchanges that say nothing about an API: health (health checks, by path and user agent), static "
        "(files, by the path's ending), options (CORS preflights).",
    ),
    Option(
        "akto_sample",
        str,
        "all",
        "all: mirror every exchange. novel: of each endpoint the first akto_sample_per_window in a window, and every "
        "exchange that shows a new field, parameter, type, status, content type, authentication or operation; the rest "
        "is skipped and counted by endpoint.",
        choices=("all", "novel"),
    ),
    Option(
        "akto_sample_window_s",
        int,
        600,
        "Seconds of a window of akto_sample=novel.",
        bounds=(1, 31_536_000),
    ),
    Option(
        "akto_sample_per_window",
        int,
        5,
        "Exchanges of each endpoint that akto_sample=novel mirrors in a window even if they show nothing new.",
        bounds=(0, 1_000_000),
    ),
    Option(
        "akto_sample_bytes",
        int,
        MEMORY_BYTES,
        "Bytes of memory for what sampling has seen; beyond them the least recently used endpoints are forgotten, and "
        "are new when they come again.",
        bounds=(1024 * 1024, 2**40),
    ),
    Option(
        "akto_max_entries_s",
        int,
        0,
        "Entries a second that are mirrored at most, those that show something new first; the rest is skipped and "
        "counted. 0: no cap.",
        bounds=(0, 2**40),
    ),
    Option(
        "akto_max_bytes_s",
        int,
        0,
        "Bytes of entries a second that are mirrored at most, those that show something new first; the rest is skipped "
        "and counted. 0: no cap.",
        bounds=(0, 2**40),
    ),
    Option(
        "akto_pause",
        bool,
        False,
        "Mirror nothing for now: exchanges are skipped and counted, and the traffic goes on. May be set while "
        "mitmproxy runs, also by akto.pause and akto.resume.",
    ),
    Option(
        "akto_stream",
        str,
        "auto",
        "auto: responses that are longer than akto_body_limit, requests of more than 64 MiB, and either of unknown "
        "length, event streams or gRPC, pass through as they come, and the rest is buffered as mitmproxy does. always: "
        "every body passes through. never: only what mitmproxy streams anyway.",
        choices=("auto", "always", "never"),
    ),
    Option(
        "akto_h2c",
        bool,
        True,
        "In reverse:http://, take HTTP/2 without TLS from clients that begin with it (prior knowledge), as gRPC does "
        "in clusters, and speak it with the target for them; HTTP/1 is served as before. mitmproxy's http2=false "
        "switches it off too.",
    ),
    Option(
        "akto_upstream_connections",
        int,
        256,
        "In reverse mode, how many connections one client connection may hold open to a target; with HTTP/2 each of a "
        "client's live streams may need one. 0 leaves mitmproxy's five.",
        bounds=(0, 65_536),
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


__all__ = ["OPTIONS", "ConfigError", "Option", "names", "nearest", "shown_value"]

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
    if SECRET.search(name) or nearest(name) == "akto_token":
        return "(hidden)"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if name == "akto_url" or name not in names():
        return destination.shown_url(text)
    return re.sub("//.*@", "//(hidden)@", text, flags=re.DOTALL)


def nearest(name: str) -> str:
    """Return the option that a misspelt name is most like, or an empty text."""
    return next(iter(difflib.get_close_matches(name.casefold(), names(), n=1)), "")
