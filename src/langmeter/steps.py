"""The life of everything that is not a model call: a tool, a retrieval, an agent, a workflow, or a run without a span."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from opentelemetry import context as otel_context
from opentelemetry import trace

from langmeter.boundary import swallow
from langmeter.events import Failure, Step
from langmeter.runs import OpenStep, PassedRun, RunTable
from langmeter.telemetry.step_metrics import step_metrics_for

if TYPE_CHECKING:
    from uuid import UUID

    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider

    from langmeter.delivery import Delivery
    from langmeter.events import StepRequest
    from langmeter.runs import OpenRun
    from langmeter.settings import Settings


class Steps:
    """The open steps of an observer. Safe from any thread."""

    def __init__(self, settings: Settings, delivery: Delivery, meter_provider: MeterProvider | None) -> None:
        self.table: RunTable[OpenStep | PassedRun] = RunTable(
            settings.max_open_runs, settings.open_run_timeout, self._abandon
        )
        self._delivery = delivery
        self._metrics = step_metrics_for(meter_provider, settings)

    def begin(
        self, run_id: UUID, around: OpenRun | None, request: StepRequest, ambient: Context | None = None
    ) -> OpenStep | None:
        """Open a step; None if the run is open already.

        Args:
            run_id: LangChain's id of the run.
            around: the nearest run around it that has a span.
            request: what began.
            ambient: the context to begin in, without a run around it; the current one if None.
        """
        if run_id in self.table:
            return None
        step = OpenStep(run_id, around, request)
        step.ambient = ambient
        if request.kind == "execute_tool" and around is not None and around.agent is not None:
            step.request = request._replace(agent=around.agent.request.name)
        self.table.add(run_id, step)
        self._delivery.connect(step)
        return step

    def open(self, around: OpenRun | None, request: StepRequest) -> OpenStep:
        """Open a step that LangChain gives no run; close it with `finish`."""
        step = OpenStep(None, around, request)
        self._delivery.connect(step)
        return step

    def pass_by(self, run_id: UUID, around: OpenRun | None, parent_run_id: UUID | None = None) -> None:
        """Remember a run that gets no span, so that those inside it find the run, or the context, around it."""
        passed = PassedRun(run_id, around)
        if around is None:
            passed.ambient = self.ambient(parent_run_id) or otel_context.get_current()
        self.table.add(run_id, passed)

    def ambient(self, parent_run_id: UUID | None) -> Context | None:
        """The context that a run without any span around it begins in, if it is not the current one.

        So in a thread that LangChain's configuration has reached and the context has not: it has no span, while the
        run that has no span of ours may have begun inside one of the application's.
        """
        parent = self.table.get(parent_run_id)
        if not isinstance(parent, PassedRun) or trace.get_current_span().get_span_context().is_valid:
            return None
        return parent.ambient

    def around(self, run_id: UUID | None) -> OpenRun | None:
        """The step of a run, or the run with a span around it where it has none itself."""
        run = self.table.get(run_id)
        return run.around if isinstance(run, PassedRun) else run

    def end(self, run_id: UUID, failure: Failure | None = None) -> None:
        """Close a step. Without effect if it is closed already."""
        step = self.table.take(run_id)
        if isinstance(step, OpenStep):
            self.finish(step, failure)

    def finish(self, step: OpenStep, failure: Failure | None) -> None:
        """Hand a step that has been taken from the table to the sinks and end its span."""
        delivered = True
        try:
            if step.configuration is not None:
                step.request = step.request._replace(parameters=step.configured(step.request.parameters))
            finished = _finished(step, failure)
            agent = step.agent if step.request.kind == "execute_tool" else None
            if agent is not None and agent.tally is not None:
                agent.tally.add_tool()
            delivered = self._delivery.deliver(step, functools.partial(self._record, step, finished))
        finally:
            if delivered:
                step.end_span()

    def _record(self, step: OpenStep, finished: Step) -> None:
        try:
            self._metrics.record(finished, step.context)
        except Exception as error:  # noqa: BLE001  (a wall of its own: neither sink costs the other)
            swallow("metrics", error)
        try:
            if step.span is not None and step.context is not None:
                self._delivery.step_spans.describe(step.span, finished, step.context)
        except Exception as error:  # noqa: BLE001
            swallow("spans", error)

    def _abandon(self, run: OpenStep | PassedRun) -> None:
        if isinstance(run, OpenStep):
            self.finish(run, Failure("abandoned", "GeneratorExit"))


def _finished(step: OpenStep, failure: Failure | None) -> Step:
    if step.stopped is None:
        step.stopped = time.perf_counter()
    return Step(
        step.request,
        step.start_time,
        step.stopped - step.started,
        failure,
        None if step.tally is None else step.tally.totals(),
        step.captured,
    )
