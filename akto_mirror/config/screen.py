"""What is shown of flows in mitmproxy and mitmweb."""

from __future__ import annotations

from dataclasses import dataclass

from akto_mirror.outcomes import Mark


@dataclass(frozen=True, slots=True)
class ScreenConfig:
    """What is shown, and where metrics are served: host and port, or None."""

    mark: Mark = Mark.AUTO
    metrics: tuple[str, int] | None = None
