"""The worker thread: order, bounds, failures, repetitions, forks, exit."""

import os
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from langmeter import boundary, worker

PATIENCE = 20.0


@pytest.fixture
def repetitions():
    keys = []
    yield keys.append
    for key in keys:
        worker.cancel(key)


def run_python(code, timeout=60):
    return subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def occupied():
    """Keeps the worker busy until the returned event is set."""
    release, busy = threading.Event(), threading.Event()

    def wait():
        busy.set()
        assert release.wait(PATIENCE)

    assert worker.submit(wait)
    assert busy.wait(PATIENCE)
    return release


def test_jobs_run_in_order_on_one_thread_that_is_not_the_callers():
    seen = []
    for number in range(50):
        assert worker.submit(lambda number=number: seen.append((number, threading.current_thread().name)))
    assert worker.drain(PATIENCE)
    assert seen == [(number, "langmeter-worker") for number in range(50)]


def test_a_full_queue_says_no_at_once_and_goes_on_afterwards():
    release = occupied()
    ran = []
    accepted = [worker.submit(lambda: ran.append(1)) for _ in range(1_005)]
    assert accepted == [True] * 1_000 + [False] * 5
    release.set()
    deadline = time.monotonic() + PATIENCE
    while not worker.drain(PATIENCE) and time.monotonic() < deadline:
        pass
    assert len(ran) == 1_000


def test_a_job_that_raises_is_counted_and_the_next_one_runs():
    boundary.set_strict(False)
    before = boundary.error_counts().get("worker", 0)
    ran = []
    worker.submit(lambda: 1 / 0)
    worker.submit(lambda: ran.append("next"))
    assert worker.drain(PATIENCE)
    assert ran == ["next"]
    assert boundary.error_counts()["worker"] == before + 1


def test_instrumentation_is_suppressed_in_jobs_only():
    seen = []
    worker.submit(lambda: seen.append(is_instrumentation_enabled()))
    assert worker.drain(PATIENCE)
    assert seen == [False]
    assert is_instrumentation_enabled()


def test_a_repetition_runs_until_it_is_cancelled_and_a_key_has_one_job(repetitions):
    repetitions("test")
    first, second = threading.Event(), threading.Semaphore(0)
    worker.repeat("test", 3_600.0, first.set)
    worker.repeat("test", 0.001, second.release)
    for _ in range(5):
        assert second.acquire(timeout=PATIENCE)
    worker.cancel("test")
    assert worker.drain(PATIENCE)  # a run under way has finished
    while second.acquire(blocking=False):
        pass
    assert worker.drain(PATIENCE)
    assert not second.acquire(timeout=0.05)
    assert not first.is_set()
    worker.cancel("never there")


def test_a_repetition_that_raises_goes_on(repetitions):
    boundary.set_strict(False)
    repetitions("broken")
    runs = threading.Semaphore(0)

    def broken():
        runs.release()
        raise ValueError

    worker.repeat("broken", 0.001, broken)
    for _ in range(3):
        assert runs.acquire(timeout=PATIENCE)


def test_jobs_from_many_threads_all_run_and_only_one_thread_works():
    seen, lock = [], threading.Lock()

    def job():
        with lock:
            seen.append(threading.get_ident())

    def submit_many():
        for _ in range(50):
            while not worker.submit(job):
                time.sleep(0.001)

    threads = [threading.Thread(target=submit_many) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.drain(PATIENCE)
    assert len(seen) == 400
    assert len(set(seen)) == 1


def test_no_thread_before_the_first_job_and_the_exit_waits_for_none():
    done = run_python(
        """
        import threading, time
        from langmeter import worker
        assert threading.active_count() == 1
        busy = threading.Event()
        worker.repeat("later", 3600, print)
        worker.submit(lambda: (busy.set(), time.sleep(3600)))
        assert busy.wait(20)
        print([thread.name for thread in threading.enumerate()][1:])
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "['langmeter-worker']", "")


def test_submitting_while_the_interpreter_goes_down_does_no_harm():
    done = run_python(
        """
        import atexit
        from langmeter import worker
        atexit.register(lambda: print(type(worker.submit(lambda: None))))
        class Late:
            def __del__(self):
                worker.submit(lambda: None)
        late = Late()
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "<class 'bool'>", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_runs_its_own_jobs_and_repetitions_and_none_of_its_parents():
    done = run_python(
        """
        import os, threading
        from langmeter import worker

        release, busy, ran, again = threading.Event(), threading.Event(), [], threading.Semaphore(0)
        worker.submit(lambda: (busy.set(), release.wait(60)))
        assert busy.wait(20)
        worker.submit(lambda: ran.append("parent's"))
        worker.repeat("again", 0.001, again.release)
        child = os.fork()
        if child == 0:
            worker.submit(lambda: ran.append("child's"))
            fine = worker.drain(20) and ran == ["child's"] and again.acquire(timeout=20)
            os._exit(0 if fine else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        release.set()
        assert worker.drain(20) and again.acquire(timeout=20)
        print(status, ran)
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, '0 ["parent\'s"]', "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_repetition_alone_goes_on_in_a_forked_child():
    done = run_python(
        """
        import os, threading
        from langmeter import worker

        again = threading.Semaphore(0)
        worker.repeat("again", 0.001, again.release)
        assert again.acquire(timeout=20)
        child = os.fork()
        if child == 0:
            while again.acquire(blocking=False):
                pass
            os._exit(0 if again.acquire(timeout=20) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_waits_for_an_import_under_way():
    done = run_python(
        """
        import os, threading, time
        from langmeter import worker

        inside, finished = threading.Event(), []

        def load():
            with worker.importing():
                inside.set()
                time.sleep(0.3)
                finished.append(True)

        worker.submit(load)
        assert inside.wait(20)
        child = os.fork()
        if child == 0:
            os._exit(0 if finished else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "0", "")
