"""Runs a plan through plain mitmdump and through mitmdump with the addon.

`DIFFERENTIAL_SEED` selects other exchanges than the default ones.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential.client import play
from tests.differential.compare import Difference, report
from tests.differential.plan import Plan
from tests.differential.record import Record
from tests.differential.target import Sockets
from tests.support.proxy import Proxy, running_mitmdump

SEED = int(os.environ.get("DIFFERENTIAL_SEED", "20240229"))


@dataclass(frozen=True)
class Setting:
    """The options of the addon and of plain mitmdump.

    Attributes:
        own: options of the addon only.
        shared: options of both.
        streams: the addon lets bodies pass that plain mitmdump holds, so that `framing` applies.
    """

    own: Mapping[str, str]
    shared: Mapping[str, str] = field(default_factory=dict)
    streams: bool = True


MODES = {
    "auto": Setting({"akto_stream": "auto"}),
    "always": Setting({"akto_stream": "always"}),
    "never": Setting({"akto_stream": "never"}, streams=False),
}


class Bench:
    """A plan, the target's sockets, and the records of plain mitmdump."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.sockets = Sockets()
        self._plain: dict[str, Record] = {}

    def run(self, options: Mapping[str, str], scripts: Sequence[Path]) -> tuple[Record, Proxy]:
        """Run the plan through a new mitmdump."""
        values = {"ssl_insecure": "true", "flow_detail": "0"} | dict(options)
        with running_mitmdump(*self.sockets.modes(), options=values, scripts=scripts) as proxy:
            record = play(self.plan, proxy.addresses, self.sockets)
        return record, proxy

    def plain(self, options: Mapping[str, str]) -> Record:
        """Run the plan through plain mitmdump, once for each set of options."""
        key = repr(sorted(options.items()))
        if key not in self._plain:
            self._plain[key] = self.run(options, ())[0]
        return self._plain[key]


def assert_same(differences: list[Difference]) -> None:
    """Fail with a report of the differences, if there are any."""
    assert not differences, report(differences)
