"""Attribute sets, built once per distinct kind of call and then only looked up.

A `Series` keeps what a call needs on the warm path: the attribute dictionary that its histograms share and the cells
that its counters add to. Building a dictionary, hashing it or resolving a cell happens on first sight only.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from langmeter import semconv
from langmeter.telemetry.totals import Attributes, Cell, SetKey, Totals, admitted

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from langmeter.semconv import Metric


class Line:
    """One metric with the attributes that it has besides those of the call, such as a token modality.

    Compared by identity, so that looking one up costs a pointer hash: make them once, as constants.
    """

    __slots__ = ("by_error", "extra", "metric")

    def __init__(self, metric: Metric, extra: Mapping[str, str] | None = None, *, by_error: bool = False) -> None:
        self.metric = metric
        self.extra = extra or {}
        self.by_error = by_error
        """Whether the metric carries `error.type`."""


class Cells(dict[Line, Cell]):
    """The cells of one series, resolved at first use."""

    __slots__ = ("_series", "_totals")

    def __init__(self, series: Series, totals: Totals) -> None:
        super().__init__()
        self._series = series
        self._totals = totals

    def __missing__(self, line: Line) -> Cell:
        """The cell of a line seen for the first time."""
        cell = self[line] = self._totals.cell(line.metric, self._series.extended(line))
        return cell


class Labels(dict[Line, Attributes]):
    """The attributes of histograms that have more of them than the call, built at first use."""

    __slots__ = ("_series",)

    def __init__(self, series: Series) -> None:
        super().__init__()
        self._series = series

    def __missing__(self, line: Line) -> Attributes:
        """The attributes of a line seen for the first time."""
        attributes = self[line] = self._series.extended(line)
        return attributes


class Series:
    """Everything that calls with the same attributes share."""

    __slots__ = ("attributes", "cells", "labels", "outcome")

    def __init__(self, outcome: Attributes, totals: Totals) -> None:
        self.outcome = outcome
        """The attributes with `error.type`, if the calls failed."""
        self.attributes = {name: value for name, value in outcome.items() if name != semconv.ERROR_TYPE}
        self.cells = Cells(self, totals)
        self.labels = Labels(self)

    def extended(self, line: Line) -> Attributes:
        """The attributes of one line."""
        return {**(self.outcome if line.by_error else self.attributes), **line.extra}


class SeriesTable:
    """Series by kind of call; safe from any thread and bounded in number.

    Past the bound, new kinds of calls share series with folded attributes; they pay for building their attributes at
    every call (a few microseconds) instead of taking memory.
    """

    def __init__(self, totals: Totals, limit: int) -> None:
        self._totals = totals
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """Forget every series: their cells are dead after `Totals.restart`."""
        self._lock = threading.RLock()
        self._by_kind: dict[Hashable, Series] = {}
        self._by_set: dict[SetKey, Series] = {}
        self.find: Callable[[Hashable], Series | None] = self._by_kind.get
        """The series of a kind of call that was seen before, without taking the lock."""

    def admit(self, kind: Hashable, attributes: Attributes) -> Series:
        """The series of a kind of call seen for the first time; `attributes` has `error.type` if the call failed."""
        with self._lock:
            key, attributes = admitted(attributes, self._by_set, self._limit)
            series = self._by_set.get(key)
            if series is None:
                series = self._by_set[key] = Series(attributes, self._totals)
            if len(self._by_kind) < self._limit:
                self._by_kind[kind] = series
            return series
