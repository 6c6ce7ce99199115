"""The metrics of steps: how long tools, retrievals, agents and workflows took, and what one run of an agent issued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from opentelemetry.metrics import get_meter_provider

from langmeter import semconv
from langmeter.telemetry.instruments import instruments_for

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from langmeter.events import AgentTotals, Step
    from langmeter.settings import Settings
    from langmeter.telemetry.series import Series
    from langmeter.telemetry.totals import Attributes

_CLIENT_OPERATIONS: Final = (
    semconv.RETRIEVAL,
    semconv.SEARCH_MEMORY,
    semconv.UPSERT_MEMORY,
    semconv.DELETE_MEMORY,
)
"""Operations that share one metric, told apart by its attributes."""


class StepMetrics:
    """Records finished steps to the instruments of one MeterProvider. Safe from any thread."""

    def __init__(self, provider: MeterProvider, settings: Settings) -> None:
        self._provider = provider  # held for the instruments, which hold it weakly
        instruments = self._instruments = instruments_for(provider, settings.max_attribute_sets)
        histograms = instruments.histograms
        self._durations = {
            semconv.EXECUTE_TOOL: histograms[semconv.TOOL_DURATION].record,
            semconv.INVOKE_AGENT: histograms[semconv.AGENT_DURATION].record,
            semconv.INVOKE_WORKFLOW: histograms[semconv.WORKFLOW_DURATION].record,
        }
        for operation in _CLIENT_OPERATIONS:
            self._durations[operation] = histograms[semconv.OPERATION_DURATION].record
        self._inference_calls = histograms[semconv.AGENT_INFERENCE_CALLS].record
        self._tool_calls = histograms[semconv.AGENT_TOOL_CALLS].record

    def record(self, step: Step, context: Context | None) -> None:
        """Record one finished step; `context` is that of its span, for exemplars."""
        series = self._series(step)
        self._durations[step.request.kind](step.duration, series.outcome, context)
        if step.totals is not None:
            self._record_totals(series, step.totals, context)

    def _record_totals(self, series: Series, totals: AgentTotals, context: Context | None) -> None:
        self._inference_calls(totals.inference_calls, series.attributes, context)
        self._tool_calls(totals.tool_calls, series.attributes, context)

    def _series(self, step: Step) -> Series:
        request = step.request
        kind = (
            request.kind,
            None if request.kind == semconv.RETRIEVAL else request.name,  # a data source is not on metrics
            request.agent,
            request.provider,
            request.model,
            step.error_type,
            request.metric_attribution,
        )
        series = self._instruments.steps.find(kind)
        if series is None:
            series = self._instruments.admit(self._instruments.steps, kind, _attributes(step))
        return series


def step_metrics_for(meter_provider: MeterProvider | None, settings: Settings) -> StepMetrics:
    """The sink for a MeterProvider, the API's global one for None. Cheap to call again; safe from any thread."""
    return StepMetrics(get_meter_provider() if meter_provider is None else meter_provider, settings)


def _attributes(step: Step) -> Attributes:
    request = step.request
    attributes: Attributes = {}
    if request.kind == semconv.EXECUTE_TOOL:
        attributes[semconv.TOOL_NAME] = request.name or semconv.UNKNOWN
        attributes[semconv.TOOL_TYPE] = semconv.TOOL_TYPE_FUNCTION
        if request.agent is not None:
            attributes[semconv.AGENT_NAME] = request.agent
    elif request.kind in _CLIENT_OPERATIONS:
        attributes[semconv.OPERATION_NAME] = request.kind
        if request.provider is not None:
            attributes[semconv.PROVIDER_NAME] = request.provider
        if request.model is not None:
            attributes[semconv.REQUEST_MODEL] = request.model
    elif request.name is not None:
        attributes[semconv.AGENT_NAME if request.kind == semconv.INVOKE_AGENT else semconv.WORKFLOW_NAME] = request.name
    if step.error_type is not None:
        attributes[semconv.ERROR_TYPE] = step.error_type
    for key, value in request.metric_attribution:
        attributes[semconv.ATTRIBUTION_PREFIX + key] = value
    return attributes
