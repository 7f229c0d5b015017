"""The declaration of one option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """The declaration of an option for mitmproxy; `env` names the environment variable that replaces an empty value."""

    name: str
    type: Any
    default: Any
    help: str
    choices: Sequence[str] | None = None
    bounds: tuple[int, int] | None = None
    env: str = ""
