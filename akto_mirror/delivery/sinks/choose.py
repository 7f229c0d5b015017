"""Which sink the options ask for."""

from __future__ import annotations

from akto_mirror.config.options import Settings
from akto_mirror.delivery.sinks.base import Sink
from akto_mirror.delivery.sinks.file import FileSink
from akto_mirror.delivery.sinks.http import HttpSink


def sink(settings: Settings, marker: str) -> Sink:
    """Open the sink that `akto_url` names.

    Args:
        settings: all options; their destination is not empty.
        marker: what goes into the header `x-akto-mirror` of calls to Akto.
    """
    to = settings.destination
    if to.scheme == "file":
        return FileSink(to.path)
    return HttpSink(to.url, token=settings.token, uds=settings.uds, marker=marker)
