"""Running totals: what the observable counters read.

A synchronous counter costs 7 to 10 µs an addition, whatever it adds; a total here about a tenth of a microsecond.
Everything is an integer (tokens, requests, pico-dollars): adding never rounds and the order of additions never shows.
"""

from __future__ import annotations

import threading
from collections.abc import Container, Iterable, Mapping, Sized
from typing import Protocol, TypeAlias

from langmeter import semconv
from langmeter.semconv import FOLDED, Metric

Attributes: TypeAlias = dict[str, str | int]
SetKey: TypeAlias = frozenset[tuple[str, str | int]]
"""An attribute set by content, so that order does not matter."""

_OPEN_NAMES = frozenset(
    {
        semconv.REQUEST_MODEL,
        semconv.RESPONSE_MODEL,
        semconv.SERVER_ADDRESS,
        semconv.OPENAI_RESPONSE_SERVICE_TIER,
        semconv.CACHE_TYPE,
        semconv.ERROR_TYPE,
        semconv.TOOL_NAME,
        semconv.AGENT_NAME,
        semconv.WORKFLOW_NAME,
    }
)
"""Attributes, besides attribution, whose values the application can make up without end."""
_LAST_RESORT: Attributes = {semconv.PROVIDER_NAME: FOLDED, semconv.REQUEST_MODEL: FOLDED}


class Cell:
    """The running total of one attribute set of one counter."""

    __slots__ = ("attributes", "observed", "value")

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.value = 0
        self.observed: int | None = None
        """The value of the last snapshot; None when no snapshot has shown this cell."""


class _KnownSets(Container[SetKey], Sized, Protocol):
    """The attribute sets that exist already."""


def admitted(attributes: Attributes, known: _KnownSets, limit: int) -> tuple[SetKey, Attributes]:
    """The attribute set to count under so that never more than `limit` exist, and its key.

    While there is room, the set itself. The last fifth of the room is for sets with their attribution folded into
    `__other__` (provider and model kept), its last quarter for sets whose models and other open values are folded too;
    when even those run out, a single set takes everything. Whatever is folded, the sum over all sets is exact.
    """
    key = frozenset(attributes.items())
    if key in known or len(known) < limit * 4 // 5:
        return key, attributes
    for room, fold in ((limit * 19 // 20, _without_attribution), (limit - 1, _without_open_values)):
        attributes = fold(attributes)
        key = frozenset(attributes.items())
        if key in known or len(known) < room:
            return key, attributes
    return frozenset(_LAST_RESORT.items()), _LAST_RESORT


def _without_attribution(attributes: Mapping[str, str | int]) -> Attributes:
    return {
        name: FOLDED if name.startswith(semconv.ATTRIBUTION_PREFIX) else value for name, value in attributes.items()
    }


def _without_open_values(attributes: Mapping[str, str | int]) -> Attributes:
    # A port is a number and says nothing without its address, so it goes instead of being folded.
    return {
        name: FOLDED if name in _OPEN_NAMES else value
        for name, value in attributes.items()
        if name != semconv.SERVER_PORT
    }


class Totals:
    """The running totals of a group of counters.

    Safe from any thread. One lock guards all cells, so that the increments of one call become visible together and cost
    one acquisition. Amounts are integers in the unit of the counter, money in pico-dollars, and never negative.
    """

    def __init__(self, metrics: Iterable[Metric], limit: int) -> None:
        """Start with nothing.

        Args:
            metrics: the counters.
            limit: attribute sets that one counter may have before the surplus is folded.
        """
        self._limit = limit
        # Reentrant: the garbage collector may close a dropped stream, whose end is counted here, inside our own sections.
        self._lock = threading.RLock()
        self._cells: dict[Metric, dict[SetKey, Cell]] = {metric: {} for metric in metrics}

    def cell(self, metric: Metric, attributes: Attributes) -> Cell:
        """The cell to add to for an attribute set, which may be a folded one.

        The caller keeps the cell and must not change `attributes` afterwards. A cell is good until `restart`.
        """
        with self._lock:
            cells = self._cells[metric]
            key, attributes = admitted(attributes, cells, self._limit)
            cell = cells.get(key)
            if cell is None:
                cell = cells[key] = Cell(attributes)
            return cell

    def add(self, increments: Iterable[tuple[Cell, int]]) -> None:
        """Add all increments of one call."""
        with self._lock:
            for cell, amount in increments:
                cell.value += amount

    def snapshot(self, metric: Metric) -> list[tuple[Attributes, int]]:
        """The totals of one counter, by attribute set, for a collection."""
        with self._lock:
            values = []
            for cell in list(self._cells[metric].values()):
                cell.observed = cell.value
                values.append((cell.attributes, cell.value))
            return values

    def __bool__(self) -> bool:
        """Whether anything was ever added since the start or the last restart."""
        return any(self._cells.values())

    def restart(self, *, keep_observed: bool) -> None:
        """Begin anew in a forked child; cells handed out before are dead.

        Args:
            keep_observed: False forgets everything. True goes back to the values of the last snapshot, as an offset for
                readers that subtract what they saw last; see `instruments.py`.

        Call it only while the process has one thread.
        """
        self._lock = threading.RLock()  # another thread of the parent may have held it at the moment of the fork
        for cells in self._cells.values():
            inherited = {key: cell for key, cell in cells.items() if keep_observed and cell.observed is not None}
            for cell in inherited.values():
                cell.value = cell.observed or 0
            cells.clear()
            cells.update(inherited)
