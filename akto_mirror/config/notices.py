"""Notices and warnings about the options that are logged when the proxy starts."""

from __future__ import annotations

from collections.abc import Iterator

from akto_mirror.akto_api import MAX_ENTRY_BYTES, MAX_RECORD_BYTES, is_number
from akto_mirror.capture.config import CaptureConfig
from akto_mirror.escaping import printable


def summary(config: CaptureConfig) -> str:
    """Return how entries are made, and whether queries leave the machine."""
    if config.worker:
        return "fidelity worker"
    if not config.include_query:
        return "fidelity akto"
    hint = "" if config.redaction.fields else "; akto_redact_fields=common hides the secrets in them"
    return f"fidelity akto, paths with their queries{hint}"


def warnings(config: CaptureConfig) -> Iterator[str]:
    """Yield warnings about values that are valid but may not do what they seem to."""
    if not is_number(config.vxlan_id):
        given = printable(config.vxlan_id, 80)
        yield f"akto_vxlan_id={given}: it is not a whole number of at most 32 bits, and Akto reads 0"
    most = MAX_ENTRY_BYTES if config.worker else MAX_RECORD_BYTES
    if 2 * config.body_limit > most:
        yield (
            f"akto_body_limit={config.body_limit}: two such bodies do not fit into an entry; both are"
            f" shortened if it would be larger than {most:,} bytes"
        )
