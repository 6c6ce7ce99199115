"""Durations in constant memory: how many, their sum and their median."""

from __future__ import annotations

import math
from typing import Final

_GROWTH: Final = math.log(1.05)
_SHORTEST: Final = 1e-9


class Durations:
    """Seconds counted in classes that grow by 5 %: the sum is exact, the median within 2.5 %. Not safe for threads."""

    __slots__ = ("_classes", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._classes: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.total += seconds
        index = math.floor(math.log(max(seconds, _SHORTEST)) / _GROWTH)
        self._classes[index] = self._classes.get(index, 0) + 1

    @property
    def mean(self) -> float | None:
        """The mean in seconds; None where nothing was counted."""
        return self.total / self.count if self.count else None

    @property
    def median(self) -> float | None:
        """The middle of the class that holds the median, in seconds; None where nothing was counted."""
        seen = 0
        for index in sorted(self._classes):
            seen += self._classes[index]
            if 2 * seen >= self.count:
                return math.exp((index + 0.5) * _GROWTH)
        return None
