"""What every action of the application cost: the differences between two readings of its totals."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    cost: Decimal = Decimal(0)
    saved: Decimal = Decimal(0)

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
        added = {model: _minus(reading, self._before.get(model, Reading())) for model, reading in after.items()}
        touched = {model: reading for model, reading in added.items() if reading != Reading()}
        self._before = after
        return Line(action, tuple(touched), _sum(touched.values()))


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
        usage.cost_usd,
        usage.saved_usd,
    )


def _minus(after: Reading, before: Reading) -> Reading:
    return Reading(*(late - early for late, early in zip(after, before, strict=True)))  # type: ignore[arg-type]


def _sum(readings: Iterable[Reading]) -> Reading:
    total = Reading()
    for reading in readings:
        total = Reading(*(one + other for one, other in zip(total, reading, strict=True)))  # type: ignore[arg-type]
    return total
