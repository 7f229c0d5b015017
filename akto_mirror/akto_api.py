"""Akto's interface: the paths and limits of its data-ingestion service, and the fields of an entry."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

import msgspec

# Where batches are posted, by default.
INGEST_PATH = "/api/ingestData"

HEALTH_PATH = "/healthCheck"

# The header that marks requests of this addon to Akto, in case they pass through a proxy that loads the addon.
MARKER = "x-akto-mirror"

# The text before and after the entries of a batch.
BATCH_HEAD = b'{"batchData":['
BATCH_TAIL = b"]}"

# Akto's runtime ignores entries with this request header, whatever its value; Akto's own scanner sets it.
IGNORE = "x-akto-ignore"

# The largest entry that is sent: well below what Akto's service accepts (5,242,880 characters in a string) and what its
# Kafka producer can send (about 5 MiB in a record).
MAX_ENTRY_BYTES = 4 * 1024 * 1024

# The largest entry that Kafka accepts behind Akto's service: 1 MiB for a record, as Akto's charts and compose files set
# no other limit. The service returns 200 for larger ones, and they are lost.
MAX_RECORD_BYTES = 1_000_000

# The most characters of a string that is read as a number, including leading zeros.
LONGEST_NUMBER = 20

# Payloads with more characters are removed from an entry that is too large for its destination.
LONG_PAYLOAD = 64 * 1024

# The topic that Akto's runtime reads, and the port that brokers listen on.
TOPIC = "akto.api.logs"
BROKER_PORT = 9092

DEFAULT_TAG = '{"service": "mitmproxy"}'


class Entry(msgspec.Struct, frozen=True):
    """One exchange in the form that Akto's data-ingestion service accepts; every value is a string.

    The fields and their order are those of Akto's Cloudflare Worker. `requestHeaders`, `responseHeaders` and `tag`
    contain JSON as a string; `time` is in epoch seconds. `direction` is present if the option sets one.
    `akto_mirror_left_out` is the number of exchanges of the endpoint that sampling has left out since the previous
    entry, if there are any; Akto ignores it, and the local inventory reads it.
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
    """Join encoded entries into the request body, without encoding anything again."""
    return BATCH_HEAD + b",".join(entries) + BATCH_TAIL


def is_number(text: str) -> bool:
    """Return whether Akto's runtime can parse a string as a number, with Java's `Integer.parseInt` (32 bits)."""
    return text.isascii() and text.isdigit() and len(text) <= LONGEST_NUMBER and int(text) < 1 << 31


def without_long_payloads(encoded: bytes) -> bytes:
    """Return an encoded entry without payloads of more than `LONG_PAYLOAD` characters; anything else unchanged.

    Akto drops the whole entry if its JSON is truncated, but accepts an entry without a payload.
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

    What precedes `/api/ingestData` is a prefix of all paths; if the address has another path, there is no prefix.

    Args:
        address: where entries are posted: a URL, or its path and query.
        path: a path of Akto's service.
    """
    parts = urlsplit(address)
    prefix = parts.path.removesuffix(INGEST_PATH) if parts.path.endswith(INGEST_PATH) else ""
    return parts._replace(path=prefix + path, query="", fragment="").geturl()
