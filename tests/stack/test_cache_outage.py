"""A Redis that hangs, dies and comes back in mid-run: the application sees what it would see without langmeter."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from cache_outage import MODES, TITLES, everything

HERE = Path(__file__).parent

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

HIDING = {"langchain-community RedisCache", "langchain-community AsyncRedisCache"}
"""They log the errors of their server and tell LangChain that nothing was found."""
CHOSEN = [*sorted(HIDING), "langchain-redis RedisCache", "your own code FrankCache"]


@pytest.fixture(scope="session")
def _observed():
    return {}


@pytest.fixture(params=CHOSEN)
def title(request):
    return request.param


@pytest.fixture
def observed(title, require_program, _observed):
    """Everything that happened to one cache, once for all tests."""
    if title not in _observed:
        backend = TITLES[title]
        program = require_program("redis-query-engine" if backend.server == "Redis query engine" else "redis-server")
        if backend.environment is None:
            _observed[title] = everything(title, program)
        else:
            ours = ("OTEL_", "LANGMETER_")
            done = subprocess.run(
                [require_program(f"python-{backend.environment}"), HERE / "cache_outage.py", title, program],
                env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
                capture_output=True,
                text=True,
                check=False,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr[-3000:]
            _observed[title] = json.loads(done.stdout)
    return _observed[title]


@pytest.mark.parametrize("mode", MODES)
def test_every_phase_looks_as_it_does_without_langmeter(title, observed, mode):
    run, twin = (observed["phases"][f"{mode} {which}"] for which in ("with", "without"))
    assert (run["seen"], run["asked"]) == (twin["seen"], twin["asked"])
    assert twin["statuses"] == []


@pytest.mark.parametrize("mode", MODES)
def test_an_outage_is_counted_and_recovery_is_seen(title, observed, mode):
    if title.endswith("AsyncRedisCache") and mode == "invoke":
        expected = ["error"] * 8  # it has no synchronous side
    else:
        # Those that hide their errors tell LangChain "not found"; langmeter knows better.
        expected = ["miss", "hit", "error", "hit", "error", "error", "miss", "hit"]
    run = observed["phases"][f"{mode} with"]
    failed = ["Error" in outcome for _, outcome in run["seen"]]
    assert run["statuses"] == expected
    assert run["counted"] == {status: expected.count(status) for status in dict.fromkeys(expected)}
    hides = title in HIDING and "error" in expected[:3] and expected[0] != "error"
    assert failed == [status == "error" and not hides for status in expected]
    assert [error is not None for error in run["errors"]] == failed


def test_a_server_that_dies_under_many_calls_spoils_no_attribution(title, observed):
    """Whatever a call met, what is told of it is what happened."""
    for mode, calls in observed["torn"].items():
        truth = {question: _truth(call) for question, call in calls.items()}
        assert {question: call["told"] for question, call in calls.items()} == truth, mode
        assert {"hit", "miss"} <= set(truth.values()), mode
        # Those that hide their errors let no call fail; with the others some calls met the dead server.
        assert any(call["failed"] is not None for call in calls.values()) == (title not in HIDING), mode


def _truth(call):
    if call["hidden"]:
        return "error"
    if call["asked"]:
        return "miss"
    return "error" if call["failed"] else "hit"
