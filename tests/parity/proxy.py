"""A real mitmdump with the addon, and its result for each case."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.parity import goldens, platform
from tests.parity.cases import Case
from tests.parity.goldens import Fact
from tests.parity.peers import SENTINEL, TIMEOUT_S, Collector, Entry, exchange, ingestion, sentinel, target
from tests.support.proxy import running_mitmdump

# A response that mitmproxy sends in place of the target's, or none.
OWN_ANSWER = re.compile(rb"\A\Z|\AHTTP/1\.1 [45]\d\d [^\r]*\r\n(?:[^\r]+\r\n)*?server: mitmproxy", re.IGNORECASE)
OPTIONS = {"akto_fidelity": "worker", "akto_linger_ms": "50", "flow_detail": "0"}


@dataclass(frozen=True)
class Run:
    """The entries that the addon shipped and the bytes that clients received, by case.

    Attributes:
        entries: the entries of each case.
        replies: the bytes that each client received.
        began: when the first case was sent, in epoch seconds.
        ended: when the last entry had arrived, in epoch seconds.
        log: mitmdump's output.
    """

    entries: dict[str, list[Entry]]
    replies: dict[str, bytes]
    began: float
    ended: float
    log: tuple[str, ...]

    def fact(self, name: str) -> Fact:
        """Return the fact for a case.

        Raises:
            ValueError: If the case was shipped more than once.
        """
        entries = self.entries[name]
        if len(entries) > 1:
            raise ValueError(f"{len(entries)} entries of {name}")
        if entries:
            return goldens.shipped(entries[0])
        return {"outcome": goldens.REFUSED if OWN_ANSWER.search(self.replies[name]) else goldens.SKIPPED}


def _reply(port: int, case: Case) -> bytes:
    patience_s = 1.0 if case.name in platform.UNANSWERED else TIMEOUT_S
    return exchange(port, case.request, patience_s)


def run(cases: Sequence[Case], stream: str = "auto") -> Run:
    """Send the cases through mitmdump with this value of `akto_stream`, and return the results.

    Raises:
        TimeoutError: If the last entry does not arrive.
    """
    collector = Collector()
    answers = {case.name: case.response for case in cases}
    with target(answers) as upstream, ingestion(collector) as ingest:
        options = OPTIONS | {"akto_url": f"http://127.0.0.1:{ingest}", "akto_stream": stream}
        with running_mitmdump(f"reverse:http://127.0.0.1:{upstream}", options=options) as mitmdump:
            began = time.time()
            replies = {case.name: _reply(mitmdump.port, case) for case in cases}
            # The queue keeps its order: once the sentinel's entry is here, so are those of all cases.
            exchange(mitmdump.port, sentinel(0))
            if not collector.wait_for([f"{SENTINEL}0"]):
                raise TimeoutError("the last entry does not arrive:\n" + "\n".join(mitmdump.log[-20:]))
            ended = time.time()
    return Run({case.name: collector.of(case.name) for case in cases}, replies, began, ended, tuple(mitmdump.log))
