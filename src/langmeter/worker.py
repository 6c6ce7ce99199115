"""One daemon thread for everything that must not happen on the application's thread: files, networks, slow arithmetic.

The thread is started by the first job, runs one job at a time, and ends with the process without delaying the exit: what
must not be lost is flushed by its owner. Instrumentation is suppressed in it, so that a request that a job makes is never
counted as one of the application's.
"""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator

from opentelemetry.instrumentation.utils import suppress_instrumentation

from langmeter.boundary import swallow

Job = Callable[[], None]

_MAX_JOBS = 1_000
_IMPORT_PATIENCE = 10.0
"""Seconds that a fork waits for an import under way; it takes well under one."""


class _Repetition:
    """A job that runs again and again, at least `seconds` after it last ended."""

    __slots__ = ("due", "job", "seconds")

    def __init__(self, seconds: float, job: Job) -> None:
        self.seconds = seconds
        self.job = job
        self.postpone()

    def postpone(self) -> None:
        self.due = time.monotonic() + self.seconds


def _nothing() -> None:
    """Wakes the thread up, so that it looks at the repetitions."""


class _Worker:
    """The thread, its queue and its repetitions.

    No lock is ever waited for: the queue is one that a finalizer may use in the middle of another use, dictionaries change
    by single operations, and of several threads that find no thread one starts it while the others go on.
    """

    def __init__(self) -> None:
        self._repetitions: dict[str, _Repetition] = {}
        self._renew()

    def _renew(self) -> None:
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._imported = threading.Event()  # set while no job imports anything
        self._imported.set()

    def submit(self, job: Job) -> bool:
        if self._jobs.qsize() >= _MAX_JOBS or not self._runs():
            return False
        self._jobs.put(job)
        return True

    def repeat(self, key: str, seconds: float, job: Job) -> bool:
        self._repetitions[key] = _Repetition(seconds, job)
        started = self._runs()
        self._jobs.put(_nothing)
        return started

    def cancel(self, key: str) -> None:
        self._repetitions.pop(key, None)

    def drain(self, timeout: float) -> bool:
        done = threading.Event()
        return self.submit(done.set) and done.wait(timeout)

    @contextlib.contextmanager
    def importing(self) -> Iterator[None]:
        imported = self._imported
        imported.clear()
        try:
            yield
        finally:
            imported.set()

    def _runs(self) -> bool:
        """Whether there is a thread, after an attempt to start it."""
        if self._thread is not None and self._thread.is_alive():
            return True
        if sys.is_finalizing():  # a thread started by a late finalizer would never begin, and its starter wait for ever
            return False
        if not self._starting.acquire(blocking=False):
            return True  # being started by another thread, or further up on this one
        try:
            if self._thread is None or not self._thread.is_alive():
                thread = threading.Thread(target=self._work, args=(self._jobs,), name="langmeter-worker", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:  # the interpreter is shutting down, or the machine has no thread to spare
            return False
        finally:
            self._starting.release()
        return True

    def _work(self, jobs: queue.SimpleQueue[Job]) -> None:
        with suppress_instrumentation():
            while True:
                with contextlib.suppress(queue.Empty):
                    _run(jobs.get(timeout=self._idle_seconds()))
                self._run_what_is_due()

    def _idle_seconds(self) -> float | None:
        due = [repetition.due for repetition in list(self._repetitions.values())]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def _run_what_is_due(self) -> None:
        for key, repetition in list(self._repetitions.items()):
            if repetition.due <= time.monotonic() and self._repetitions.get(key) is repetition:
                repetition.postpone()  # before as well: a job that ends the thread (in our tests) is not run at once again
                _run(repetition.job)
                repetition.postpone()

    def before_fork(self) -> None:
        """A child inherits the locks of a half-done import, but not the thread that would release them."""
        self._imported.wait(_IMPORT_PATIENCE)

    def after_fork_in_child(self) -> None:
        """Start over: queue and locks may be half used, and the parent runs the jobs that were waiting."""
        self._renew()
        for repetition in self._repetitions.values():
            repetition.postpone()
        if self._repetitions:
            self._runs()


def _run(job: Job) -> None:
    try:
        job()
    except Exception as error:  # noqa: BLE001  (the wall: one broken job must not end the others)
        swallow("worker", error)


_worker = _Worker()
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_worker.before_fork, after_in_child=_worker.after_fork_in_child)


def submit(job: Job) -> bool:
    """True if `job` will run on the worker thread; False if 1,000 are waiting already or the interpreter is going down.

    Never blocks and never raises; safe from any thread, from finalizers too. What the job raises is counted at the
    boundary (stage `worker`) and dropped. Jobs run in order, one at a time. A forked child forgets the jobs that were
    waiting: its parent runs them.
    """
    return _worker.submit(job)


def repeat(key: str, seconds: float, job: Job) -> bool:
    """Run `job` on the worker thread every `seconds`, for the first time after `seconds`; True if there is a thread for it.

    There is one job per `key`: another one replaces it. Runs that were missed because other jobs took long are not made
    up for. In a forked child the repetitions go on, on a thread of the child. Never blocks and never raises.
    """
    return _worker.repeat(key, seconds, job)


def cancel(key: str) -> None:
    """Stop a repetition; a run under way finishes. Does nothing for an unknown `key`."""
    _worker.cancel(key)


def drain(timeout: float) -> bool:
    """True once every job submitted before has run, if that takes no longer than `timeout` seconds. For flushes and tests.

    Waits; never call it from a job.
    """
    return _worker.drain(timeout)


def importing() -> contextlib.AbstractContextManager[None]:
    """`with worker.importing():` around an import in a job, so that a fork waits for it (10 seconds at most).

    A child would otherwise inherit the lock of the half-imported module and wait for ever when it imports it too.
    """
    return _worker.importing()
