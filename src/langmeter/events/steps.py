"""Everything in an application that is not a model call: tools, retrievals, agents, workflows, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from langmeter.events.calls import Content, Failure, ParameterValue

StepKind: TypeAlias = Literal[
    "execute_tool",
    "retrieval",
    "invoke_agent",
    "invoke_workflow",
    "search_memory",
    "upsert_memory",
    "delete_memory",
]


class StepRequest(NamedTuple):
    """One step as it began."""

    kind: StepKind
    """A `gen_ai.operation.name` value."""
    name: str | None = None
    """Of the tool, the data source, the agent or the workflow; None where the application gave it none, and of memory."""
    agent: str | None = None
    """The name of the agent that executes a tool."""
    provider: str | None = None
    """Of a retrieval: the `gen_ai.provider.name` that embeds its query."""
    model: str | None = None
    """Of a retrieval: the model that embeds its query."""
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    """What else is known at the start: (`semconv` attribute name, value)."""
    attribution: tuple[tuple[str, str], ...] = ()
    """Attribution, (key, value): on the span."""
    metric_attribution: tuple[tuple[str, str], ...] = ()
    """The part of it that is allowed on metrics, already bounded in distinct values."""


class AgentTotals(NamedTuple):
    """What one run of an agent issued itself; the agents that it calls have totals of their own."""

    inference_calls: int = 0
    """Model calls that went to a provider, failed ones included, response-cache hits not."""
    tool_calls: int = 0
    """Tools executed, failed ones included."""
    input_tokens: int | None = None
    """None when no call reported its usage."""
    output_tokens: int | None = None
    finish_reasons: tuple[str, ...] = ()
    """Of its last answered call."""


class Step(NamedTuple):
    """One finished step: all that a sink needs."""

    request: StepRequest
    start_time: int
    """Unix time in nanoseconds."""
    duration: float
    """Seconds, from a monotonic clock."""
    failure: Failure | None = None
    """None for success and for what LangGraph signals through exceptions: interrupts, commands."""
    totals: AgentTotals | None = None
    """Of an agent."""
    content: Content | None = None
    """None unless content is captured and somebody wants this step's."""

    @property
    def error_type(self) -> str | None:
        """The error type to report; None for success and for a step that was abandoned."""
        return None if self.failure is None or self.failure.kind == "abandoned" else self.failure.error_type
