"""The declarations of the addon's options, and the one error that a value of theirs can cause."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from akto_mirror.config import secrets
from akto_mirror.config.capture_declarations import CAPTURE
from akto_mirror.config.option import Option
from akto_mirror.delivery import Durability
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Mark

# Akto's service takes bodies of 10,485,760 characters (its JSON interceptor).
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_BATCH_ENTRIES = 10_000


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
        "kafka://broker:9092[,broker:9092][/topic] of the Kafka that Akto's runtime reads (without a topic: "
        "akto.api.logs), or file:///path.ndjson. Empty: the variable AKTO_DATA_INGESTION_URL, then "
        "AKTO_KAFKA_BROKER_MAL and AKTO_KAFKA_BROKER_URL; if all are empty, nothing is sent and only verdicts made.",
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
    Option(
        "akto_kafka",
        Sequence[str],
        [],
        "Properties of librdkafka as NAME=VALUE, for a kafka:// address; they win over AKTO_KAFKA_USERNAME, "
        "AKTO_KAFKA_PASSWORD, AKTO_KAFKA_SASL_MECHANISM and AKTO_KAFKA_SECURITY_PROTOCOL. Secrets among them are taken "
        "over and removed at once, as akto_token is.",
    ),
    *CAPTURE,
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
    if nearest(name) == "akto_token":
        return "(hidden)"
    return secrets.shown(name, value, is_known=name in names())


def nearest(name: str) -> str:
    """Return the option that a misspelt name is most like, or an empty text."""
    return next(iter(difflib.get_close_matches(name.casefold(), names(), n=1)), "")
