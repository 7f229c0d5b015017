"""Declares the options that decide what is mirrored and what entries contain."""

from __future__ import annotations

from collections.abc import Sequence

from akto_mirror.akto_api import DEFAULT_TAG
from akto_mirror.capture.config import Sampling
from akto_mirror.capture.rules import TARGETS
from akto_mirror.config.option import Option
from akto_mirror.config.redaction import REDACTION

# Akto's service accepts strings of up to 5,242,880 characters (its JSON interceptor).
MAX_BODY_LIMIT = 4 * 1024 * 1024

CAPTURE: tuple[Option, ...] = (
    Option("akto_account_id", str, "1000000", "The entries' akto_account_id, a whole number."),
    Option("akto_vxlan_id", str, "0", "The entries' akto_vxlan_id: the API collection of traffic without a host name."),
    Option(
        "akto_tag",
        str,
        DEFAULT_TAG,
        "The entries' tag, a JSON object of strings that labels the API collection; {env:NAME} in a string is "
        "replaced by that environment variable. With akto_fidelity=worker the default is the Worker's own tag.",
    ),
    Option(
        "akto_direction",
        str,
        "",
        "The entries' direction, Akto's access type: 1 makes the API collection Internal, 2 Third party. Empty: not "
        "reported.",
        choices=("", "1", "2"),
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
    Option(
        "akto_content_types",
        str,
        ",".join(TARGETS),
        "What makes an exchange eligible: it is mirrored if the content type of its request or response contains one "
        "of these, separated by commas. With event-stream added, these are what Akto's newer Worker mirrors.",
    ),
    Option("akto_filter", str, "", "A mitmproxy flow filter; only flows that match are mirrored. Empty: all."),
    Option("akto_host", str, "", "A fixed host name to report. Empty: the one that the client asked for."),
    Option(
        "akto_client_ip_header",
        str,
        "cf-connecting-ip",
        "The request header that holds the client's address. If it is absent, the peer's address is reported. Empty: "
        "always the peer's address; use this unless a proxy in front sets the header, because any client can send it.",
    ),
    Option(
        "akto_include_query",
        bool,
        True,
        "Append the query string to the reported path; Akto does not list query parameters otherwise. "
        "akto_redact_fields hides secrets in it. akto_fidelity=worker never reports the query.",
    ),
    Option(
        "akto_honor_ignore",
        bool,
        True,
        "Skip requests with the header x-akto-ignore, as Akto itself does: its scanner sets the header, and any client "
        "can. false: ship them without the header. akto_fidelity=worker ships them as they are.",
    ),
    Option(
        "akto_body_limit",
        int,
        65536,
        "Bytes of each decoded body that are kept. Both bodies are shortened further if an entry would be larger than "
        "1,000,000 bytes, the most that the Kafka behind Akto's service passes on; with akto_fidelity=worker, 4 MiB.",
        bounds=(0, MAX_BODY_LIMIT),
    ),
    *REDACTION,
    Option(
        "akto_skip",
        Sequence[str],
        [],
        "Skip exchanges that say nothing about an API: health (health checks, by path and user agent), static (static "
        "files, by file extension), options (CORS preflights); or several, as in health,static.",
    ),
    Option(
        "akto_sample",
        str,
        "all",
        "all: mirror every exchange. novel: for each endpoint mirror the first akto_sample_per_window exchanges of a "
        "window, and every exchange that shows a new field, parameter, type, status, content type, authentication or "
        "operation; the rest is skipped and counted by endpoint.",
        choices=("all", "novel"),
    ),
    Option(
        "akto_sample_window_s",
        int,
        600,
        "Length in seconds of a window of akto_sample=novel.",
        bounds=(1, 31_536_000),
    ),
    Option(
        "akto_sample_per_window",
        int,
        5,
        "How many exchanges of each endpoint akto_sample=novel mirrors in a window even if they show nothing new.",
        bounds=(0, 1_000_000),
    ),
    Option(
        "akto_sample_bytes",
        int,
        Sampling().memory,
        "Bytes of memory for what sampling has seen; beyond this limit the least recently used endpoints are "
        "forgotten, and count as new when they occur again.",
        bounds=(1024 * 1024, 2**40),
    ),
    Option(
        "akto_max_entries_s",
        int,
        0,
        "The most entries that are mirrored in a second; those that show something new come first, the rest is "
        "skipped and counted. 0: no cap.",
        bounds=(0, 2**40),
    ),
    Option(
        "akto_max_bytes_s",
        int,
        0,
        "The most bytes of entries that are mirrored in a second; those that show something new come first, the rest "
        "is skipped and counted. 0: no cap.",
        bounds=(0, 2**40),
    ),
    Option(
        "akto_pause",
        bool,
        False,
        "Mirror nothing for now: exchanges are skipped and counted, and the traffic goes on. It can be changed while "
        "mitmproxy runs, also with akto.pause and akto.resume.",
    ),
)
