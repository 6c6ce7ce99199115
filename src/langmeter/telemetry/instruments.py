"""The instruments of one MeterProvider, made once and shared by everything that records to it.

Making them twice would lose data: a second `create_observable_counter` of the same name on one provider returns the
first instrument and drops the new callback without a word. Hence a registry by provider; weak, so that one can go.
"""

from __future__ import annotations

import functools
import logging
import os
import threading
import weakref
from typing import TYPE_CHECKING

from opentelemetry.metrics import Observation, get_meter_provider

from langmeter import boundary, semconv
from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.catalog import freshness
from langmeter.telemetry.series import Series, SeriesTable
from langmeter.telemetry.totals import Attributes, Totals
from langmeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from enum import Enum

    from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider

    from langmeter.semconv import Metric

_LOGGER = logging.getLogger("langmeter")
_TOTALS = tuple(m for m in semconv.METRICS if m.kind == "counter" and m is not semconv.INSTRUMENTATION_ERRORS)
_SCALES = {semconv.COST.unit: PICODOLLARS_PER_DOLLAR, semconv.CACHE_SAVED_TIME.unit: 10**9}
"""Totals are integers; what is exported in a larger unit is divided here."""
_HISTOGRAMS = tuple(metric for metric in semconv.METRICS if metric.kind == "histogram")


class Instruments:
    """Histograms, running totals with their observable counters, and the series of one MeterProvider.

    With the API's proxy provider the instruments bind when the application sets the real one; the totals counted until
    then are exported in full, what the histograms recorded until then is not.
    """

    def __init__(self, provider: MeterProvider, limit: int) -> None:
        """Make every instrument.

        Args:
            provider: where the instruments live; kept weakly.
            limit: attribute sets of one counter before the surplus is folded.
        """
        self._provider = weakref.ref(provider)
        self.totals = Totals(_TOTALS, limit)
        self.calls = SeriesTable(self.totals, limit)
        self.lookups = SeriesTable(self.totals, limit)
        self.steps = SeriesTable(self.totals, limit)
        self._errors_offset: dict[str, int] = {}
        self._errors_observed: dict[str, int] = {}
        self._warn_of_fork = False
        meter = provider.get_meter(semconv.SCOPE_NAME, __version__)
        self.histograms = {metric: _histogram(meter, metric) for metric in _HISTOGRAMS}
        for metric in _TOTALS:
            callback = functools.partial(self._observe, metric)
            meter.create_observable_counter(metric.name, [callback], metric.unit, metric.description)
        age = semconv.PRICE_AGE
        meter.create_observable_gauge(age.name, [_observe_price_age], age.unit, age.description)
        errors = semconv.INSTRUMENTATION_ERRORS
        meter.create_observable_counter(errors.name, [self._observe_errors], errors.unit, errors.description)

    def admit(self, table: SeriesTable, kind: Hashable, attributes: Attributes) -> Series:
        """The series of a kind of call seen for the first time."""
        if self._warn_of_fork:
            # Here rather than in the fork hook: logging there could wait for ever for a lock that the parent held.
            self._warn_of_fork = False
            _LOGGER.warning(
                "model calls were made before this process was forked: its histograms may count them again (totals of "
                "tokens, cost and requests do not). Make no calls before forking, or draw totals from counters only."
            )
        return table.admit(kind, attributes)

    # The SDK holds its collection lock around these callbacks. They read a snapshot and do nothing else: logging or
    # making an instrument here could come back to that lock, and taking the lock of the registry could deadlock with a
    # thread that holds it while it registers.

    def _observe(self, metric: Metric, _options: CallbackOptions) -> list[Observation]:
        values = self.totals.snapshot(metric)
        other = self._late_bound()
        if other is not None:
            values = _merged(values, other.totals.snapshot(metric))
        scale = _SCALES.get(metric.unit)
        if scale is not None:
            return [Observation(value / scale, attributes) for attributes, value in values]
        return [Observation(value, attributes) for attributes, value in values]

    def _observe_errors(self, _options: CallbackOptions) -> list[Observation]:
        counts = dict(self._errors_offset)
        for stage, count in boundary.error_counts().items():
            counts[stage] = counts.get(stage, 0) + count
        self._errors_observed = counts
        return [Observation(count, {semconv.INSTRUMENTATION_STAGE: stage}) for stage, count in counts.items()]

    def _late_bound(self) -> Instruments | None:
        """Instruments made against the API's proxy before our provider became the global one, if there are any.

        Their own callbacks were dropped when the proxy bound, because ours were there first: we speak for them.
        """
        late = _registry.late_bound
        if late is None or late is self or get_meter_provider() is not self._provider():
            return None
        return late

    def restart(self) -> None:
        """Start afresh in a forked child.

        SDK 1.45 gives a forked child a new `service.instance.id` and keeps the state of every aggregation. A cumulative
        reader then exports whatever the callback says, so inherited totals would count twice, once per instance: the
        totals must restart. A delta reader subtracts the value it saw last, which was the parent's: after 110, a
        restarted total of 5 becomes -105. It needs the parent's values as an offset, exactly as of the last collection
        (what came later is exported by the parent), and of every attribute set, also of those unused in the child,
        because a view may have added them together. So: restart when every reader is known to be cumulative, else go
        back to the last collection. With several readers of which one is delta, the others may repeat what the parent
        counted; no delta is ever negative.
        """
        self._warn_of_fork = bool(self.totals)
        keep = not _cumulative(self._reading_provider())
        self.totals.restart(keep_observed=keep)
        self.calls.restart()
        self.lookups.restart()
        self.steps.restart()
        self._errors_offset = self._errors_observed if keep else {}

    def _reading_provider(self) -> object:
        provider = self._provider()
        return get_meter_provider() if _is_proxy(provider) else provider


