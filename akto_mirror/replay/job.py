"""The files to replay, and the options."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from akto_mirror.config import options
from akto_mirror.config.declarations import OPTIONS, ConfigError
from akto_mirror.config.options import Settings
from akto_mirror.replay.entries import parse_options

__all__ = ["ConfigError", "Job", "of"]

# Options that affect neither which flows are shipped nor the contents of their entries.
DELIVERY = (
    *("akto_url", "akto_uds", "akto_token", "akto_batch_", "akto_linger_", "akto_queue_", "akto_durability"),
    *("akto_spool_", "akto_timeout_", "akto_shutdown_", "akto_stream", "akto_metrics", "akto_mark"),
)

# The oldest options that affect entries, which are part of every fingerprint. Later ones are part of it only if they
# are not at their defaults, so that a new option does not invalidate existing checkpoints.
FIRST = (
    *("akto_account_id", "akto_vxlan_id", "akto_tag", "akto_fidelity", "akto_routes", "akto_filter", "akto_host"),
    *("akto_client_ip_header", "akto_include_query", "akto_body_limit", "akto_redact_headers", "akto_redact_fields"),
)


@dataclass(frozen=True)
class Job:
    """A replay: files and options.

    Attributes:
        files: flow files and HAR files, in their order.
        values: the options' values, by name.
        settings: the parsed options.
        rewrite_time: whether to give each entry the time at which it is shipped.
        resume: whether to continue an earlier replay of the same files to the same destination.
    """

    files: Sequence[Path]
    values: Mapping[str, Any]
    settings: Settings
    rewrite_time: bool = False
    resume: bool = False

    def fingerprint(self) -> str:
        """Return a short string that identifies the options which affect entries."""
        defaults = {option.name: _plain(option.default) for option in OPTIONS}
        known = {
            name: value
            for name, value in self.values.items()
            if name in FIRST or (not name.startswith(DELIVERY) and _plain(value) != defaults.get(name))
        }
        return hashlib.sha256(json.dumps(known, sort_keys=True, default=list).encode()).hexdigest()[:16]


def of(  # noqa: PLR0913 - each is what a user can ask for
    files: Sequence[Path],
    specs: Sequence[str],
    given: Mapping[str, Any],
    environ: Mapping[str, str],
    *,
    rewrite_time: bool = False,
    resume: bool = False,
) -> Job:
    """Return a replay.

    Args:
        files: flow files and HAR files, in their order.
        specs: options as mitmproxy's `--set` takes them, such as `akto_fidelity=worker`.
        given: values by option name.
        environ: environment variables.
        rewrite_time: give each entry the time at which it is shipped.
        resume: continue an earlier replay of the same files to the same destination.

    Raises:
        ConfigError: an option is misspelt or its value cannot be used.
    """
    values = parse_options(specs, given)
    return Job(files, values, options.read(values, environ), rewrite_time=rewrite_time, resume=resume)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
