"""The wire schema: what one mirrored exchange looks like to Akto."""

from __future__ import annotations

import msgspec


class Entry(msgspec.Struct, frozen=True):
    """One exchange as Akto's data-ingestion service takes it; every value is a string.

    The fields and their order are those of Akto's Cloudflare Worker. `requestHeaders`, `responseHeaders` and `tag`
    hold JSON as a string; `time` is in epoch seconds.
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
