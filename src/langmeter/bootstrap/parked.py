"""Threads that wait for flushes: started early, because an interpreter that is shutting down starts no more threads."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait

Job = Callable[[], bool]


class ParkedThread:
    """One daemon thread that runs the jobs handed to it in order."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.start()

    def start(self) -> None:
        """Start the thread; again in a forked child, which inherits no threads and none of the jobs.

        Raises:
            RuntimeError: the interpreter is shutting down (Python 3.12 and later).
        """
        self._jobs: queue.SimpleQueue[tuple[Future[bool], Job]] = queue.SimpleQueue()
        threading.Thread(target=self._work, args=(self._jobs,), name=self._name, daemon=True).start()

    def run(self, job: Job) -> Future[bool]:
        """The future result of `job`: True if it did what it should; False also when it raised."""
        future: Future[bool] = Future()
        self._jobs.put((future, job))
        return future

    @staticmethod
    def _work(jobs: queue.SimpleQueue[tuple[Future[bool], Job]]) -> None:
        while True:
            future, job = jobs.get()
            future.set_result(succeeded(job))


def succeeded(job: Job) -> bool:
    """What `job` returns, or False when it raises: a provider of somebody else may do either."""
    try:
        return bool(job())
    except Exception:  # noqa: BLE001  (a flush has one answer: did it all go out)
        return False


def run_aside(job: Job) -> Future[bool]:
    """The future result of `job` on a daemon thread of its own.

    Raises:
        RuntimeError: the interpreter is shutting down (Python 3.12 and later).
    """
    future: Future[bool] = Future()
    threading.Thread(target=lambda: future.set_result(succeeded(job)), name="langmeter-flush", daemon=True).start()
    return future


def all_done(futures: Iterable[Future[bool]], deadline: float) -> bool:
    """True if every job succeeded before `deadline` (`time.monotonic()` seconds)."""
    futures = list(futures)
    done, late = wait(futures, timeout=max(0.0, deadline - time.monotonic()))
    return not late and all(future.result() for future in done)
