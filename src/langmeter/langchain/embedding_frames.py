"""The embeddings call that the current context is in: how nested calls and the clients of providers find it.

It travels in the OpenTelemetry context, next to the span, so that whatever carries the one into a thread carries the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from opentelemetry import context as otel_context

from langmeter.events import ModelResponse, ReportedUsage, TokenUsage

if TYPE_CHECKING:
    from langmeter.langchain.embedding_stores import Passing
    from langmeter.runs import OpenCall

_FRAME: Final = otel_context.create_key("langmeter-embeddings")


class Report(NamedTuple):
    """What a provider said about one request: a call may be made of several."""

    tokens: int | None = None
    """Billed input tokens; None where it said nothing."""
    model: str | None = None
    """The model that answered."""
    cost_usd: float | None = None
    """What the provider says it charged, in US dollars."""


class EmbeddingFrame:
    """One outermost call of an embeddings object, from its entry to its exit. Several threads may work for it."""

    __slots__ = ("_asked_others", "_attached", "around", "call", "closed", "owner", "passing", "reports", "started")

    def __init__(self, owner: Any, around: EmbeddingFrame | None, started: float) -> None:
        self.owner = owner
        self.around = around
        """The frame of the embeddings object that called this one, if any."""
        self.started = started
        """On the performance counter."""
        self.call: OpenCall | None = None
        """None where the object passes its work on: then the calls of the others count."""
        self.passing: Passing | None = None
        self.closed = False
        """True once the call is over: a task that it started may live on, and belongs to it no more."""
        self.reports: list[Report] = []
        self._asked_others = False
        self._attached: Any = None

    @property
    def asked_others(self) -> bool:
        """Whether other embeddings were called from inside this call."""
        return self._asked_others

    def ask_other(self) -> bool:
        """Note that other embeddings are called from inside this call; whether they are the first."""
        first, self._asked_others = not self._asked_others, True
        return first

    def is_around(self, instance: Any) -> bool:
        """Whether a call of this object is under way: what it calls on itself is the same call."""
        frame: EmbeddingFrame | None = self
        while frame is not None:
            if frame.owner is instance and not frame.closed:
                return True
            frame = frame.around
        return False

    def attach(self) -> None:
        """Make the frame and the span of its call current."""
        context = self.call.context if self.call is not None else None
        self._attached = otel_context.attach(otel_context.set_value(_FRAME, self, context))

    def detach(self) -> None:
        """Undo `attach`, unless that cannot be: a coroutine that is collected is closed in somebody else's context."""
        self.closed = True
        if otel_context.get_value(_FRAME) is self:
            otel_context.detach(self._attached)

    def response(self) -> ModelResponse:
        """What was reported, all requests together; without usage unless each of them told its own."""
        if not self.reports:
            return ModelResponse()
        tokens = [report.tokens for report in self.reports if report.tokens is not None]
        costs = [report.cost_usd for report in self.reports if report.cost_usd is not None]
        models = [report.model for report in self.reports if report.model is not None]
        usage = ReportedUsage(
            TokenUsage(sum(tokens), 0) if len(tokens) == len(self.reports) else None,
            cost_usd=sum(costs) if len(costs) == len(self.reports) else None,
        )
        return ModelResponse(usage, models[-1] if models else None)


def current_frame() -> EmbeddingFrame | None:
    """The innermost embeddings call under way in this context."""
    frame = otel_context.get_value(_FRAME)
    while isinstance(frame, EmbeddingFrame):
        if not frame.closed:
            return frame
        frame = frame.around
    return None
