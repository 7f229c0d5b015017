"""Log lines about the options when the proxy starts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from akto_mirror.capture.config import CaptureConfig
from akto_mirror.capture.redaction import Redaction
from akto_mirror.capture.redaction.rules.names import Names
from akto_mirror.config.notices import summary, warnings

CONFIG = CaptureConfig(worker=False, account_id="1", vxlan_id="0", tag="{}")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG, "fidelity akto, paths with their queries; akto_redact_fields=common hides the secrets in them"),
        (replace(CONFIG, redaction=Redaction(fields=Names(["a"]))), "fidelity akto, paths with their queries"),
        (replace(CONFIG, include_query=False), "fidelity akto"),
        (replace(CONFIG, worker=True, include_query=False), "fidelity worker"),
    ],
)
def test_queries_that_leave_the_machine_are_named(config: CaptureConfig, said: str) -> None:
    """The line says that queries are sent, and how to hide the secrets in them."""
    assert summary(config) == said


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (CONFIG, []),
        (replace(CONFIG, body_limit=500_000), []),
        (replace(CONFIG, body_limit=500_001), ["akto_body_limit=500001: ", "larger than 1,000,000 bytes"]),
        (replace(CONFIG, worker=True, body_limit=2_097_152), []),
        (replace(CONFIG, worker=True, body_limit=2_097_153), ["larger than 4,194,304 bytes"]),
        (replace(CONFIG, vxlan_id="a\n"), [r"akto_vxlan_id=a\n: it is not a whole number"]),
        (replace(CONFIG, vxlan_id=""), ["Akto reads 0"]),
        (replace(CONFIG, vxlan_id="2147483648"), ["at most 32 bits, and Akto reads 0"]),
    ],
)
def test_what_does_not_do_what_it_seems_to(config: CaptureConfig, said: list[str]) -> None:
    """Options without the expected effect give one line each."""
    found = list(warnings(config))
    assert len(found) == bool(said)
    assert all(text in found[0] for text in said)
