"""Memory as the interpreter counts it."""

from __future__ import annotations

import gc
import tracemalloc


def traced_bytes() -> int:
    """Return the bytes in use of those that tracemalloc has seen.

    The interpreter keeps freed tuples for reuse, up to some hundred KB; a collection releases them.
    """
    gc.collect()
    return tracemalloc.get_traced_memory()[0]
