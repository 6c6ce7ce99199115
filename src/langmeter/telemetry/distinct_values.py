"""How many values of one attribution key metrics may have: the first come stay, the rest become one."""

from __future__ import annotations

import os
import threading
from typing import Final

from langmeter.semconv import FOLDED


class DistinctValues:
    """The values that metrics have seen, by key.

    Safe from any thread; a value that is known, and any value once a key is full, is answered without the lock. Memory is
    bounded by the number of keys times the limit.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._by_key: dict[str, set[str]] = {}

    def admitted(self, key: str, value: str, limit: int) -> str:
        """The value, if it is one of the first `limit` of its key; else `__other__`."""
        known = self._by_key.get(key)
        if known is not None:
            if value in known:
                return value
            if len(known) >= limit:
                return FOLDED
        with self._lock:
            known = self._by_key.setdefault(key, set())
            if value not in known and len(known) >= limit:  # another thread may have been faster
                return FOLDED
            known.add(value)
        return value

    def clear(self) -> None:
        """Forget every value."""
        self._by_key.clear()

    def after_fork_in_child(self) -> None:
        """Make the lock anew: another thread of the parent may have held it. The values stay, so that the bound holds."""
        self._lock = threading.RLock()


distinct_values: Final = DistinctValues()
"""Those of the process: handlers come and go, the totals that carry these values stay."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=distinct_values.after_fork_in_child)
