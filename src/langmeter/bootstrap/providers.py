"""Builds the SDK's providers as the standard variables say, and makes them the process's own where it has none."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from opentelemetry import _logs, metrics, trace
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
from langmeter.bootstrap.outlets import Outlet, SpanOutlet
from langmeter.bootstrap.pipeline import Pipeline, positive_number, way_out
from langmeter.bootstrap.reader import PeriodicReader
from langmeter.boundary import shield
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


def install(missing: Callable[[Present], Present]) -> list[Pipeline]:
    """Set up the providers that `missing` names, given those present, and return those that the API took.

    What is present is looked at again just before they are set, for the application may have been faster.
    """
    wanted = missing(present())
    resource = _resource()
    built = []
    for wants, build in ((wanted.meter, _metrics), (wanted.logger, _logger), (wanted.tracer, _traces)):
        if wants:
            with shield("bootstrap.provider"):  # one that cannot be built costs its own signal
                built.append(build(resource))
    still_wanted = missing(present())
    setters: dict[Signal, tuple[Callable[[Any], None], Callable[[], Any], bool]] = {
        "metrics": (metrics.set_meter_provider, metrics.get_meter_provider, still_wanted.meter),
        "logs": (_logs.set_logger_provider, _logs.get_logger_provider, still_wanted.logger),
        "traces": (trace.set_tracer_provider, trace.get_tracer_provider, still_wanted.tracer),
    }
    taken = []
    for pipeline in filter(None, built):
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
    ways, holdings = [], []
    for exporter in exporters("traces"):
        way = way_out("traces", exporter)
        span_outlet = SpanOutlet(way, positive_number("OTEL_BSP_MAX_QUEUE_SIZE", 2048))
        ways.append(way)
        holdings.append(span_outlet.holding)
        try:
            provider.add_span_processor(BatchSpanProcessor(span_outlet))
        except RuntimeError:  # no more threads
            provider.add_span_processor(SimpleSpanProcessor(span_outlet))
    return Pipeline("traces", provider, tuple(ways), tuple(holdings))


def _logger(resource: Resource) -> Pipeline | None:
    try:
        from langmeter.bootstrap.logs import pipeline  # noqa: PLC0415  (may be impossible at the exit, see there)
    except RuntimeError:
        return None
    return pipeline(resource)


def _metrics(resource: Resource) -> Pipeline:
    interval = positive_number("OTEL_METRIC_EXPORT_INTERVAL", 60_000) / 1000
    ways, own_readers, readers = [], [], list[MetricReader]()
    for exporter in exporters("metrics"):
        if issubclass(exporter.kind, MetricReader):  # one that is asked for its figures: Prometheus
            readers.append(exporter.build())
            continue
        way = way_out("metrics", exporter)
        ways.append(way)
        own_readers.append(_reader(exporter, way, interval))
    provider = MeterProvider([*readers, *own_readers], resource=resource, shutdown_on_exit=False, views=_views())
    with suppress(RuntimeError):  # no more threads: the flush at the exit collects
        for reader in own_readers:
            reader.start()
    return Pipeline("metrics", provider, tuple(ways), readers=tuple(own_readers))


def _reader(exporter: Exporter, way: Outlet, interval: float) -> PeriodicReader:
    temporality, aggregation = _temporality(), _aggregation()
    if not exporter.otlp:  # these bring their own preferences, in attributes that the SDK's reader uses as well
        temporality = getattr(way.exporter(), "_preferred_temporality", None)
        aggregation = getattr(way.exporter(), "_preferred_aggregation", None)
    return PeriodicReader(way.send, way.close, interval=interval, temporality=temporality, aggregation=aggregation)


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
