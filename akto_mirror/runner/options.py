"""mitmproxy's options, with our script among the scripts, and read at less cost."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from mitmproxy import options, optmanager

from akto_mirror.runner import scripts

_UNCHANGEABLE = frozenset({str, int, bool, type(None)})


class Options(options.Options):
    """Options with a list of scripts that always ends with ours, unless it stands elsewhere in the list.

    Wherever the list comes from: the command line, config.yaml, or a script that sets it.
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
        """Make options that mitmproxy has made behave as ours; what holds them goes on to hold them."""
        given.__dict__["akto_script"] = script
        # mitmproxy takes an assignment for that of an option.
        object.__setattr__(given, "__class__", cls)


class QuickOptions(Options):
    """Options that are copied only where a copy can differ.

    mitmproxy copies a value at each read, a default twice (`_Option.current` in mitmproxy/optmanager.py), some sixteen
    times a request. A copy of a text, a number or a truth value is the value itself.
    """

    def __getattr__(self, name: str) -> Any:
        option = self._options.get(name)
        if option is None:
            return super().__getattr__(name)  # type: ignore[no-untyped-call]
        value = option._default if option.value is optmanager.unset else option.value
        return value if type(value) in _UNCHANGEABLE else copy.deepcopy(value)
