"""Declares the addon's options, and the error that is raised for invalid values."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from akto_mirror.config import secrets
from akto_mirror.config.capture_declarations import CAPTURE
from akto_mirror.config.option import Option
from akto_mirror.delivery import Durability
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Mark

# Akto's service accepts bodies of up to 10,485,760 characters (its JSON interceptor).
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ENTRIES = 10_000


class ConfigError(ValueError):
    """An option's value is invalid; the text names the option, the value, the error and what is expected.

    Tokens, and the user, password and query of a URL, are not shown.
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
        "Where entries are sent: http(s)://host[/path] of Akto's data-ingestion service (without a path: "
        "/api/ingestData), kafka://broker:9092[,broker:9092][/topic] of the Kafka that Akto's runtime reads (without "
        "a topic: akto.api.logs), or file:///path.ndjson. Empty: the variable AKTO_DATA_INGESTION_URL, then "
        "AKTO_KAFKA_BROKER_MAL and AKTO_KAFKA_BROKER_URL; if all are empty, nothing is sent (dry run).",
        env="AKTO_DATA_INGESTION_URL",
    ),
    Option("akto_uds", str, "", "Connect to akto_url through this Unix socket."),
    Option(
        "akto_token",
        str,
        "",
        "Token sent as it is in the Authorization header. The addon reads it and clears the option at once, so that "
        "no listing of options shows it. Empty: the variable AKTO_API_TOKEN, which other users of the machine cannot "
        "see in the process list.",
        env="AKTO_API_TOKEN",
    ),
    Option(
        "akto_kafka",
        Sequence[str],
        [],
        "Properties of librdkafka as NAME=VALUE, for a kafka:// URL; they take precedence over AKTO_KAFKA_USERNAME, "
        "AKTO_KAFKA_PASSWORD, AKTO_KAFKA_SASL_MECHANISM and AKTO_KAFKA_SECURITY_PROTOCOL. Secrets among them are read "
        "and cleared at once, as akto_token is.",
    ),
    *CAPTURE,
    Option(
        "akto_stream",
        str,
        "auto",
        "auto: responses longer than akto_body_limit, requests of more than 64 MiB, bodies of unknown length, event "
        "streams, NDJSON and gRPC are streamed; other bodies are buffered, as in mitmproxy. always: every body is "
        "streamed. never: only what mitmproxy streams anyway.",
        choices=("auto", "always", "never"),
    ),
    Option(
        "akto_h2c",
        bool,
        True,
        "In reverse:http://, accept HTTP/2 without TLS from clients that begin with it (prior knowledge), as gRPC "
        "does in clusters, and forward their requests to the target in the same way; HTTP/1 is served as before. "
        "mitmproxy's http2=false turns it off, too.",
    ),
    Option(
        "akto_upstream_connections",
        int,
        256,
        "In reverse mode, how many connections one client connection may hold open to a target; with HTTP/2 each of a "
        "client's live streams may need one. 0 keeps mitmproxy's limit of five.",
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
        "Send a batch no later than this many milliseconds after its first entry.",
        bounds=(0, 3_600_000),
    ),
    Option(
        "akto_queue_bytes",
        int,
        64 * 1024 * 1024,
        "Bytes of entries that may wait in memory; further entries are dropped and counted. With "
        "akto_durability=spill, entries go to disk once half of this is in use.",
        bounds=(1, 2**40),
    ),
    Option(
        "akto_durability",
        str,
        "spill",
        "memory: nothing is ever written to disk. spill: entries that cannot be delivered now go to disk. disk: every "
        "batch is on disk before it is sent, so that a crash loses at most the entries captured in the last "
        "akto_linger_ms plus one second.",
        choices=tuple(durability.value for durability in Durability),
    ),
    Option(
        "akto_spool_dir",
        str,
        "",
        "The folder of the spool, which holds batches on disk; several proxies may share one. Empty: akto-mirror in "
        "the user's state directory ($XDG_STATE_HOME or ~/.local/state).",
    ),
    Option(
        "akto_spool_bytes",
        int,
        1024 * 1024 * 1024,
        "Bytes that batches on disk may take; further entries stay in memory. A tenth is reserved for dead letters, "
        "which are entries that Akto refused for good.",
        bounds=(1, 2**50),
    ),
    Option(
        "akto_metrics",
        str,
        "",
        "HOST:PORT at which Prometheus metrics are served at /metrics and the health status at /healthz. "
        "Empty: not served.",
    ),
    Option(
        "akto_mark",
        str,
        Mark.AUTO.value,
        "In mitmproxy and mitmweb, show the outcome of each flow: auto sets a mark and a comment, comment only a "
        "comment, never neither. Your own marks and comments stay.",
        choices=tuple(mark.value for mark in Mark),
    ),
    Option("akto_timeout_s", int, 10, "Seconds that one request to Akto may take in total.", bounds=(1, 3600)),
    Option("akto_shutdown_s", int, 5, "Seconds that the flush at exit may take.", bounds=(0, 3600)),
)


__all__ = ["OPTIONS", "ConfigError", "Option", "names", "nearest", "shown_value"]

# What a value must be, by the option's type.
KINDS = {str: "a string", int: "a whole number", bool: "true or false"}


def names() -> tuple[str, ...]:
    """Return the names of all options."""
    return tuple(option.name for option in OPTIONS)


def shown_value(name: str, value: object) -> str:
    """Return an option's value without secrets: no token, and no user, password or query of a URL.

    Args:
        name: the option's name, which may be misspelt.
        value: the value as it was given.
    """
    if nearest(name) == "akto_token":
        return "(hidden)"
    return secrets.shown(name, value, is_known=name in names())


def nearest(name: str) -> str:
    """Return the option whose name is closest to a misspelt one, or an empty string."""
    return next(iter(difflib.get_close_matches(name.casefold(), names(), n=1)), "")
