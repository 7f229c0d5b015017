"""Facts of Akto's interface: the paths and limits of its data-ingestion service, and the form of an entry."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

# Where batches are posted, by default.
INGEST_PATH = "/api/ingestData"

HEALTH_PATH = "/healthCheck"

# The header by which calls of this addon to Akto are known when they come back to a proxy that loads it.
MARKER = "x-akto-mirror"

# What stands around the entries of a batch.
BATCH_HEAD = b'{"batchData":['
BATCH_TAIL = b"]}"

# A request header for which Akto's runtime leaves an entry out, whatever its value; Akto's own scanner sets it.
IGNORE = "x-akto-ignore"

# The largest entry that is sent: well under what Akto's service takes (5,242,880 characters a string) and what
# its Kafka producer can hand on (about 5 MiB a record).
MAX_ENTRY_BYTES = 4 * 1024 * 1024

# The largest entry that Kafka hands on behind Akto's service: 1 MiB a record, as Akto's own charts and compose files
# set no other limit. The service answers 200 to larger ones, and they are lost.
MAX_RECORD_BYTES = 1_000_000

# Characters of a number that is read as one, zeros before it included.
LONGEST_NUMBER = 20

# Characters of a payload that are kept of an entry that is too large for its destination.
LONG_PAYLOAD = 64 * 1024

# The topic that Akto's runtime reads, and the port that brokers listen on.
TOPIC = "akto.api.logs"
BROKER_PORT = 9092

DEFAULT_TAG = '{"service": "mitmproxy"}'


class Entry(msgspec.Struct, frozen=True):
    """One exchange as Akto's data-ingestion service takes it; every value is a string.

    The fields and their order are those of Akto's Cloudflare Worker. `requestHeaders`, `responseHeaders` and `tag`
    hold JSON as a string; `time` is in epoch seconds. `direction` is there where the option sets one.
    `akto_mirror_left_out`, which Akto passes over and the local inventory reads, is there where sampling left out
    exchanges of the endpoint since its entry before: how many.
    """

    path: str
    method: str
    requestHeaders: str  # noqa: N815 - Akto's wire names
    responseHeaders: str  # noqa: N815
    requestPayload: str  # noqa: N815
    responsePayload: str  # noqa: N815
    ip: str
    time: str
    statusCode: str  # noqa: N815
    type: str
    status: str
    akto_account_id: str
    akto_vxlan_id: str
    is_pending: str
    source: str
    tag: str
    direction: str | msgspec.UnsetType = msgspec.UNSET
    akto_mirror_left_out: str | msgspec.UnsetType = msgspec.UNSET


def batch_body(entries: Sequence[bytes]) -> bytes:
    """Join encoded entries into the request body; nothing is encoded a second time."""
    return BATCH_HEAD + b",".join(entries) + BATCH_TAIL


def is_number(text: str) -> bool:
    """Return whether Akto's runtime reads a text as a whole number: Java's `Integer.parseInt`, of 32 bits."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER and int(text) < 1 << 31


def without_long_payloads(encoded: bytes) -> bytes:
    """Return an encoded entry without payloads of more than `LONG_PAYLOAD` characters; what is not an entry as it is.

    Akto drops a whole entry for JSON that ends in the middle, and takes one without a payload.
    """
    try:
        entry = msgspec.json.decode(encoded, type=Entry)
    except msgspec.DecodeError:
        return encoded
    fields = ("requestPayload", "responsePayload")
    emptied = {name: "" for name in fields if len(getattr(entry, name)) > LONG_PAYLOAD}
    return msgspec.json.encode(msgspec.structs.replace(entry, **emptied))


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
