"""Model calls as OpenTelemetry spans, and failed ones as log events: names and attributes of the GenAI conventions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final
from uuid import UUID

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from langmeter import semconv
from langmeter.events import ModelCall, ModelRequest, ModelResponse, PricedCall, TokenUsage, usd
from langmeter.telemetry.duplicates import NO_CLAIMS
from langmeter.telemetry.exceptions import log_exception

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from langmeter.events import CacheLookup, Cost
    from langmeter.telemetry.content_sink import ContentSink

_RUN_ID: Final = otel_context.create_key("langmeter-run-id")

# One row per attribute: (name, field of TokenUsage).
_USAGE: Final = (
    (semconv.USAGE_CACHE_READ, "cache_read"),
    (semconv.USAGE_CACHE_WRITE, "cache_write"),
    (semconv.USAGE_CACHE_WRITE_1H, "cache_write_1h"),
    (semconv.USAGE_REASONING, "reasoning"),
    (semconv.USAGE_INPUT_TEXT, "input_text"),
    (semconv.USAGE_INPUT_IMAGE, "input_image"),
    (semconv.USAGE_INPUT_AUDIO, "input_audio"),
    (semconv.USAGE_OUTPUT_TEXT, "output_text"),
    (semconv.USAGE_OUTPUT_IMAGE, "output_image"),
    (semconv.USAGE_OUTPUT_AUDIO, "output_audio"),
)
_USAGE_FIELDS: Final = tuple((name, TokenUsage._fields.index(field)) for name, field in _USAGE)


def run_context(
    span: Span, run_id: UUID | None, base: Context | None = None, claims: Mapping[str, object] = NO_CLAIMS
) -> Context:
    """The current context, or `base`, with `span` in it, the run id beside it (see `parent_context`), and `claims`."""
    return Context({**trace.set_span_in_context(span, base), _RUN_ID: run_id, **claims})


def current_run_id() -> UUID | None:
    """The run whose work the current context belongs to, if any."""
    run_id = otel_context.get_value(_RUN_ID)
    return run_id if isinstance(run_id, UUID) else None


def parent_context(parent_run_id: UUID | None, parent: Context | None) -> Context | None:
    """Where a new span hangs: None for the current context, which keeps the user's own spans between two runs.

    `parent` is the context of the parent run, if it has one. It is used only where the current context does not belong
    to that run: in a thread or task that LangChain's configuration reached and the context did not.
    """
    if parent is None or otel_context.get_value(_RUN_ID) == parent_run_id:
        return None
    return parent


class Spans:
    """Opens and closes the span of a model call. Thread-safe; holds no state of its own."""

    def __init__(self, tracer: Tracer, logger: Logger, contents: ContentSink) -> None:
        self._tracer = tracer
        self._logger = logger
        self._contents = contents

    def start(self, request: ModelRequest, parent: Context | None, start_time: int | None = None) -> Span:
        """A started span with what a sampler needs; never made current here."""
        name: str = request.operation if request.model is None else f"{request.operation} {request.model}"
        return self._tracer.start_span(name, parent, SpanKind.CLIENT, _identity(request), start_time=start_time)

    def locate(self, span: Span, request: ModelRequest) -> None:
        """Put the server on a span that was started without."""
        span.set_attributes(_server(request))

    def describe(self, span: Span, priced: PricedCall, context: Context) -> None:
        """Put everything known about the finished call on its span, and its exception into the log; does not end it."""
        call = priced.call
        failure = None if call.failure is None else self._contents.told(call.failure)
        recording = span.is_recording()
        attributes = _attributes(priced) if recording or call.content is not None else {}
        if recording:
            span.set_attributes(attributes)
            if failure is not None and call.error_type is not None:
                span.set_status(Status(StatusCode.ERROR, failure.message or None))
        if failure is not None and call.error_type is not None:
            log_exception(self._logger, failure, context)
        if call.content is not None:
            self._contents.record(span, context, call.content, {**_identity(call.request), **attributes})


def _identity(request: ModelRequest) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {
        semconv.OPERATION_NAME: request.operation,
        semconv.PROVIDER_NAME: request.provider,
    }
    if request.model is not None:
        attributes[semconv.REQUEST_MODEL] = request.model
    attributes.update(_server(request))
    return attributes


def _server(request: ModelRequest) -> dict[str, AttributeValue]:
    if request.server_address is None:
        return {}
    if request.server_port is None:
        return {semconv.SERVER_ADDRESS: request.server_address}
    return {semconv.SERVER_ADDRESS: request.server_address, semconv.SERVER_PORT: request.server_port}


def _attributes(priced: PricedCall) -> dict[str, AttributeValue]:
    call = priced.call
    attributes: dict[str, AttributeValue] = dict(call.request.parameters)
    for key, value in call.request.attribution:
        attributes[semconv.ATTRIBUTION_PREFIX + key] = value
    if call.streamed:
        attributes[semconv.REQUEST_STREAM] = True
    if call.time_to_first_chunk is not None:
        attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK] = call.time_to_first_chunk
    if call.error_type is not None:
        attributes[semconv.ERROR_TYPE] = call.error_type
    response = call.response
    if response is not None:
        _add_response(attributes, call, response)
    open_choice = call.time_to_first_chunk is not None and not (response is not None and response.finish_reasons)
    if open_choice and call.failure is not None:
        attributes[semconv.RESPONSE_FINISH_REASONS] = (semconv.FINISH_ERROR,)
    _add_usage(attributes, call)
    if call.cache is not None:
        _add_lookup(attributes, call.cache)
    if priced.cost is not None:
        _add_cost(attributes, priced.cost)
    return attributes


def _add_lookup(attributes: dict[str, AttributeValue], lookup: CacheLookup) -> None:
    attributes[semconv.CACHE_STATUS] = lookup.status
    if lookup.type is not None:
        attributes[semconv.CACHE_TYPE] = lookup.type
    if lookup.error_type is not None:
        attributes[semconv.CACHE_LOOKUP_ERROR] = lookup.error_type
    if lookup.unreadable:
        attributes[semconv.CACHE_UNREADABLE] = True
    if lookup.time_saved is not None and lookup.expected_from is not None:
        attributes[semconv.CACHE_TIME_SAVED] = lookup.time_saved
        attributes[semconv.CACHE_TIME_SAVED_FROM] = lookup.expected_from


def _add_response(attributes: dict[str, AttributeValue], call: ModelCall, response: ModelResponse) -> None:
    if response.finish_reasons:
        attributes[semconv.RESPONSE_FINISH_REASONS] = response.finish_reasons
    if response.id is not None:
        attributes[semconv.RESPONSE_ID] = response.id
    if response.model is not None:
        attributes[semconv.RESPONSE_MODEL] = response.model
    if call.request.provider == "openai":
        if response.service_tier is not None:
            attributes[semconv.OPENAI_RESPONSE_SERVICE_TIER] = response.service_tier
        if response.system_fingerprint is not None:
            attributes[semconv.OPENAI_RESPONSE_SYSTEM_FINGERPRINT] = response.system_fingerprint
        if response.api_type is not None:
            attributes[semconv.OPENAI_API_TYPE] = response.api_type


def _add_usage(attributes: dict[str, AttributeValue], call: ModelCall) -> None:
    answers = call.request.operation != semconv.EMBEDDINGS  # which have an input only
    if call.cache_hit:
        # Billable tokens: the provider was not called. What was saved is on the metrics.
        attributes[semconv.USAGE_INPUT_TOKENS] = 0
        if answers:
            attributes[semconv.USAGE_OUTPUT_TOKENS] = 0
        return
    usage, estimated = call.usage, call.estimated
    if estimated is not None:
        if usage is None:
            attributes[semconv.ESTIMATED_INPUT_TOKENS] = estimated.input_tokens
        if answers:
            attributes[semconv.ESTIMATED_OUTPUT_TOKENS] = estimated.output_tokens
    if usage is None:
        return
    attributes[semconv.USAGE_INPUT_TOKENS] = usage.input_tokens
    if answers:
        attributes[semconv.USAGE_OUTPUT_TOKENS] = usage.output_tokens
    for name, index in _USAGE_FIELDS:
        tokens = usage[index]
        if tokens is not None:
            attributes[name] = tokens


def _add_cost(attributes: dict[str, AttributeValue], cost: Cost) -> None:
    attributes[semconv.COST_STATUS] = cost.status
    attributes[semconv.PRICE_MATCH] = cost.match
    parts = cost.parts
    if parts is not None:
        attributes[semconv.COST_AMOUNT] = float(usd(sum(parts)))
        attributes[semconv.COST_CURRENCY] = semconv.CURRENCY
        reported = cost.status == "reported"
        attributes[semconv.COST_SOURCE] = semconv.COST_SOURCE_PROVIDER if reported else semconv.COST_SOURCE_LOCAL
        if not reported and cost.status != "cached":
            attributes[semconv.COST_INPUT] = float(usd(parts.input))
            attributes[semconv.COST_OUTPUT] = float(usd(parts.output))
            if parts.cache_read:
                attributes[semconv.COST_CACHE_READ] = float(usd(parts.cache_read))
            if parts.cache_write:
                attributes[semconv.COST_CACHE_WRITE] = float(usd(parts.cache_write))
    elif cost.reason is not None:
        attributes[semconv.UNPRICED_REASON] = cost.reason
    if cost.source is not None:
        attributes[semconv.PRICE_SOURCE] = cost.source
    if cost.version is not None:
        attributes[semconv.PRICE_VERSION] = cost.version
    if cost.tier is not None:
        attributes[semconv.PRICE_TIER] = cost.tier
    if cost.tier_unmatched:
        attributes[semconv.PRICE_TIER_UNMATCHED] = True