def _observe_price_age(_options: CallbackOptions) -> list[Observation]:
    return [Observation(age, {semconv.PRICE_SOURCE: table}) for table, age in freshness.ages().items()]


def _histogram(meter: Meter, metric: Metric) -> Histogram:
    return meter.create_histogram(
        metric.name, metric.unit, metric.description, explicit_bucket_boundaries_advisory=metric.buckets
    )


def _merged(one: list[tuple[Attributes, int]], other: list[tuple[Attributes, int]]) -> list[tuple[Attributes, int]]:
    sums = {frozenset(attributes.items()): (attributes, value) for attributes, value in one}
    for attributes, value in other:
        key = frozenset(attributes.items())
        sums[key] = (attributes, value + sums[key][1] if key in sums else value)
    return list(sums.values())


def _is_proxy(provider: object) -> bool:
    # The API gives the class of its proxy no public name; nothing but a proxy is told of the provider that replaces it.
    return hasattr(provider, "on_set_meter_provider")


def _cumulative(provider: object) -> bool:
    """Whether every reader of a provider is known to want observable counters cumulative.

    The API cannot say, and the SDK says it in private attributes only: where they are missing, the answer is no.
    """
    consumer = getattr(provider, "_measurement_consumer", None)
    readers: Mapping[object, object] = getattr(consumer, "_reader_storages", {})
    return bool(readers) and all(_temporality(reader) == "CUMULATIVE" for reader in readers)


def _temporality(reader: object) -> str | None:
    by_instrument: Mapping[type, Enum] = getattr(reader, "_instrument_class_temporality", {})
    for instrument, temporality in by_instrument.items():
        if instrument.__name__.strip("_") == "ObservableCounter":
            return temporality.name
    return None


class _Registry:
    """Which provider has which instruments."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._by_provider: weakref.WeakKeyDictionary[MeterProvider, Instruments] = weakref.WeakKeyDictionary()
        self._all: weakref.WeakSet[Instruments] = weakref.WeakSet()
        """Apart from the providers: what a provider made can outlive it, and readers go on reading."""
        self.late_bound: Instruments | None = None
        """The instruments made against the API's proxy, of which there is one for the life of the process."""

    def instruments_for(self, provider: MeterProvider, limit: int) -> Instruments:
        with self._lock:
            found = self._by_provider.get(provider)
            if found is None:
                found = self._replaces_proxy(provider) or Instruments(provider, limit)
                self._by_provider[provider] = found
                self._all.add(found)
                if _is_proxy(provider):
                    self.late_bound = found
            return found

    def _replaces_proxy(self, provider: MeterProvider) -> Instruments | None:
        """The instruments of the proxy once `provider` stands behind them: new ones would lose their callbacks."""
        return self.late_bound if self.late_bound is not None and provider is get_meter_provider() else None

    def restart(self) -> None:
        """In a forked child: new locks, and totals that start afresh."""
        self._lock = threading.RLock()
        boundary.reset_counts()
        for instruments in self._all:
            instruments.restart()


_registry = _Registry()
if hasattr(os, "register_at_fork"):  # not on Windows
    # One hook for all: a hook can never be taken back, so one for each provider would keep it alive.
    os.register_at_fork(after_in_child=_registry.restart)


def instruments_for(meter_provider: MeterProvider, limit: int) -> Instruments:
    """The instruments of a provider; made at the first request, then always the same.

    Safe from any thread. `limit` counts at the first request only.
    """
    return _registry.instruments_for(meter_provider, limit)
