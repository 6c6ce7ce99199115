"""Builds the SDK's providers as the standard variables say, and makes them the process's own where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, MetricReader
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
    View,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource, ServiceInstanceIdResourceDetector
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.version import __version__ as sdk_version

from langmeter import semconv
from langmeter.bootstrap.checks import TEMPORALITY_VARIABLE, Present, present
from langmeter.bootstrap.exporters import Exporter, Signal, component, exporters
from langmeter.bootstrap.notices import say_once
from langmeter.bootstrap.outlets import LogOutlet, Outlet, SpanOutlet
from langmeter.bootstrap.reader import PeriodicReader
from langmeter.settings import standard_variable

_DELTA_KINDS: dict[str, tuple[type, ...]] = {
    "delta": (Counter, Histogram, ObservableCounter),
    "lowmemory": (Counter, Histogram),
}
_SAMPLERS_OF_THE_SDK = {
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
}


class Pipeline(NamedTuple):
    """One signal, from its provider to its ways out."""

    signal: Signal
    provider: Any
    ways_out: tuple[SpanOutlet | LogOutlet | Outlet, ...] = ()
    readers: tuple[PeriodicReader, ...] = ()
    threads_refused: bool = False
    """True when the interpreter was shutting down already: nothing leaves unless somebody flushes."""

    def outlets(self) -> tuple[Outlet, ...]:
        """The outlets of this signal."""
        return tuple(way if isinstance(way, Outlet) else way.outlet for way in self.ways_out)

    def flush(self, timeout: float) -> bool:
        """True if everything recorded so far was delivered. Blocks for as long as the exporters do; may raise."""
        failures = sum(outlet.failures for outlet in self.outlets())
        flushed = self.provider.force_flush(int(timeout * 1000))
        drained = sum(not way.holding.drain() for way in self.ways_out if not isinstance(way, Outlet)) == 0
        return bool(flushed) and drained and failures == sum(outlet.failures for outlet in self.outlets())

    def close(self, timeout: float) -> bool:
        """Flush, then shut down. As `flush`."""
        delivered = self.flush(timeout)
        self.provider.shutdown()
        return delivered

    def after_fork(self) -> None:
        """Start over in a forked child."""
        for way in self.ways_out:
            (way if isinstance(way, Outlet) else way.holding).after_fork()
        for reader in self.readers:
            reader.after_fork()


def install(missing: Callable[[Present], Present]) -> list[Pipeline]:
    """Set up the providers that `missing` names, given those present, and return those that the API took.

    What is present is looked at again just before they are set, for the application may have been faster.
    """
    wanted = missing(present())
    resource = _resource()
    built = [
        *([_metrics(resource)] if wanted.meter else []),
        *([_logger(resource)] if wanted.logger else []),
        *([_traces(resource)] if wanted.tracer else []),
    ]
    still_wanted = missing(present())
    setters: dict[Signal, tuple[Callable[[Any], None], Callable[[], Any], bool]] = {
        "metrics": (metrics.set_meter_provider, metrics.get_meter_provider, still_wanted.meter),
        "logs": (_logs.set_logger_provider, _logs.get_logger_provider, still_wanted.logger),
        "traces": (trace.set_tracer_provider, trace.get_tracer_provider, still_wanted.tracer),
    }
    taken = []
    for pipeline in built:
        set_provider, get_provider, wants = setters[pipeline.signal]
        if wants:
            set_provider(pipeline.provider)
        if get_provider() is pipeline.provider:
            taken.append(pipeline)
        else:
            pipeline.provider.shutdown()
    return taken


def _resource() -> Resource:
    try:
        return Resource.create()
    except RuntimeError:
        # Detection wants a thread pool, which an interpreter that is shutting down refuses: do what it does without.
        return (
            Resource(
                {
                    "telemetry.sdk.language": "python",
                    "telemetry.sdk.name": "opentelemetry",
                    "telemetry.sdk.version": sdk_version,
                    "service.name": "unknown_service:python",
                }
            )
            .merge(ServiceInstanceIdResourceDetector().detect())
            .merge(OTELResourceDetector().detect())
        )


def _traces(resource: Resource) -> Pipeline:
    provider = TracerProvider(
        resource=resource, shutdown_on_exit=False, sampler=_sampler(), id_generator=_id_generator()
    )
    ways, refused = [], False
    for exporter in exporters("traces"):
        way = SpanOutlet(_outlet("traces", exporter), _count("OTEL_BSP_MAX_QUEUE_SIZE", 2048))
        ways.append(way)
        try:
            provider.add_span_processor(BatchSpanProcessor(way))
        except RuntimeError:
            provider.add_span_processor(SimpleSpanProcessor(way))
            refused = True
    return Pipeline("traces", provider, tuple(ways), threads_refused=refused)


def _logger(resource: Resource) -> Pipeline:
    provider = LoggerProvider(resource=resource, shutdown_on_exit=False)
    ways, refused = [], False
    for exporter in exporters("logs"):
        way = LogOutlet(_outlet("logs", exporter), _count("OTEL_BLRP_MAX_QUEUE_SIZE", 2048))
        ways.append(way)
        try:
            provider.add_log_record_processor(BatchLogRecordProcessor(way))
        except RuntimeError:
            provider.add_log_record_processor(SimpleLogRecordProcessor(way))
            refused = True
    return Pipeline("logs", provider, tuple(ways), threads_refused=refused)


def _metrics(resource: Resource) -> Pipeline:
    interval = _count("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
    outlets, own_readers, readers, refused = [], [], list[MetricReader](), False
    for exporter in exporters("metrics"):
        if issubclass(exporter.kind, MetricReader):  # one that is asked for its figures: Prometheus
            readers.append(exporter.build())
            continue
        outlet = _outlet("metrics", exporter)
        reader = _reader(exporter, outlet, interval)
        outlets.append(outlet)
        own_readers.append(reader)
    provider = MeterProvider([*readers, *own_readers], resource=resource, shutdown_on_exit=False, views=_views())
    for reader in own_readers:
        try:
            reader.start()
        except RuntimeError:
            refused = True
    return Pipeline("metrics", provider, tuple(outlets), tuple(own_readers), threads_refused=refused)


def _reader(exporter: Exporter, outlet: Outlet, interval: float) -> PeriodicReader:
    temporality, aggregation = _temporality(), _aggregation()
    if not exporter.otlp:  # these bring their own preferences, in attributes that the SDK's reader uses as well
        temporality = getattr(outlet.exporter(), "_preferred_temporality", None)
        aggregation = getattr(outlet.exporter(), "_preferred_aggregation", None)
    return PeriodicReader(
        outlet.send, outlet.close, interval=interval, temporality=temporality, aggregation=aggregation
    )


def _outlet(signal: Signal, exporter: Exporter) -> Outlet:
    return Outlet(signal, exporter.destination, exporter.build)


def _temporality() -> dict[type, AggregationTemporality] | None:
    """As the OTLP exporters read it; None is cumulative throughout. Asking them would open a connection now."""
    kinds = _DELTA_KINDS.get((standard_variable(TEMPORALITY_VARIABLE) or "").lower(), ())
    return dict.fromkeys(kinds, AggregationTemporality.DELTA) or None


def _wants_exponential() -> bool:
    preference = standard_variable("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION") or ""
    return preference.lower() == "base2_exponential_bucket_histogram"


def _aggregation() -> dict[type, Any] | None:
    return {Histogram: ExponentialBucketHistogramAggregation()} if _wants_exponential() else None


def _views() -> list[View]:
    """The conventions' buckets for their histograms, whoever records them; none if the user prefers exponential ones."""
    if _wants_exponential():
        return []
    return [
        View(instrument_name=metric.name, aggregation=ExplicitBucketHistogramAggregation(boundaries=metric.buckets))
        for metric in semconv.METRICS
        if metric.buckets
    ]


def _sampler() -> Any:
    """A sampler that an installed package provides; None leaves the choice among its own to the SDK."""
    name = (standard_variable("OTEL_TRACES_SAMPLER") or "").lower()
    if not name or name in _SAMPLERS_OF_THE_SDK:
        return None
    factory = component("opentelemetry_traces_sampler", name)
    return (
        factory(standard_variable("OTEL_TRACES_SAMPLER_ARG")) if factory else None
    )  # the SDK warns about an unknown one


def _id_generator() -> Any:
    name = standard_variable("OTEL_PYTHON_ID_GENERATOR")
    if name is None or name == "random":
        return None
    generator = component("opentelemetry_id_generator", name)
    if generator is None:
        say_once(
            "id_generator",
            f"OTEL_PYTHON_ID_GENERATOR names {name!r}, which no installed package provides; using random ids",
        )
        return None
    return generator()


def _count(variable: str, default: int) -> int:
    """A positive number from a standard variable; a wrong one is warned about."""
    text = standard_variable(variable)
    if text is None:
        return default
    try:
        value = int(float(text))
    except (ValueError, OverflowError):
        value = 0
    if value > 0:
        return value
    say_once(variable, f"{variable}={text} is not a positive number; using {default}")
    return default
