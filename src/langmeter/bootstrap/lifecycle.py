"""When the set-up happens, who waits for it, and what becomes of it at a fork and at the exit.

    unsettled ──ensure──► pending ──set-up thread──► settled     (nothing to set up: settled at once)

A fork waits for a set-up or an import under way, because a child inherits the locks of a half-done import but not the
thread that would release them.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  (before any provider of the SDK: its fork hooks must come first, see `_register_hooks`)
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from opentelemetry import _logs, metrics, trace

from langmeter.bootstrap import parked
from langmeter.bootstrap.checks import Present, check_totals, nothing_to_set_up, present
from langmeter.bootstrap.notices import UNDELIVERED, say_once
from langmeter.boundary import shield
from langmeter.settings import Settings, standard_flag

if TYPE_CHECKING:
    from langmeter.bootstrap.pipeline import Pipeline

Callback = Callable[[], None]

_FORK_PATIENCE = 10.0
"""Seconds that a fork waits for an import under way; it takes well under one."""


class _Lifecycle:
    """The one set-up of this process. Every method is safe from any thread."""

    def __init__(self) -> None:
        self.settled = False
        self.pipelines: list[Pipeline] = []
        self._hooked = False
        self._prefetched = False
        self._exit_timeout = 2.0
        self._exit_spent = 0.0
        self._closed = False
        self._renew()

    def _renew(self) -> None:
        self._lock = threading.RLock()  # a log handler may call a model, and so come back here
        self._idle = threading.Event()  # set while no set-up is under way
        self._idle.set()
        self._imported = threading.Event()  # set while no import of ours is under way
        self._imported.set()
        self._callbacks: list[Callback] = []
        self._thread: threading.Thread | None = None
        self._parked: list[parked.ParkedThread] = []

    @property
    def pending(self) -> bool:
        return not self._idle.is_set()

    # -- set-up ------------------------------------------------------------------------------------------------------

    def ensure(self, settings: Settings, *, fill: bool) -> None:
        """Decide, and set up if need be: here and now with `fill`, on a thread of its own without."""
        with self._lock:
            mine = not self.pending and self._begin(settings, fill=fill)
        if mine and not fill:
            self._thread = threading.Thread(target=self._set_up, name="langmeter-bootstrap", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # the interpreter is shutting down
                self._settle()
        elif mine:
            self._set_up(fill=True)
        elif fill and threading.current_thread() is not self._thread:
            self._idle.wait()

    def _begin(self, settings: Settings, *, fill: bool) -> bool:
        """True if there is something to set up, which is then pending. Called under the lock."""
        if self.settled and not (fill and not self.pipelines):
            return False
        self._exit_timeout = settings.exit_timeout
        if nothing_to_set_up(settings, fill=fill):
            with shield("bootstrap.checks"):
                check_totals(ours=False)
            self.settled = True
            return False
        self.register_hooks()
        self.settled = False
        self._idle.clear()
        return True

    def _set_up(self, *, fill: bool = False) -> None:
        try:
            with shield("bootstrap"):
                self._install(fill=fill)
        finally:
            self._settle()

    def _install(self, *, fill: bool) -> None:
        from langmeter.bootstrap.providers import install  # noqa: PLC0415  (loads the SDK)

        self.pipelines = install(_missing if fill else _missing_if_untouched)
        check_totals(ours=any(pipeline.signal == "metrics" for pipeline in self.pipelines))
        with shield("bootstrap.threads"):
            self._park()
        _close_with_multiprocessing(self.close)

    def _park(self) -> None:
        try:
            self._parked = [parked.ParkedThread(f"langmeter-flush-{pipeline.signal}") for pipeline in self.pipelines]
        except RuntimeError:  # the interpreter is shutting down
            self._parked = []

    def _settle(self) -> None:
        """Run what waits for the set-up, in order, and only then call it settled."""
        while True:
            with self._lock:
                callbacks, self._callbacks = self._callbacks, []
                if not callbacks:
                    self.settled = True
                    if self._parked or not self.pipelines:
                        self._idle.set()
                        return
                    break
            for callback in callbacks:
                with shield("bootstrap.callback"):
                    callback()
        # No thread could be started, so this is the exit, and this thread is the last that can send anything.
        self._close_here()
        self._idle.set()

    def when_settled(self, callback: Callback) -> None:
        with self._lock:
            if self.pending and not self.settled:
                self._callbacks.append(callback)
                return
        callback()

    def prefetch(self) -> None:
        found = present()
        if self.settled or self.pending or found.tracer or found.meter or standard_flag("OTEL_SDK_DISABLED"):
            return
        with self._lock:
            if self._prefetched:
                return
            self._prefetched = True
        self.register_hooks()
        self._imported.clear()
        threading.Thread(target=self._import, args=(self._imported,), name="langmeter-prefetch", daemon=True).start()

    @staticmethod
    def _import(imported: threading.Event) -> None:
        try:
            with shield("bootstrap.prefetch"):
                from langmeter.bootstrap import logs, providers  # noqa: F401, PLC0415  (loads the SDK)
                from langmeter.bootstrap.exporters import import_default_exporters  # noqa: PLC0415  (loads the exporters)

                import_default_exporters()
        finally:
            imported.set()

    # -- flush and exit ----------------------------------------------------------------------------------------------

    def wait(self, timeout: float) -> bool:
        """True once no set-up is under way; at once on the thread that does it."""
        return threading.current_thread() is self._thread or self._idle.wait(max(0.0, timeout))

    def flush(self, timeout: float) -> bool:
        deadline = time.monotonic() + timeout
        if not self.wait(timeout):
            return False
        ours = {id(pipeline.provider) for pipeline in self.pipelines}
        futures = [
            thread.run(_job(pipeline.flush, timeout))
            for thread, pipeline in zip(self._parked, self.pipelines, strict=False)
        ]
        for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
            force_flush = getattr(provider, "force_flush", None)
            if id(provider) not in ours and callable(force_flush):
                futures.append(parked.run_aside(_job(force_flush, int(timeout * 1000))))
        return parked.all_done(futures, deadline)

    def close(self) -> None:
        """Flush and shut down what is ours, in what is left of the exit timeout; never raises."""
        with shield("bootstrap.exit"):
            self.wait_at_exit()
            if self._closed or not self._parked:
                return
            self._closed = True
            remaining = max(0.0, self._exit_timeout - self._exit_spent)
            jobs = zip(self._parked, self.pipelines, strict=True)
            futures = [thread.run(_job(pipeline.close, remaining)) for thread, pipeline in jobs]
            parked.all_done(futures, time.monotonic() + remaining)
            if not all(future.done() for future in futures):
                say_once(
                    UNDELIVERED,
                    f"the last telemetry was not delivered within {self._exit_timeout:g} s of the exit: the Collector is "
                    "slow or does not answer. See OTEL_EXPORTER_OTLP_ENDPOINT and LANGMETER_EXIT_TIMEOUT.",
                )

    def _close_here(self) -> None:
        self._closed = True
        for pipeline in self.pipelines:
            with shield("bootstrap.exit"):
                pipeline.close(self._exit_timeout)

    def wait_at_exit(self) -> None:
        """Let a set-up under way finish, for as long as the exit may take."""
        begun = time.monotonic()
        self.wait(self._exit_timeout - self._exit_spent)
        self._exit_spent += time.monotonic() - begun

    # -- hooks -------------------------------------------------------------------------------------------------------

    def register_hooks(self) -> None:
        """Register for the exit and for forks, once.

        Early on purpose. Exit hooks run last in, first out: what the application registers later still records
        telemetry. Fork hooks too: ours wait for threads that need locks which earlier hooks (logging's, the thread
        pool's) take, so they must run before those and be registered after them.
        """
        if self._hooked:
            return
        self._hooked = True
        atexit.register(self.close)
        # The thread pool stops taking work before `atexit` runs, and the set-up needs it. Private, so optional: without
        # it the set-up of a very short script goes without the pool.
        early = getattr(threading, "_register_atexit", None)
        if early is not None:
            with suppress(RuntimeError):  # the exit has begun
                early(self.wait_at_exit)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self.before_fork,
                after_in_parent=self.after_fork_in_parent,
                after_in_child=self.after_fork_in_child,
            )

    def before_fork(self) -> None:
        with shield("bootstrap.fork"):
            deadline = time.monotonic() + _FORK_PATIENCE
            self.wait(_FORK_PATIENCE)
            self._imported.wait(max(0.0, deadline - time.monotonic()))
            for pipeline in self.pipelines:
                pipeline.before_fork()

    def after_fork_in_parent(self) -> None:
        for pipeline in self.pipelines:
            pipeline.after_fork_in_parent()

    def after_fork_in_child(self) -> None:
        """Start over: threads, locks and connections are the parent's, as are the calls whose delivery waited."""
        with shield("bootstrap.fork"):
            stuck = self.pending or not self._imported.is_set()
            self._renew()
            self._closed, self._exit_spent = False, 0.0
            if stuck:
                self.settled = True
                say_once(
                    "fork",
                    "the process forked while langmeter was setting OpenTelemetry up; this child sends no telemetry",
                )
                return
            for pipeline in self.pipelines:
                pipeline.after_fork()
            self._park()


def _missing(found: Present) -> Present:
    return Present(*(not there for there in found))


def _missing_if_untouched(found: Present) -> Present:
    if found.tracer or found.meter:
        return Present(tracer=False, meter=False, logger=False)
    return _missing(found)


def _job(function: Callable[[Any], object], timeout: Any) -> parked.Job:
    return lambda: bool(function(timeout))


def _close_with_multiprocessing(close: Callback) -> None:
    """Have a process of `multiprocessing` close too: those leave without running exit hooks."""
    from multiprocessing import process, util  # noqa: PLC0415  (off the main thread, like the SDK)

    if process.parent_process() is not None:
        util.Finalize(None, close, exitpriority=-1)
    util.register_after_fork(_lifecycle, lambda lifecycle: util.Finalize(None, lifecycle.close, exitpriority=-1))


_lifecycle = _Lifecycle()


def ensure(settings: Settings, *, wait: bool = False) -> None:
    """See to it that the process has providers, or that it is settled that it gets none from us.

    Called at the first model call, and harmless at every other. If the application, a variable or a setting has
    decided, nothing happens. Otherwise one daemon thread sets up tracer, meter and logger providers with OTLP exporters; the
    caller goes on at once. Safe from any thread; never raises.

    Args:
        settings: `bootstrap` and `exit_timeout` are used.
        wait: Set up on the calling thread instead, and only the providers that are missing (`bootstrap="now"`).
    """
    if _lifecycle.settled and not wait:
        return
    with shield("bootstrap"):
        _lifecycle.ensure(settings, fill=wait)


def pending() -> bool:
    """True while the set-up that `ensure` started is under way. The API's providers are stand-ins until then."""
    return _lifecycle.pending


def owns(provider: object) -> bool:
    """Whether langmeter has set up this provider itself."""
    return any(pipeline.provider is provider for pipeline in _lifecycle.pipelines)


def when_settled(callback: Callback) -> None:
    """Run `callback` once no set-up is pending: at once, or else on the set-up thread, in the order of the calls.

    Until the last callback has run the set-up counts as pending, so that nothing overtakes what was held back. A
    callback that raises is counted and dropped. A forked child forgets the callbacks of its parent, which runs them.
    """
    _lifecycle.when_settled(callback)


def prefetch() -> None:
    """Start importing the SDK and the exporters on a daemon thread, so that the set-up is quick. Sets nothing up."""
    with shield("bootstrap.prefetch"):
        _lifecycle.prefetch()


def flush(timeout: float = 5.0) -> bool:
    """True if everything recorded so far went out within `timeout` seconds, set-up included.

    Flushes the process's providers, ours or the application's, all signals at once. Never raises.
    """
    with shield("bootstrap.flush"):
        return _lifecycle.flush(timeout)
    return False
