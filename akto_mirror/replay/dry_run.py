"""Shows the outcome that each recorded flow would have, as a table; nothing is sent."""

from __future__ import annotations

from collections.abc import Callable

from mitmproxy import http

from akto_mirror import outcomes
from akto_mirror.capture.encoding import Captured
from akto_mirror.escaping import printable
from akto_mirror.outcomes import Skip
from akto_mirror.replay.job import Job
from akto_mirror.replay.progress_bar import Bar
from akto_mirror.replay.reader import Reader
from akto_mirror.replay.recording import Record


class DryRun(Reader):
    """Shows each decision, and ships nothing.

    Args:
        job: what to replay.
        bar: where errors are shown.
        say: shows a line.
    """

    def __init__(self, job: Job, bar: Bar, say: Callable[[str], None]) -> None:
        super().__init__(job, bar)
        self._say = say

    def show(self, record: Record, flow: http.HTTPFlow, decision: Captured | Skip) -> None:
        """Show one line of the table: decision, status, request, and which bodies were repaired or are missing."""
        status = flow.response.status_code if flow.response else "-"
        request = printable(f"{flow.request.method:<7} {flow.request.pretty_url}")
        missing = () if isinstance(decision, Skip) else record.missing_bodies
        aside = f"  (no {' and '.join(missing)} body in the recording)" if missing else ""
        repaired = "" if isinstance(decision, Skip) else outcomes.repaired(decision.repairs)
        aside += "" if isinstance(decision, Skip) else outcomes.hidden(decision.hidden).replace(", ", "  ", 1)
        self._say(f"{outcomes.foreseen(decision) + repaired:<40} {status:>3} {request}{aside}")

    def tick(self) -> None:
        """Do nothing: the table shows the progress."""

    def run(self) -> int:
        """Show the table and the totals; return the exit code, which is 1 if something could not be read."""
        self.read_all()
        self._say(f"dry run, nothing is sent: {self.tally.line(f'{self.tally.captured} to ship')}")
        return 0 if self.complete else 1
