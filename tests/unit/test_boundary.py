"""The wall: what of ours goes wrong is counted, reported a few times, and never leaves."""

from __future__ import annotations

import inspect
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from langmeter import boundary
from langmeter.boundary import error_counts, guarded, reset_counts, set_strict, shield, swallow


@pytest.fixture(autouse=True)
def _fresh(_strict_boundary, monkeypatch):
    reset_counts()
    monkeypatch.setattr(boundary, "_last_logged", {})
    set_strict(False)
    yield
    reset_counts()


@guarded("division")
def _divide(numerator, /, denominator, *, places=2):
    """Divide."""
    return round(numerator / denominator, places)


def _warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_a_guarded_function_returns_none_instead_of_raising():
    assert _divide(1, 3) == 0.33
    assert _divide(1, denominator=0, places=1) is None
    assert error_counts() == {"division": 1}


def test_a_guarded_function_still_looks_like_itself():
    assert (_divide.__name__, _divide.__doc__) == ("_divide", "Divide.")
    assert list(inspect.signature(_divide).parameters) == ["numerator", "denominator", "places"]


def test_a_shield_ends_its_block_and_nothing_else():
    reached = []
    with shield("reading"):
        reached.append("before")
        raise KeyError("x")
    reached.append("after")  # type: ignore[unreachable]

    assert reached == ["before", "after"]
    assert error_counts() == {"reading": 1}
    with shield("reading"):
        reached.append("fine")
    assert error_counts() == {"reading": 1}


def test_shields_can_be_shared_and_nested():
    assert shield("a") is shield("a")
    with shield("a"), shield("b"):
        raise ValueError
    with shield("a"):  # type: ignore[unreachable]
        with shield("a"):
            raise ValueError
        raise ValueError
    assert error_counts() == {"b": 1, "a": 2}


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_what_is_no_exception_passes(error):
    @guarded("stage")
    def interrupted():
        raise error

    with pytest.raises(error):
        interrupted()
    with pytest.raises(error), shield("stage"):
        raise error
    assert error_counts() == {}


def test_strict_lets_everything_through():
    set_strict(True)
    with pytest.raises(ZeroDivisionError):
        _divide(1, 0)
    with pytest.raises(KeyError), shield("reading"):
        raise KeyError
    with pytest.raises(ValueError, match="x"):
        swallow("stage", ValueError("x"))
    assert error_counts() == {}


def test_counts_are_by_stage_and_a_snapshot():
    before = error_counts()
    for stage in ("a", "b", "a"):
        swallow(stage, ValueError())
    after = error_counts()
    after["a"] = 100

    assert (before, error_counts()) == ({}, {"a": 2, "b": 1})
    reset_counts()
    assert error_counts() == {}


def test_counts_are_exact_under_threads():
    def fail(_):
        for _ in range(500):
            _divide(1, 0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(8)))
    assert error_counts() == {"division": 4_000}


def test_a_stage_is_reported_three_times_and_then_once_a_minute(caplog, monkeypatch):
    now = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    for _ in range(10):
        swallow("a", ValueError())
    swallow("b", ValueError())
    assert len(_warnings(caplog)) == 4

    now[0] += 59
    swallow("a", ValueError())
    assert len(_warnings(caplog)) == 4
    now[0] += 2
    swallow("a", ValueError())
    swallow("a", ValueError())
    assert len(_warnings(caplog)) == 5
    assert "12 so far" in _warnings(caplog)[-1]
    assert error_counts() == {"a": 13, "b": 1}


def test_a_report_names_the_stage_and_the_type_and_never_the_message(caplog):
    with caplog.at_level(logging.WARNING, "langmeter"):
        swallow("reading", ValueError("the prompt said: my key is sk-123"))

    (warning,) = _warnings(caplog)
    assert warning.startswith("langmeter failed in reading (ValueError, 1 so far); the application is not affected")
    assert "sk-123" not in caplog.text


def test_the_traceback_is_there_for_those_who_ask_without_the_message(caplog):
    with caplog.at_level(logging.DEBUG, "langmeter"):
        _divide(1, 0)
        with shield("reading"):
            raise ValueError("the prompt said: my key is sk-123")

    assert "ZeroDivisionError" in caplog.text
    assert "in _divide" in caplog.text
    assert "sk-123" not in caplog.text


def test_resetting_does_not_wait_for_a_lock_that_nobody_will_release():
    """As after a fork: another thread of the parent may have held it at that moment."""
    boundary._lock.acquire()
    done = threading.Thread(target=reset_counts, daemon=True)
    done.start()
    done.join(10)

    assert not done.is_alive()
    swallow("a", ValueError())
    assert error_counts() == {"a": 1}
