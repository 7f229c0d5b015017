"""The options that decide about flows and shape their entries."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from mitmproxy import flowfilter

from akto_mirror.akto_api import INGEST_PATH
from akto_mirror.capture.redaction import Redaction, selfcheck
from akto_mirror.capture.routes import Route
from akto_mirror.capture.rules import TARGETS
from akto_mirror.sampling.noise import Noise
from akto_mirror.sampling.sampler import Policy as Sampling

# Includes the types of the values, and the self-check of redaction.
__all__ = ["CaptureConfig", "Mode", "Noise", "Redaction", "Sampling", "selfcheck"]


class Mode(StrEnum):
    """Which bodies stream: what `akto_stream` may be."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """The parsed values of the options of these names, and the path that entries are posted to.

    Attributes:
        worker: `akto_fidelity` is `worker`.
        include_query: the path is reported with its query; not in `worker`.
        body_limit: bytes of each decoded body.
        sampling: how much of what the rules let through is sent.
        ingest_path: the path of `akto_url`; marked requests to it are an addon's own calls.
    """

    worker: bool
    account_id: str
    vxlan_id: str
    tag: str
    routes: tuple[Route, ...] = ()
    filter: flowfilter.TFilter | None = None
    host: str = ""
    client_ip_header: str = "cf-connecting-ip"
    include_query: bool = True
    body_limit: int = 65_536
    stream: Mode = Mode.AUTO
    redaction: Redaction = Redaction()  # noqa: RUF009 - it is frozen
    honor_ignore: bool = True
    skip: tuple[Noise, ...] = ()
    pause: bool = False
    sampling: Sampling = Sampling()  # noqa: RUF009 - it is frozen
    content_types: tuple[str, ...] = TARGETS
    direction: str = ""
    ingest_path: str = INGEST_PATH
