"""The life of a model call: begin, first chunk, end. Then it is priced once and handed to sinks that know nothing of one another.

Left to right only: nothing is read back from a span or a metric, and a span that was opened is ended whatever happens.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from opentelemetry import _logs, trace

from langmeter import bootstrap, semconv, tracking
from langmeter.billing import Billing
from langmeter.boundary import shield, swallow
from langmeter.events import Failure
from langmeter.listeners import listeners
from langmeter.runs import OpenCall, RunTable
from langmeter.telemetry.metrics import metrics_for
from langmeter.telemetry.spans import Spans, current_run_id, parent_context, run_context
from langmeter.version import __version__

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from langmeter.events import ModelRequest, ModelResponse, PricedCall
    from langmeter.settings import Settings

_NANOSECONDS: Final = 1_000_000_000
_HELD_CALLS: Final = 10_000


class Providers(NamedTuple):
    """The OpenTelemetry providers to use; None stands for the global one."""

    tracer: TracerProvider | None = None
    meter: MeterProvider | None = None
    logger: LoggerProvider | None = None


class Observer:
    """Everything between the edge and the sinks, for one set of settings and providers. Safe from any thread."""

    def __init__(self, settings: Settings, providers: Providers) -> None:
        self.settings = settings
        self.providers = providers
        self.runs = RunTable(settings.max_open_runs, settings.open_run_timeout, self._abandon)
        self._billing = Billing(settings, self.runs)
        self._metrics = metrics_for(providers.meter, settings)
        self._spans = Spans(
            trace.get_tracer(semconv.SCOPE_NAME, __version__, providers.tracer),
            _logs.get_logger(semconv.SCOPE_NAME, __version__, providers.logger),
        )
        self._gaps = settings.time_per_output_chunk or settings.legacy_metrics
        # Only the global providers may still be missing; calls that end before they are there wait for them.
        self._settled = providers.tracer is not None or providers.meter is not None
        self._held: deque[tuple[OpenCall, PricedCall]] = deque()
        self._lock = threading.Lock()
        _forget_after_fork(self)

    # -- the life of a call ----------------------------------------------------------------------------------------

    def begin(
        self,
        run_id: UUID,
        parent_run_id: UUID | None,
        request: ModelRequest,
        *,
        tracked: bool = True,
        waits: bool = False,
    ) -> OpenCall | None:
        """Open a call; None if the run is open already (the same handler was installed and passed).

        Args:
            run_id: LangChain's id of the run.
            parent_run_id: the run that it belongs to, if any.
            request: what was asked.
            tracked: whether the blocks of `track()` count it; False for all but one of the handlers that see a run.
            waits: True for a prompt that is announced with its batch and sent later, by `send`.
        """
        if run_id in self.runs:
            return None
        call = OpenCall(run_id, request, tracking.active() if tracked else ())
        call.parent_run_id = parent_run_id
        if self._gaps:
            call.chunk_gaps = []
        around = self.runs.get(current_run_id())
        if around is not None:
            around.nested = (*around.nested, run_id)
        self.runs.add(run_id, call)
        if not waits:
            self._connect(call)
        return call

    def send(self, call: OpenCall) -> None:
        """Begin a call that waited for the prompts before it."""
        now = time.perf_counter()
        call.start_time += int((now - call.started) * _NANOSECONDS)
        call.started = now
        self._connect(call)

    def replay(self, request: ModelRequest, parent_run_id: UUID | None, started: float) -> OpenCall:
        """Open a call that began at `started` of the performance counter and got no run: a text model's cache hit."""
        call = OpenCall(None, request, tracking.active())
        call.start_time -= int((call.started - started) * _NANOSECONDS)
        call.started = started
        call.parent_run_id = parent_run_id
        self._connect(call)
        return call

    def chunk(self, call: OpenCall) -> None:
        """Note that a chunk of a streamed answer has arrived."""
        now = time.perf_counter()
        if call.first_chunk is None:
            call.first_chunk = now
        elif call.chunk_gaps is not None:
            call.chunk_gaps.append(now - call.last_chunk)
        call.last_chunk = now

    def locate(self, call: OpenCall, address: str, port: int | None) -> None:
        """Add where an open call goes, where that was not known at its start."""
        call.request = call.request._replace(server_address=address, server_port=port)
        if call.span is not None:
            self._spans.locate(call.span, call.request)

    def end(self, run_id: UUID, outcome: ModelResponse | Failure) -> None:
        """Close a call with its outcome. Without effect if it is closed already."""
        call = self.runs.take(run_id)
        if call is not None:
            self.finish(call, outcome)

    def finish(self, call: OpenCall, outcome: ModelResponse | Failure) -> None:
        """Price a call that has been taken from the table, hand it to the sinks and end its span."""
        held = False
        try:
            priced = self._billing.billed(call, outcome)
            for tracker in call.trackers:
                with shield("tracking"):
                    tracker.record(priced)
            for listener in listeners.all:
                with shield("listener"):
                    listener.record(priced)
            if self._settled:
                if call.span is None:  # begun while the providers were missing, or never sent
                    with shield("spans"):
                        self._open_span(call, None, call.start_time)
                self._deliver(call, priced)
            else:
                held = True  # its span is made, and ended, when the providers are there
                self._hold(call, priced)
        finally:
            if not held:
                _end_span(call)

    def discard(self, run_id: UUID) -> None:
        """Close a call that LangChain announced and never made: its span ends, nothing is counted."""
        call = self.runs.take(run_id)
        if call is not None:
            _end_span(call)

    # -- inside ----------------------------------------------------------------------------------------------------

    def _connect(self, call: OpenCall) -> None:
        """Open the span of a new call, unless the providers are still being set up: then it is made with hindsight."""
        if not self._settled:
            self._settle()
        if self._settled:
            parent = self.runs.get(call.parent_run_id)
            inherited = parent_context(call.parent_run_id, parent.context if parent is not None else None)
            self._open_span(call, inherited, call.start_time)

    def _open_span(self, call: OpenCall, parent: Context | None, start_time: int) -> None:
        call.span = self._spans.start(call.request, parent, start_time)
        call.context = run_context(call.span, call.run_id)

    def _deliver(self, call: OpenCall, priced: PricedCall) -> None:
        # Two walls, so that neither sink costs the other; bare `try` because every call comes through here.
        try:
            self._metrics.record(priced, call.context)
        except Exception as error:  # noqa: BLE001
            swallow("metrics", error)
        try:
            if call.span is not None and call.context is not None:
                self._spans.describe(call.span, priced, call.context)
        except Exception as error:  # noqa: BLE001
            swallow("spans", error)

    def _abandon(self, call: OpenCall) -> None:
        self.finish(call, Failure("abandoned", "GeneratorExit"))

    # -- while our own providers are being set up ------------------------------------------------------------------

    def _settle(self) -> None:
        bootstrap.ensure(self.settings)
        self._settled = not bootstrap.pending()

    def _hold(self, call: OpenCall, priced: PricedCall) -> None:
        priced = priced._replace(call=priced.call._replace(key=None))  # which would keep the prompt
        with self._lock:
            full = self._held.popleft() if len(self._held) == _HELD_CALLS else None
            self._held.append((call, priced))
            first = len(self._held) == 1
        if full is not None:
            self._deliver(*full)  # no span any more, but its totals count
        if first:
            bootstrap.when_settled(self._release)

    def _release(self) -> None:
        self._settled = True
        while self._held:
            call, priced = self._held.popleft()
            with shield("release"):
                if call.span is None:
                    self._open_span(call, None, call.start_time)
                try:
                    self._deliver(call, priced)
                finally:
                    _end_span(call)

    def _after_fork(self) -> None:
        self._lock = threading.Lock()
        self._held.clear()
        self.runs.clear()


def _end_span(call: OpenCall) -> None:
    if call.span is not None:
        elapsed = (call.stopped or time.perf_counter()) - call.started
        call.span.end(call.start_time + int(elapsed * _NANOSECONDS))


_observers: weakref.WeakSet[Observer] = weakref.WeakSet()


def _forget_after_fork(observer: Observer) -> None:
    _observers.add(observer)


def _after_fork_in_child() -> None:
    for observer in list(_observers):
        observer._after_fork()  # noqa: SLF001  (the same module)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def observer_for(settings: Settings, providers: Providers) -> Observer:
    """The observer for these settings and providers: handlers made alike share one, so that no call is counted twice."""
    for observer in list(_observers):
        if observer.settings == settings and observer.providers == providers:
            return observer
    return Observer(settings, providers)


def open_calls() -> int:
    """Calls under way, of all observers together."""
    return sum(len(observer.runs) for observer in list(_observers))
