"""The life of a model call: begin, first chunk, end. Then it is priced once and handed to sinks that know nothing of one another.

Left to right only: nothing is read back from a span or a metric, and a span that was opened is ended whatever happens.
"""

from __future__ import annotations

import functools
import os
import time
import weakref
from typing import TYPE_CHECKING, Final, NamedTuple

from langmeter import tracking
from langmeter.billing import Billing
from langmeter.boundary import shield, swallow
from langmeter.delivery import Delivery
from langmeter.events import Failure
from langmeter.listeners import listeners
from langmeter.runs import CallTable, OpenCall
from langmeter.steps import Steps
from langmeter.telemetry.metrics import metrics_for
from langmeter.telemetry.spans import current_run_id

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry._logs import LoggerProvider
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from langmeter.events import ModelRequest, ModelResponse, PricedCall
    from langmeter.runs import OpenRun
    from langmeter.settings import Settings


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
        self.runs = CallTable(settings.max_open_runs, settings.open_run_timeout, self._abandon)
        self._billing = Billing(settings, self.runs)
        self._metrics = metrics_for(providers.meter, settings)
        given = providers.tracer is not None or providers.meter is not None
        self._delivery = Delivery(settings, providers.tracer, providers.logger, settled=given)
        self.steps = Steps(settings, self._delivery, providers.meter)
        self._gaps = settings.time_per_output_chunk or settings.legacy_metrics
        _observers.add(self)

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
            tracked: whether `track()` and the listeners count it; False for all but one of the handlers that see a run.
            waits: True for a prompt that is announced with its batch and sent later, by `send`.
        """
        if run_id in self.runs:
            return None
        current = current_run_id()
        call = OpenCall(run_id, self.around(parent_run_id, current), request, tracking.active() if tracked else ())
        call.tracked = tracked
        if call.parent is None:
            call.ambient = self.steps.ambient(parent_run_id)
        if self._gaps:
            call.chunk_gaps = []
        outer = self.runs.get(current)
        if outer is not None:
            outer.nested = (*outer.nested, run_id)
        self.runs.add(run_id, call)
        if not waits:
            self._delivery.connect(call)
        return call

    def send(self, call: OpenCall) -> None:
        """Begin a call that waited for the prompts before it."""
        call.move(time.perf_counter())
        self._delivery.connect(call)

    def open(self, request: ModelRequest, parent_run_id: UUID | None, started: float) -> OpenCall:
        """Open a call that LangChain gives no run: a text model's cache hit, embeddings.

        Args:
            request: what was asked.
            parent_run_id: the run that it belongs to; None for the one whose work the current context belongs to.
            started: when it began, on the performance counter.
        """
        call = OpenCall(None, self.around(parent_run_id, current_run_id()), request, tracking.active())
        call.move(started)
        self._delivery.connect(call)
        return call

    def around(self, parent_run_id: UUID | None, current: UUID | None) -> OpenRun | None:
        """The nearest open run with a span around a new one.

        Args:
            parent_run_id: what LangChain says. It may be a run that nobody of ours has seen: LangSmith's, for one.
            current: the run whose work the current context belongs to, which counts then.
        """
        if parent_run_id is not None:
            found: OpenRun | None = self.runs.get(parent_run_id)
            if found is not None:
                return found
            if parent_run_id in self.steps.table:
                return self.steps.around(parent_run_id)
        return self.runs.get(current) or self.steps.around(current)

    def wants_content(self, run: OpenRun) -> bool:
        """Whether somebody records the content of a run that has begun; without that none is read."""
        return self._delivery.wants_content(run)

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
            self._delivery.spans.locate(call.span, call.request)

    def end(self, run_id: UUID, outcome: ModelResponse | Failure) -> None:
        """Close a call with its outcome. Without effect if it is closed already."""
        call = self.runs.take(run_id)
        if call is not None:
            self.finish(call, outcome)

    def finish(self, call: OpenCall, outcome: ModelResponse | Failure) -> None:
        """Price a call that has been taken from the table, hand it to the sinks and end its span."""
        delivered = True
        try:
            if call.configuration is not None:
                call.request = call.request._replace(parameters=call.configured(call.request.parameters))
            priced = self._billing.billed(call, outcome)
            for tracker in call.trackers:
                with shield("tracking"):
                    tracker.record(priced)
            if call.tracked and listeners.all:
                _tell_listeners(priced)
            agent = call.agent if call.parent is not None else None
            if agent is not None and agent.tally is not None:
                agent.tally.add_call(priced.call)
            priced = _without_key(priced)
            delivered = self._delivery.deliver(call, functools.partial(self._record, call, priced))
        finally:
            if delivered:
                call.end_span()

    def discard(self, run_id: UUID) -> None:
        """Close a call that LangChain announced and never made: its span ends, nothing is counted."""
        call = self.runs.take(run_id)
        if call is not None:
            call.end_span()

    # -- inside ----------------------------------------------------------------------------------------------------

    def _record(self, call: OpenCall, priced: PricedCall) -> None:
        # Two walls, so that neither sink costs the other; bare `try` because every call comes through here.
        try:
            self._metrics.record(priced, call.context)
        except Exception as error:  # noqa: BLE001
            swallow("metrics", error)
        try:
            if call.span is not None and call.context is not None:
                self._delivery.spans.describe(call.span, priced, call.context)
        except Exception as error:  # noqa: BLE001
            swallow("spans", error)

    def _abandon(self, call: OpenCall) -> None:
        self.finish(call, Failure("abandoned", "GeneratorExit"))

    def after_fork_in_child(self) -> None:
        """Forget the parent process's calls: they are not ours to end."""
        self.runs.clear()
        self.steps.table.clear()


def _tell_listeners(priced: PricedCall) -> None:
    for listener in listeners.all:
        with shield("listener"):
            listener.record(priced)


def _without_key(priced: PricedCall) -> PricedCall:
    """The call without what only listeners want: a call that waits for its providers would keep the prompt by it."""
    return priced if priced.call.key is None else priced._replace(call=priced.call._replace(key=None))


_observers: Final[weakref.WeakSet[Observer]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for observer in list(_observers):
        observer.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def observer_for(settings: Settings, providers: Providers) -> Observer:
    """The observer for these settings and providers: handlers made alike share one, so that no call is counted twice."""
    for observer in list(_observers):
        if observer.settings == settings and observer.providers == providers:
            return observer
    return Observer(settings, providers)


def open_calls() -> int:
    """Runs under way, of all observers together."""
    return sum(len(observer.runs) + len(observer.steps.table) for observer in list(_observers))
