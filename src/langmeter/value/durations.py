"""Durations in constant memory: how many, their sum and their quantiles."""

from __future__ import annotations

import math
from typing import Final

_ACCURACY: Final = 0.01
_GROWTH: Final = math.log((1 + _ACCURACY) / (1 - _ACCURACY))
_SHORTEST: Final = 1e-9


class Durations:
    """Seconds counted in classes that grow by 2 %: the sum is exact, quantiles within 1 %. Not safe for threads.

    Source: the logarithmic classes of DDSketch (Masson, Rim, Lee 2019).
    """

    __slots__ = ("_classes", "count", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._classes: dict[int, int] = {}

    def add(self, seconds: float) -> None:
        """Count one duration; one below a nanosecond counts as a nanosecond in the quantiles."""
        self.count += 1
        self.total += seconds
        index = math.ceil(math.log(max(seconds, _SHORTEST)) / _GROWTH)
        self._classes[index] = self._classes.get(index, 0) + 1

    @property
    def mean(self) -> float | None:
        """The mean in seconds; None where nothing was counted."""
        return self.total / self.count if self.count else None

    @property
    def median(self) -> float | None:
        """The median in seconds, the lower one of two; None where nothing was counted."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float | None:
        """The seconds that this share (0 to 1) of the durations did not exceed; None where nothing was counted."""
        if not self.count:
            return None
        rank, seen, index = share * (self.count - 1), 0, 0
        for index in sorted(self._classes):
            seen += self._classes[index]
            if seen > rank:
                break
        return 2 * math.exp(index * _GROWTH) / (1 + math.exp(_GROWTH))
