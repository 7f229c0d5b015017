"""mitmdump's master, with the addon."""

from __future__ import annotations

import gc
import logging
from pathlib import Path

from mitmproxy import http, options
from mitmproxy.tools.dump import DumpMaster

from akto_mirror.runner import known
from akto_mirror.runner.manager import TableManager
from akto_mirror.runner.options import Options, QuickOptions
from akto_mirror.runner.quick_hooks import Proxyserver
from akto_mirror.workers.sharing import Sharing
from akto_mirror.workers.worker import Worker

logger = logging.getLogger(__name__)

# The addon's name in mitmproxy.
ADDON = "akto-mirror"

UNKNOWN = (
    "akto: this mitmproxy is not one that `akto-mirror run` was compared with; everything works as in mitmdump, and "
    "takes as long"
)


class RunMaster(DumpMaster):
    """mitmdump's master with our script, at a lower cost.

    Args:
        given: mitmproxy's options.
        script: the script that loads the addon.
        worker: the link to the other processes that serve the same proxy; None if there are none.
    """

    def __init__(self, given: options.Options, script: Path, worker: Worker | None = None) -> None:
        super().__init__(given)
        self._worker = worker
        if worker is not None:
            sharing = Sharing(self, worker)
            self.addons.add(sharing)
            worker.follow(sharing.begin_to_drain)
        if known.is_known():
            QuickOptions.adopt(given, script)
            # mitmproxy's master creates its manager itself.
            self.addons.__class__ = TableManager
            Proxyserver.adopt(self.addons.get("proxyserver"))
        else:
            Options.adopt(given, script)
            logger.info(UNKNOWN)
        given.update(scripts=[])

    async def running(self) -> None:
        """Notify the addons that the proxy runs, as mitmdump does, and warn if ours is not among them."""
        await super().running()
        leave_out_what_stays()
        if ADDON not in self.addons.lookup:
            logger.warning("akto: nothing is mirrored: none of the scripts has loaded the addon")
        if self._worker is not None and not self.addons.get("errorcheck").logger.has_errored:
            self._worker.ready()


def leave_out_what_stays() -> None:
    """Exclude the objects loaded at start-up from full garbage collections."""
    gc.collect()
    gc.freeze()


def leave_out_checks() -> None:
    """Remove the type check of each message's fields, in the whole process.

    It finds mistakes in scripts that construct messages, and takes a tenth of mitmdump's time. `python -O` removes it
    as well, but also the assertions of scripts and of mitmproxy's protocols.
    """
    if hasattr(http.MessageData, "__post_init__") and known.is_known():
        http.MessageData.__post_init__ = _pass  # type: ignore[method-assign]


def _pass(_: http.MessageData) -> None:
    pass
