"""Tools, retrievals, agents and workflows as OpenTelemetry spans: names and attributes of the GenAI conventions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.trace import SpanKind, Status, StatusCode

from langmeter import semconv
from langmeter.telemetry.exceptions import log_exception

if TYPE_CHECKING:
    from opentelemetry._logs import Logger
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from langmeter.events import AgentTotals, Step, StepKind, StepRequest
    from langmeter.telemetry.content_sink import ContentSink

NAME_ATTRIBUTES: Final[dict[StepKind, str]] = {
    "execute_tool": semconv.TOOL_NAME,
    "retrieval": semconv.DATA_SOURCE_ID,
    "invoke_agent": semconv.AGENT_NAME,
    "invoke_workflow": semconv.WORKFLOW_NAME,
}
"""The attribute that a step's name goes to; with it set, the name is part of the span's name. Memory has none."""
_INTERNAL: Final = (semconv.EXECUTE_TOOL, semconv.INVOKE_AGENT, semconv.INVOKE_WORKFLOW)


class StepSpans:
    """Opens and describes the spans of steps. Thread-safe; holds no state of its own."""

    def __init__(self, tracer: Tracer, logger: Logger, contents: ContentSink) -> None:
        self._tracer = tracer
        self._logger = logger
        self._contents = contents

    def start(self, request: StepRequest, parent: Context | None, start_time: int) -> Span:
        """A started span with what a sampler needs; never made current here."""
        attributes: dict[str, AttributeValue] = {semconv.OPERATION_NAME: request.kind}
        name: str = request.kind
        if request.name is not None:
            attributes[NAME_ATTRIBUTES[request.kind]] = request.name
            name = f"{name} {request.name}"
        if request.kind == "execute_tool":
            attributes[semconv.TOOL_TYPE] = semconv.TOOL_TYPE_FUNCTION
            if request.agent is not None:
                attributes[semconv.AGENT_NAME] = request.agent
        if request.provider is not None:
            attributes[semconv.PROVIDER_NAME] = request.provider
        if request.model is not None:
            attributes[semconv.REQUEST_MODEL] = request.model
        kind = SpanKind.INTERNAL if request.kind in _INTERNAL else SpanKind.CLIENT
        return self._tracer.start_span(name, parent, kind, attributes, start_time=start_time)

    def describe(self, span: Span, step: Step, context: Context) -> None:
        """Put everything known about the finished step on its span, and its exception into the log; does not end it."""
        failed = step.failure is not None and step.error_type is not None
        failure = self._contents.told(step.failure) if failed and step.failure is not None else None
        if span.is_recording():
            span.set_attributes(_attributes(step))
            if failure is not None:
                span.set_status(Status(StatusCode.ERROR, failure.message or None))
        if failure is not None:
            log_exception(self._logger, failure, context)
        if step.content is not None:
            self._contents.record(span, context, step.content, None)


def _attributes(step: Step) -> dict[str, AttributeValue]:
    request = step.request
    attributes: dict[str, AttributeValue] = dict(request.parameters)
    for key, value in request.attribution:
        attributes[semconv.ATTRIBUTION_PREFIX + key] = value
    if step.error_type is not None:
        attributes[semconv.ERROR_TYPE] = step.error_type
    if step.totals is not None:
        _add_totals(attributes, step.totals)
    return attributes


def _add_totals(attributes: dict[str, AttributeValue], totals: AgentTotals) -> None:
    if totals.input_tokens is not None:
        attributes[semconv.USAGE_INPUT_TOKENS] = totals.input_tokens
    if totals.output_tokens is not None:
        attributes[semconv.USAGE_OUTPUT_TOKENS] = totals.output_tokens
    if totals.finish_reasons:
        attributes[semconv.RESPONSE_FINISH_REASONS] = totals.finish_reasons
