"""The table of open calls: bounded in number and in age, and empty in a forked child."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from langmeter.events import ModelRequest
from langmeter.runs import AgentTally, OpenCall, RunTable

REQUEST = ModelRequest("chat", "openai", "gpt-4o")


class Clock:
    """Calls whose start is said instead of measured."""

    def __init__(self, table: RunTable) -> None:
        self.zero = OpenCall(None, None, REQUEST, ()).started
        self.table = table

    def open(self, number: int, at: float = 0.0) -> OpenCall:
        call = OpenCall(UUID(int=number), None, REQUEST, ())
        call.started = self.zero + at
        self.table.add(UUID(int=number), call)
        return call


@pytest.fixture
def abandoned():
    return []


def _table(abandoned, limit=100, timeout=3_600.0):
    table = RunTable(limit, timeout, lambda call: abandoned.append(call.run_id.int))
    return table, Clock(table)


def _open(table, up_to=50):
    return [number for number in range(up_to) if UUID(int=number) in table]


def test_a_call_is_found_until_it_is_taken(abandoned):
    table, clock = _table(abandoned)
    call = clock.open(1)

    assert (len(table), UUID(int=1) in table, UUID(int=2) in table) == (1, True, False)
    assert (table.get(UUID(int=1)), table.get(UUID(int=2)), table.get(None)) == (call, None, None)
    assert table.take(UUID(int=1)) is call
    assert table.take(UUID(int=1)) is None
    assert (len(table), table.get(UUID(int=1)), abandoned) == (0, None, [])


def test_past_its_limit_the_oldest_are_abandoned(abandoned):
    table, clock = _table(abandoned, limit=3)
    for number in range(5):
        clock.open(number, at=number / 100)

    assert (_open(table), abandoned) == ([2, 3, 4], [0, 1])


def test_the_limit_holds_however_many_calls_never_end(abandoned):
    table, clock = _table(abandoned, limit=10)
    longest = 0
    for number in range(20_000):
        clock.open(number)
        longest = max(longest, len(table))

    assert (longest, len(table), len(abandoned)) == (10, 10, 19_990)
    assert abandoned == list(range(19_990))


def test_a_full_table_does_not_look_at_every_call(abandoned):
    """Where runs leak, the table stays full: each start would pay for all of them."""

    class Watched(dict):
        looked = 0

        def items(self):
            Watched.looked += 1
            return super().items()

    table, clock = _table(abandoned, limit=10)
    table._runs = Watched()
    for number in range(100):
        clock.open(number)

    assert (len(table), len(abandoned), Watched.looked) == (10, 90, 0)


def test_a_tally_may_be_added_to_while_it_is_read():
    """The garbage collector closes dropped streams, and so ends their calls, wherever it happens to run."""

    def read(threshold):
        tally = AgentTally()

        class Dropped:
            def __del__(self):
                tally.add_tool()

        dropped = Dropped()
        dropped.itself = dropped
        del dropped
        before = gc.get_threshold()
        gc.set_threshold(threshold)
        try:
            tally.totals()
        finally:
            gc.set_threshold(*before)

    def read_at_every_moment():
        for threshold in range(1, 30):
            gc.collect()
            read(threshold)

    thread = threading.Thread(target=read_at_every_moment, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


def test_a_call_past_its_time_is_abandoned_at_the_next_sweep(abandoned):
    table, clock = _table(abandoned, timeout=100.0)
    clock.open(1)
    clock.open(2, at=90.0)
    clock.open(3, at=99.0)
    assert abandoned == []

    clock.open(4, at=102.0)
    assert (_open(table), abandoned) == ([2, 3, 4], [1])


def test_sweeps_keep_a_distance(abandoned):
    """A sweep looks at every call: one in a quarter of the time-out, not one with every call."""
    table, clock = _table(abandoned, timeout=100.0)
    clock.open(1)
    clock.open(2, at=5.0)
    clock.open(3, at=101.0)
    clock.open(4, at=110.0)
    assert (_open(table), abandoned) == ([2, 3, 4], [1])

    clock.open(5, at=127.0)
    assert (_open(table), abandoned) == ([3, 4, 5], [1, 2])


def test_stale_calls_make_room_before_others_are_abandoned(abandoned):
    table, clock = _table(abandoned, limit=3, timeout=100.0)
    clock.open(1, at=50.0)
    clock.open(2)
    clock.open(3, at=60.0)
    clock.open(4, at=120.0)

    assert (_open(table), abandoned) == ([1, 3, 4], [2])


def test_a_call_that_ends_during_a_sweep_is_not_abandoned_too(abandoned):
    table = RunTable(2, 3_600.0, lambda call: (abandoned.append(call.run_id.int), table.take(UUID(int=1))))
    clock = Clock(table)
    for number in range(2):
        clock.open(number)
    # One sweep finds both: closing the first ends the second as well.
    table._limit = 0
    clock.open(2)

    assert (_open(table), abandoned) == ([], [0, 2])


def test_each_call_is_taken_or_abandoned_once_under_threads(abandoned):
    table, _ = _table(abandoned, limit=50)
    taken = []

    def work(thread):
        for number in range(2_000):
            run_id = UUID(int=thread * 1_000_000 + number)
            table.add(run_id, OpenCall(run_id, None, REQUEST, ()))
            if number % 2:
                call = table.take(run_id)
                if call is not None:
                    taken.append(call.run_id.int)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))

    left = [run_id.int for run_id in list(table._runs)]
    assert len(left) <= 50
    everything = sorted([*taken, *abandoned, *left])
    assert everything == sorted(thread * 1_000_000 + number for thread in range(8) for number in range(2_000))


def test_clearing_forgets_and_does_not_wait_for_a_lock(abandoned):
    """As after a fork: another thread of the parent may have held the lock at that moment."""
    table, clock = _table(abandoned, limit=1)
    clock.open(1)
    table._lock.acquire()
    table.clear()
    assert (len(table), abandoned) == (0, [])

    def two():
        clock.open(2)
        clock.open(3)

    thread = threading.Thread(target=two, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    assert (_open(table), abandoned) == ([3], [2])


def test_a_call_starts_on_both_clocks():
    call = OpenCall(None, None, REQUEST, ())

    assert (call.stopped, call.first_chunk, call.cache, call.span, call.sent) == (None, None, None, None, True)
    assert not hasattr(call, "__dict__")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_does_not_own_its_parents_calls():
    program = textwrap.dedent(
        """
        import os, sys, threading
        sys.path.insert(0, sys.argv[1])
        from cache_models import Chat, Gate, GatedChat
        import langmeter
        from langmeter.langchain.instrumentor import open_runs

        langmeter.instrument(bootstrap="never")
        gate = Gate()
        thread = threading.Thread(target=GatedChat(gate=gate).invoke, args=("a",))
        thread.start()
        gate.reached.wait(30)
        assert open_runs() == 1
        child = os.fork()
        if not child:
            before = open_runs()
            Chat().invoke("b")
            os._exit(10 + before + open_runs())
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        in_parent = open_runs()
        gate.opened.set()
        thread.join(30)
        print(status, in_parent, open_runs())
        """
    )
    models = Path(__file__).parents[1] / "integration"
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(models)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == ("10 1 0", 0), done.stderr
