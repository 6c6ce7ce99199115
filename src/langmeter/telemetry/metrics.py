"""The metrics sink: what a finished call adds to which instrument.

Counters are running totals (`totals.py`); histograms are recorded directly, with the span's context for exemplars.
Which calls a metric counts follows the GenAI conventions. Their rule for failed operations is read as: duration always,
counters whatever usage was returned, histograms of tokens and rates only for success. Estimated tokens have counters of
their own and enter nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import get_meter_provider

from langmeter import semconv
from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.telemetry.increments import SPENT, of_call, of_lookup
from langmeter.telemetry.instruments import instruments_for
from langmeter.telemetry.series import Line, Series

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from langmeter.events import CacheLookup, Cost, ModelCall, ModelRequest, PricedCall, TokenUsage
    from langmeter.settings import Settings
    from langmeter.telemetry.totals import Attributes

_SHORTEST_GENERATION: Final = 0.001
"""Seconds; below, a generation rate would say more about the clock than about the model."""
_OPENAI: Final = "openai"
_LEGACY_INPUT: Final = Line(semconv.LEGACY_TOKENS, {semconv.TOKEN_TYPE: "input"})
_LEGACY_OUTPUT: Final = Line(semconv.LEGACY_TOKENS, {semconv.TOKEN_TYPE: "output"})


class Metrics:
    """Records finished calls to the instruments of one MeterProvider.

    Safe from any thread; several of these may share one provider's instruments. Raises only what an instrument raises.
    """

    def __init__(self, provider: MeterProvider, settings: Settings) -> None:
        # Held for the instruments, which hold it weakly: they ask it about its readers after a fork.
        self._provider = provider
        instruments = self._instruments = instruments_for(provider, settings.max_attribute_sets)
        self._legacy = settings.legacy_metrics
        self._time_per_output_chunk = settings.time_per_output_chunk
        self._record_operation_cost = settings.operation_cost
        histograms = instruments.histograms
        self._duration = histograms[semconv.INFERENCE_DURATION].record
        self._embeddings_duration = histograms[semconv.EMBEDDINGS_DURATION].record
        self._embedded_tokens = histograms[semconv.EMBEDDINGS_INPUT_TOKENS_PER_CALL].record
        self._first_chunk = histograms[semconv.INFERENCE_TIME_TO_FIRST_CHUNK].record
        self._chunk = histograms[semconv.INFERENCE_TIME_PER_OUTPUT_CHUNK].record
        self._input_tokens = histograms[semconv.INFERENCE_INPUT_TOKENS_PER_CALL].record
        self._output_tokens = histograms[semconv.INFERENCE_OUTPUT_TOKENS_PER_CALL].record
        self._output_rate = histograms[semconv.OUTPUT_RATE].record
        self._generation_rate = histograms[semconv.GENERATION_RATE].record
        self._operation_cost = histograms[semconv.OPERATION_COST].record
        self._lookup_duration = histograms[semconv.CACHE_LOOKUP_DURATION].record

    def record(self, priced: PricedCall, context: Context | None) -> None:
        """Record one finished call.

        Args:
            priced: the call with its cost. A hit of the response cache counts for the cache and for nothing else.
            context: the OpenTelemetry context of the call's span, for exemplars; None for the current one.
        """
        call = priced.call
        if call.cache is not None:
            self._record_lookup(call.request, call.cache, priced.saved, context)
            if call.cache_hit:
                return
        series, usage = self._series(call), call.usage
        embeds = call.request.operation == semconv.EMBEDDINGS
        # Totals first: should an instrument of the application fail, they are complete.
        self._instruments.totals.add(of_call(series.cells, usage, priced.cost, call.estimated, embeds=embeds))
        if embeds:
            self._record_embeddings(series, call, context)
        else:
            self._record_inference(series, call, context)
        if self._record_operation_cost:
            self._record_cost(series, priced.cost, context)
        if self._legacy:
            self._record_legacy(series, call, context)

    def _record_embeddings(self, series: Series, call: ModelCall, context: Context | None) -> None:
        self._embeddings_duration(call.duration, series.outcome, context)
        if call.usage is not None and call.failure is None:
            self._embedded_tokens(call.usage.input_tokens, series.attributes, context)

    def _record_inference(self, series: Series, call: ModelCall, context: Context | None) -> None:
        self._record_times(series, call, context)
        if call.usage is not None and call.failure is None:
            self._record_tokens(series, call, call.usage, context)

    def _record_times(self, series: Series, call: ModelCall, context: Context | None) -> None:
        self._duration(call.duration, series.outcome, context)
        if call.time_to_first_chunk is not None:
            self._first_chunk(call.time_to_first_chunk, series.attributes, context)
        if self._time_per_output_chunk:
            for gap in call.chunk_gaps:
                self._chunk(gap, series.attributes, context)

    def _record_tokens(self, series: Series, call: ModelCall, usage: TokenUsage, context: Context | None) -> None:
        attributes, output = series.attributes, usage.output_tokens
        self._input_tokens(usage.input_tokens, attributes, context)
        self._output_tokens(output, attributes, context)
        if output <= 0:
            return
        if call.duration > 0:
            self._output_rate(output / call.duration, attributes, context)
        if call.time_to_first_chunk is not None:
            generation = call.duration - call.time_to_first_chunk
            if generation >= _SHORTEST_GENERATION:
                self._generation_rate(output / generation, attributes, context)

    def _record_cost(self, series: Series, cost: Cost | None, context: Context | None) -> None:
        if cost is not None and cost.parts is not None and cost.status in SPENT:
            self._operation_cost(sum(cost.parts) / PICODOLLARS_PER_DOLLAR, series.attributes, context)

    def _record_legacy(self, series: Series, call: ModelCall, context: Context | None) -> None:
        histograms = self._instruments.histograms
        histograms[semconv.LEGACY_DURATION].record(call.duration, series.outcome, context)
        if call.time_to_first_chunk is not None:
            record = histograms[semconv.LEGACY_TIME_TO_FIRST_CHUNK].record
            record(call.time_to_first_chunk, series.attributes, context)
        for gap in call.chunk_gaps:
            histograms[semconv.LEGACY_TIME_PER_OUTPUT_CHUNK].record(gap, series.attributes, context)
        usage = call.usage
        if usage is not None and call.failure is None:
            record = histograms[semconv.LEGACY_TOKENS].record
            record(usage.input_tokens, series.labels[_LEGACY_INPUT], context)
            if call.request.operation == semconv.EMBEDDINGS:
                return
            record(usage.output_tokens, series.labels[_LEGACY_OUTPUT], context)

    def _record_lookup(
        self, request: ModelRequest, lookup: CacheLookup, saved: Cost | None, context: Context | None
    ) -> None:
        instruments = self._instruments
        error_type = lookup.error_type if lookup.status == "error" else None
        kind = (request.operation, request.provider, request.model, lookup.type, error_type, request.metric_attribution)
        series = instruments.lookups.find(kind)
        if series is None:
            attributes = _cache_attributes(request, lookup.type, error_type)
            series = instruments.admit(instruments.lookups, kind, attributes)
        instruments.totals.add(of_lookup(series.cells, lookup, saved))
        if lookup.duration is None:
            return
        times = instruments.lookups.find((lookup.status, lookup.type))
        if times is None:
            attributes = {semconv.CACHE_STATUS: lookup.status}
            if lookup.type is not None:
                attributes[semconv.CACHE_TYPE] = lookup.type
            times = instruments.admit(instruments.lookups, (lookup.status, lookup.type), attributes)
        self._lookup_duration(lookup.duration, times.attributes, context)

    def _series(self, call: ModelCall) -> Series:
        request, response = call.request, call.response
        kind = (
            request.operation,
            request.provider,
            request.model,
            request.server_address,
            request.server_port,
            None if response is None else response.model,
            None if response is None or request.provider != _OPENAI else response.service_tier,
            call.error_type,
            request.metric_attribution,
        )
        series = self._instruments.calls.find(kind)
        if series is None:
            series = self._instruments.admit(self._instruments.calls, kind, _call_attributes(call))
        return series


def metrics_for(meter_provider: MeterProvider | None, settings: Settings) -> Metrics:
    """The sink for a MeterProvider, the API's global one for None.

    Cheap to call again: instruments and totals are made once per provider and shared, whatever the settings. These
    decide only what is recorded; `max_attribute_sets` counts when the provider is first seen. Safe from any thread.
    """
    return Metrics(get_meter_provider() if meter_provider is None else meter_provider, settings)


def _call_attributes(call: ModelCall) -> Attributes:
    """Attribute set M of the conventions, with `error.type` if the call failed."""
    request, response = call.request, call.response
    attributes = _request_attributes(request)
    if request.server_address is not None:
        attributes[semconv.SERVER_ADDRESS] = request.server_address
        if request.server_port is not None:
            attributes[semconv.SERVER_PORT] = request.server_port
    if response is not None and response.model is not None:
        attributes[semconv.RESPONSE_MODEL] = response.model
    if response is not None and response.service_tier is not None and request.provider == _OPENAI:
        attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = response.service_tier
    if call.error_type is not None:
        attributes[semconv.ERROR_TYPE] = call.error_type
    return attributes


def _cache_attributes(request: ModelRequest, cache_type: str | None, error_type: str | None) -> Attributes:
    attributes = _request_attributes(request)
    if error_type is not None:
        attributes[semconv.ERROR_TYPE] = error_type
    if cache_type is not None:
        attributes[semconv.CACHE_TYPE] = cache_type
    return attributes


def _request_attributes(request: ModelRequest) -> Attributes:
    attributes: Attributes = {
        semconv.OPERATION_NAME: request.operation,
        semconv.PROVIDER_NAME: request.provider,
    }
    if request.model is not None:
        attributes[semconv.REQUEST_MODEL] = request.model
    for key, value in request.metric_attribution:
        attributes[semconv.ATTRIBUTION_PREFIX + key] = value
    return attributes
