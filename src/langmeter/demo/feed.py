"""What every action of the application cost: the differences between two readings of its totals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from langmeter.demo.workload import Action
    from langmeter.tracking import Usage


class Reading(NamedTuple):
    """The totals of one model at one moment, or what was added to them since."""

    calls: int = 0
    errors: int = 0
    hits: int = 0
    misses: int = 0
    bypasses: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    unpriced: int = 0
    estimated: int = 0
    cost: Decimal = Decimal(0)

    def plus(self, other: Reading, sign: int = 1) -> Reading:
        """The sum of two, or with `sign` -1 their difference."""
        return Reading(
            self.calls + sign * other.calls,
            self.errors + sign * other.errors,
            self.hits + sign * other.hits,
            self.misses + sign * other.misses,
            self.bypasses + sign * other.bypasses,
            self.input_tokens + sign * other.input_tokens,
            self.output_tokens + sign * other.output_tokens,
            self.unpriced + sign * other.unpriced,
            self.estimated + sign * other.estimated,
            self.cost + sign * other.cost,
        )

    @property
    def cache(self) -> str:
        """What the response cache did, in words; empty when none was asked."""
        counts = {"hit": self.hits, "miss": self.misses, "bypass": self.bypasses}
        found = {name: number for name, number in counts.items() if number}
        if len(found) == 1 and self.calls + self.hits == 1:
            return next(iter(found))
        return ", ".join(f"{number} {name}" for name, number in found.items())


class Line(NamedTuple):
    """One action with all that it added."""

    action: Action
    models: tuple[str, ...]
    added: Reading


class Feed:
    """Lines in the order of the actions. Belongs to the thread that reports them."""

    def __init__(self, usage: Usage) -> None:
        self._usage = usage
        self._before: dict[str, Reading] = {}

    def line(self, action: Action) -> Line:
        """The line for an action that has just ended."""
        after = {model: _reading(usage) for model, usage in self._usage.by_model.items()}
        added = {model: reading.plus(self._before.get(model, Reading()), -1) for model, reading in after.items()}
        touched = {model: reading for model, reading in added.items() if reading != Reading()}
        self._before = after
        total = Reading()
        for reading in touched.values():
            total = total.plus(reading)
        # A fallback answers for a model that failed: the one that failed was asked first.
        return Line(action, tuple(sorted(touched, key=lambda model: -touched[model].errors)), total)


def _reading(usage: Usage) -> Reading:
    return Reading(
        usage.calls,
        usage.errors,
        usage.cache_hits,
        usage.cache_misses,
        usage.cache_bypasses,
        usage.input_tokens,
        usage.output_tokens,
        usage.unpriced_calls,
        usage.estimated_calls,
        usage.cost_usd,
    )
