"""mitmproxy's options, with our script in the list of scripts, and with cheaper reads."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mitmproxy import options, optmanager

from akto_mirror.runner import scripts

_UNCHANGEABLE = frozenset({str, int, bool, type(None)})


class Options(options.Options):
    """Options whose list of scripts always ends with ours, unless it is elsewhere in the list.

    This holds wherever the list comes from: the command line, config.yaml, or a script that sets it.
    """

    def update_known(self, **kwargs: Any) -> dict[str, Any]:
        """Set options as mitmproxy does, and return those that are unknown."""
        listed = kwargs.get("scripts")
        if isinstance(listed, list | tuple):
            kwargs["scripts"] = scripts.with_ours(listed, self.__dict__["akto_script"])
        unknown: dict[str, Any] = super().update_known(**kwargs)  # type: ignore[no-untyped-call]
        return unknown

    @classmethod
    def adopt(cls, given: options.Options, script: Path) -> None:
        """Turn mitmproxy's options object into one of ours in place, so that references to it stay valid."""
        given.__dict__["akto_script"] = script
        # mitmproxy treats an assignment as that of an option.
        object.__setattr__(given, "__class__", cls)


class QuickOptions(Options):
    """Options whose values are copied only if they are mutable.

    mitmproxy copies a value at each read, a default twice (`_Option.current` in mitmproxy/optmanager.py), some sixteen
    times a request. Strings, numbers and booleans need no copy.
    """

    def __getattr__(self, name: str) -> Any:
        option = self._options.get(name)
        if option is None:
            return super().__getattr__(name)  # type: ignore[no-untyped-call]
        value = option._default if option.value is optmanager.unset else option.value
        return value if type(value) in _UNCHANGEABLE else copy.deepcopy(value)
