"""How runs reach the providers: spans are opened and finished runs handed to their sinks, at once or with hindsight.

Our own providers are set up off the caller's thread (`bootstrap`). Runs that begin meanwhile get their spans, with their
true times and parents, as soon as the providers are there; runs that end meanwhile wait.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias

from opentelemetry import _logs, trace
from opentelemetry import context as otel_context

from langmeter import bootstrap, semconv
from langmeter.boundary import shield
from langmeter.runs import OpenCall, OpenRun, OpenStep
from langmeter.telemetry.content_sink import ContentSink
from langmeter.telemetry.duplicates import NO_CLAIMS, Entries, claims
from langmeter.telemetry.spans import Spans, parent_context, run_context
from langmeter.telemetry.step_spans import StepSpans
from langmeter.version import __version__

if TYPE_CHECKING:
    from opentelemetry._logs import LoggerProvider
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, TracerProvider

    from langmeter.settings import Settings

Record: TypeAlias = Callable[[], None]
_HELD_RUNS: Final = 10_000


class Delivery:
    """Opens spans and delivers finished runs, for one set of providers. Safe from any thread."""

    def __init__(
        self,
        settings: Settings,
        tracer_provider: TracerProvider | None,
        logger_provider: LoggerProvider | None,
        *,
        settled: bool,
    ) -> None:
        """Set up the sinks for spans.

        Args:
            settings: the options.
            tracer_provider: where spans go; the global provider if None.
            logger_provider: where events go; the global provider if None.
            settled: whether the providers are known to be there. Only the global ones may still be missing.
        """
        self._settings = settings
        tracer = trace.get_tracer(semconv.SCOPE_NAME, __version__, tracer_provider)
        logger = _logs.get_logger(semconv.SCOPE_NAME, __version__, logger_provider)
        self._contents = ContentSink(settings, logger)
        self.spans = Spans(tracer, logger, self._contents)
        self.step_spans = StepSpans(tracer, logger, self._contents)
        self.settled = settled
        self._held: deque[tuple[OpenRun, Record]] = deque()
        self._lock = threading.RLock()
        _deliveries.add(self)

    def connect(self, run: OpenRun) -> None:
        """Open the span of a run that begins, or remember where it begins."""
        if not self.settled:
            self._settle()
        if self.settled:
            parent = run.parent
            if parent is not None and parent.span is None:
                self._open_late(parent)
            self._open(run, run.ambient if parent is None else parent_context(parent.run_id, parent.context))
        elif run.ambient is None:
            run.ambient = otel_context.get_current()

    def wants_content(self, run: OpenRun) -> bool:
        """Whether somebody records the content of a run that has begun."""
        return self._contents.wants(run.span, run.context, is_call=isinstance(run, OpenCall))

    def deliver(self, run: OpenRun, record: Record) -> bool:
        """Hand a finished run to its sinks by calling `record`. False if it has to wait, and its span with it."""
        if not self.settled:
            self._hold(run, record)
            return False
        if run.span is None:  # begun while the providers were missing, or never sent
            with shield("spans"):
                self._open_late(run)
        record()
        return True

    def _settle(self) -> None:
        bootstrap.ensure(self._settings)
        self.settled = not bootstrap.pending()

    def _open(self, run: OpenRun, parent: Context | None) -> None:
        run.span = self._start(run, parent)
        base = parent if run.ambient is not None else None
        run.context = run_context(run.span, run.run_id, base, self._claims(run))
        run.ambient = None

    def _claims(self, run: OpenRun) -> Entries:
        """What asks other instrumentation not to report the run again."""
        if not self._settings.suppress_nested:
            return NO_CLAIMS
        if isinstance(run, OpenCall):
            return claims(run.request.operation)
        return claims(run.request.kind) if isinstance(run, OpenStep) else NO_CLAIMS

    def _open_late(self, run: OpenRun) -> None:
        """Open the span of a run that is under way or over, and before it those of the runs around it."""
        with self._lock:
            if run.span is not None:
                return
            parent = run.parent
            if parent is not None:
                self._open_late(parent)
            around = parent.context if parent is not None else None
            self._open(run, around if around is not None else run.ambient)

    def _start(self, run: OpenRun, parent: Context | None) -> Span:
        if isinstance(run, OpenCall):
            return self.spans.start(run.request, parent, run.start_time)
        if isinstance(run, OpenStep):
            return self.step_spans.start(run.request, parent, run.start_time)
        raise TypeError(f"no span for {type(run).__name__}")

    def _hold(self, run: OpenRun, record: Record) -> None:
        with self._lock:
            full = self._held.popleft() if len(self._held) == _HELD_RUNS else None
            self._held.append((run, record))
            first = len(self._held) == 1
        if full is not None:
            full[1]()  # no span any more, but its totals count
        if first:
            bootstrap.when_settled(self._release)

    def _release(self) -> None:
        self.settled = True
        while self._held:
            run, record = self._held.popleft()
            with shield("release"):
                if run.span is None:
                    self._open_late(run)
                try:
                    record()
                finally:
                    run.end_span()

    def after_fork_in_child(self) -> None:
        """Forget what the parent process holds; make the lock anew, another thread may have had it."""
        self._lock = threading.RLock()
        self._held.clear()


_deliveries: Final[weakref.WeakSet[Delivery]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for delivery in list(_deliveries):
        delivery.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
