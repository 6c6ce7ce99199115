"""Ghost mode: the hits that a response cache would have had, from hashes of keys and the times of the calls alone."""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

LIFETIMES: Final[tuple[float, ...]] = (60.0, 3_600.0, 86_400.0, math.inf)
"""Seconds that an entry of each imagined cache lives, counted from its writing; infinite for one that forgets nothing."""
KEYS: Final = 100_000
"""Keys remembered, the ones used last: about 25 MB."""


class GhostCache:
    """Caches of all `LIFETIMES` at once, holding keys and no answers. Not safe for threads.

    It is told of calls as they end. A call would have been a hit if an earlier one with its key had ended when it began:
    of equal calls under way at the same time, each would have missed.
    """

    __slots__ = ("_keys", "_limit")

    def __init__(self, limit: int = KEYS) -> None:
        self._limit = limit
        self._keys: OrderedDict[int, tuple[float, ...]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._keys)

    def look(self, key: int, began: float, ended: float, *, answered: bool) -> tuple[bool, ...]:
        """Whether each of the caches would have had the answer; those that had not take it, if there was one.

        Args:
            key: a hash of everything that LangChain keys an answer by.
            began: when the call began, in seconds of any clock.
            ended: when it ended, by the same clock.
            answered: whether it ended with an answer, which a cache would have stored.
        """
        written = self._keys.get(key)
        if written is None:
            hits: tuple[bool, ...] = (False,) * len(LIFETIMES)
            if answered:
                self._remember(key, (ended,) * len(LIFETIMES))
            return hits
        hits = tuple(since <= began <= since + life for since, life in zip(written, LIFETIMES, strict=True))
        self._keys.move_to_end(key)
        if answered and not all(hits):
            # One that was written while this call ran keeps its time: it was there for others from then on. A cache that
            # had the answer writes nothing.
            self._keys[key] = tuple(
                since if hit or ended <= since + life else ended
                for hit, since, life in zip(hits, written, LIFETIMES, strict=True)
            )
        return hits

    def _remember(self, key: int, written: tuple[float, ...]) -> None:
        self._keys[key] = written
        if len(self._keys) > self._limit:
            self._keys.popitem(last=False)
