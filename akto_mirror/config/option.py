"""The declaration of one option."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Option:
    """One declaration for mitmproxy; `env` names the variable that stands in for an empty value."""

    name: str
    type: Any
    default: Any
    help: str
    choices: Sequence[str] | None = None
    bounds: tuple[int, int] | None = None
    env: str = ""
