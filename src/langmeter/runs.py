"""The open runs, by LangChain run id: the only mutable state of a call or a step, in bounded tables."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from uuid import UUID

from langmeter import semconv
from langmeter.events import AgentTotals

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span

    from langmeter.events import CacheLookup, ModelCall, ModelRequest, StepRequest
    from langmeter.events.calls import ParameterValue
    from langmeter.pricing.estimate import Content
    from langmeter.tracking import Usage

_NANOSECONDS: Final = 1_000_000_000


class OpenRun:
    """What a model call and a step have in common while they are under way."""

    __slots__ = (
        "ambient",
        "captured",
        "configuration",
        "context",
        "parent",
        "reported",
        "run_id",
        "span",
        "start_time",
        "started",
        "stopped",
    )

    def __init__(self, run_id: UUID | None, parent: OpenRun | None) -> None:
        self.run_id = run_id
        self.parent = parent
        """The nearest run around this one that has a span."""
        self.start_time = time.time_ns()
        self.started = time.perf_counter()
        self.stopped: float | None = None
        """When the work ended, where LangChain reports the end later: for all prompts of a batch at once."""
        self.span: Span | None = None
        self.context: Context | None = None
        """The OpenTelemetry context that holds the span: parent of what the run does, and source of exemplars."""
        self.ambient: Context | None = None
        """The context to begin in, where it is not the current one: kept while the span cannot be made yet, for one."""
        self.captured: dict[str, object] | None = None
        """Content by attribute; None unless it is recorded."""
        self.configuration: Callable[[], str | None] | None = None
        """Gives the fingerprint of what is at work, once it is known; None unless `Settings.describe` is on."""
        self.reported: tuple[int, type[BaseException], tuple[str, int] | None] | None = None
        """The exception that a run inside this one has reported last, by identity and place: it may come by here next."""

    @property
    def agent(self) -> OpenStep | None:
        """The agent that this run belongs to; an agent belongs to itself."""
        run: OpenRun | None = self
        while run is not None:
            if isinstance(run, OpenStep) and run.tally is not None:
                return run
            run = run.parent
        return None

    def move(self, started: float) -> None:
        """Let the run have begun at another moment of the performance counter."""
        self.start_time += int((started - self.started) * _NANOSECONDS)
        self.started = started

    def configured(self, parameters: tuple[tuple[str, ParameterValue], ...]) -> tuple[tuple[str, ParameterValue], ...]:
        """The parameters with the fingerprint of the configuration, if it is known by now."""
        fingerprint = self.configuration() if self.configuration is not None else None
        return parameters if fingerprint is None else (*parameters, (semconv.CONFIGURATION_FINGERPRINT, fingerprint))

    def end_span(self) -> None:
        """End the span, if there is one, at the true end of the work."""
        if self.span is not None:
            elapsed = (self.stopped or time.perf_counter()) - self.started
            self.span.end(self.start_time + int(elapsed * _NANOSECONDS))


class AgentTally:
    """What one run of an agent has issued so far. Its tools and calls may run on several threads."""

    __slots__ = ("_finish_reasons", "_input", "_lock", "_output", "inference_calls", "tool_calls")

    def __init__(self) -> None:
        # Reentrant: a stream that the garbage collector closes ends its call on whatever thread it finds, in here as well.
        self._lock = threading.RLock()
        self.inference_calls = 0
        self.tool_calls = 0
        self._input: int | None = None
        self._output: int | None = None
        self._finish_reasons: tuple[str, ...] = ()

    def add_call(self, call: ModelCall) -> None:
        """Count a model call of the agent. Embeddings are no inference: their tokens are on their own spans."""
        if call.request.operation == semconv.EMBEDDINGS:
            return
        usage, response = call.usage, call.response
        with self._lock:
            if not call.cache_hit:
                self.inference_calls += 1
            if usage is not None:
                self._input = (self._input or 0) + usage.input_tokens
                self._output = (self._output or 0) + usage.output_tokens
            if response is not None and response.finish_reasons:
                self._finish_reasons = response.finish_reasons

    def add_tool(self) -> None:
        """Count an execution of a tool."""
        with self._lock:
            self.tool_calls += 1

    def totals(self) -> AgentTotals:
        """The totals so far."""
        with self._lock:
            return AgentTotals(self.inference_calls, self.tool_calls, self._input, self._output, self._finish_reasons)


class OpenStep(OpenRun):
    """One tool, retrieval, agent or workflow between its start and its end."""

    __slots__ = ("prompt_variables", "request", "tally")

    def __init__(self, run_id: UUID | None, parent: OpenRun | None, request: StepRequest) -> None:
        super().__init__(run_id, parent)
        self.request = request
        self.prompt_variables: object = None
        """What a prompt directly inside was filled with, while content is recorded."""
        self.tally = AgentTally() if request.kind == "invoke_agent" else None


class PassedRun:
    """A run without a span of its own (a prompt, a lambda, a node): what is inside belongs to the run around it."""

    __slots__ = ("ambient", "around", "prompt_variables", "run_id", "started")

    def __init__(self, run_id: UUID, around: OpenRun | None) -> None:
        self.run_id = run_id
        self.around = around
        self.ambient: Context | None = None
        """The context that an outermost run began in: a thread inside may have nothing but LangChain's configuration."""
        self.prompt_variables: object = None
        """What a prompt directly inside was filled with, while content is recorded."""
        self.started = time.perf_counter()


class OpenCall(OpenRun):
    """One model call between its start and its end. One thread at a time writes to it: the one that runs the call."""

    __slots__ = (
        "answer",
        "cache",
        "chunk_gaps",
        "content",
        "first_chunk",
        "first_in_batch",
        "key",
        "last_chunk",
        "later_in_batch",
        "nested",
        "request",
        "sent",
        "streams",
        "tracked",
        "trackers",
        "usage_lost",
    )

    def __init__(
        self, run_id: UUID | None, parent: OpenRun | None, request: ModelRequest, trackers: tuple[Usage, ...]
    ) -> None:
        super().__init__(run_id, parent)
        self.request = request
        self.trackers = trackers
        self.tracked = True
        """False where another handler sees the same call and counts it for this process."""
        self.first_chunk: float | None = None
        self.last_chunk = 0.0
        self.chunk_gaps: list[float] | None = None
        self.cache: CacheLookup | None = None
        self.key: Callable[[], int] | None = None
        """Makes the hash that ghost mode knows equal calls by."""
        self.answer: object = None
        """LangChain's result, from the moment it is there until the call ends: the rest of its batch may still fail."""
        self.content: Content | None = None
        """What an estimate would be made from; None when estimates are off."""
        self.sent = True
        """False while it is known that the call has not begun: a later prompt of a batch."""
        self.streams = False
        """True for a call made by `stream` or `astream`, whether or not a chunk arrived."""
        self.later_in_batch = False
        """True for the prompts of a text-model batch after its first."""
        self.first_in_batch: OpenCall | None = None
        """For those, the call of the first prompt, where it is known: it has the usage of them all."""
        self.usage_lost = False
        """True once the call has been answered without usage."""
        self.nested: tuple[UUID, ...] = ()
        """Runs that began inside this one: an answer that one of them gave is billed there."""


_Run = TypeVar("_Run", bound=OpenRun | PassedRun)


class RunTable(Generic[_Run]):
    """Open runs by run id, at most `limit` of them.

    Reading and taking are single dictionary operations and need no lock. A run that never ends (LangChain has such runs)
    is handed to `abandon` once it is older than `timeout` seconds or the table is full, oldest first.
    """

    def __init__(self, limit: int, timeout: float, abandon: Callable[[_Run], None]) -> None:
        self._limit = limit
        self._timeout = timeout
        self._abandon = abandon
        self._runs: dict[UUID, _Run] = {}
        self._lock = threading.RLock()
        self._next_sweep = time.perf_counter() + timeout

    def __len__(self) -> int:
        return len(self._runs)

    def __contains__(self, run_id: UUID) -> bool:
        return run_id in self._runs

    def get(self, run_id: UUID | None) -> _Run | None:
        """The open run of that id, if there is one."""
        return self._runs.get(run_id) if run_id is not None else None

    def add(self, run_id: UUID, run: _Run) -> None:
        """Remember an open run; closes the oldest or the stale ones when there is no more room or it is time."""
        self._runs[run_id] = run
        if run.started > self._next_sweep:
            self._sweep(run.started)
        while len(self._runs) > self._limit:
            self._close_oldest()

    def take(self, run_id: UUID) -> _Run | None:
        """The open run of that id, removed: the second end of the same run finds nothing."""
        return self._runs.pop(run_id, None)

    def clear(self) -> None:
        """Forget everything: a forked child does not own its parent's runs."""
        self._lock = threading.RLock()
        self._runs = {}

    def _sweep(self, now: float) -> None:
        with self._lock:
            self._next_sweep = now + self._timeout / 4
            stale = [run_id for run_id, run in list(self._runs.items()) if now - run.started > self._timeout]
        for run_id in stale:
            self._close(run_id)

    def _close_oldest(self) -> None:
        # A full table stays full, so each start comes by here: it must not look at every run.
        try:
            oldest = next(iter(self._runs))
        except (RuntimeError, StopIteration):  # another thread was faster
            return
        self._close(oldest)

    def _close(self, run_id: UUID) -> None:
        run = self.take(run_id)
        if run is not None:
            self._abandon(run)


class CallTable(RunTable[OpenCall]):
    """The open model calls."""

    def count(self, provider: str, model: str | None) -> int:
        """How many calls of one model are open."""
        calls = list(self._runs.values())
        return sum(call.request.model == model and call.request.provider == provider for call in calls)
