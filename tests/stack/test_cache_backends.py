"""Every cache back end against the real thing: each way of calling a model, semantic matches, and a server that dies.

What was asked of the local provider is the truth; each run has a twin without langmeter. The table in docs/caches.md is
rendered from these very measurements.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from cache_backends import BACKENDS
from cache_probe import expected_savings, killer, probe
from cache_ways import CHAT_WAYS, WAYS
from questions import COLD, DIFFERENT, QUESTIONS, SAME, WARM

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
RESULTS = REPOSITORY / ".tools" / "results" / "caches.json"
NOTHING_SAVED = {"input_tokens": 0, "output_tokens": 0, "usd": "0E-12"}

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def _title(backend):
    return f"{backend.title} {backend.server}"


@pytest.fixture(scope="session")
def _measurements():
    return {}


@pytest.fixture
def measured(server, require_program, tmp_path_factory, _measurements):
    """`measured(backend)`: everything that the probe found, measured once for all tests."""

    def measure(backend):
        title = _title(backend)
        if title not in _measurements:
            python = require_program(f"python-{backend.environment}") if backend.environment else None
            running = server(backend.server) if backend.server else None
            where = running.address if running else str(tmp_path_factory.mktemp("cache"))
            victim = [where, running.pid, running.death] if running else None
            if python is None:
                _measurements[title] = probe(backend, where, killer(*victim) if victim else None)
            else:
                _measurements[title] = _elsewhere(python, title, where, *victim[1:])
        return _measurements[title]

    return measure


def _elsewhere(python, title, where, pid, death):
    """The probe in a Python environment of its own."""
    ours = ("OTEL_", "LANGMETER_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    # Threads that share the work on one short text wait for each other eight times as long as one thread works.
    environment["OPENBLAS_NUM_THREADS"] = "1"
    done = subprocess.run(
        [python, HERE / "cache_probe.py", title, where, f"{pid}:{int(death)}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)


@pytest.fixture(params=BACKENDS, ids=_title)
def backend(request):
    return request.param


def _working(result):
    """The ways of calling that this cache lets an application use at all."""
    return {name: way for name, way in result["ways"].items() if way["outcome"] == "answers"}


def test_every_hit_and_miss_is_told_of_the_call_that_it_belongs_to(backend, measured):
    ways = _working(measured(backend))
    assert len(ways) >= 6  # asynchronous ones at least
    assert {name: (way["wrong"], way["counted"]) for name, way in ways.items()} == {
        name: (0, {"hit": len(WARM), "miss": len(COLD)}) for name in ways
    }
    assert {name: way["asked"] for name, way in ways.items()} == dict.fromkeys(ways, sorted(COLD))
    assert {cache_type for way in ways.values() for cache_type in way["cache_types"]} == {backend.cache_type}


def test_the_application_sees_what_it_would_see_without_langmeter(backend, measured):
    assert [name for name, way in measured(backend)["ways"].items() if not way["unchanged"]] == []


def test_a_way_that_the_cache_refuses_is_an_error_of_the_cache(backend, measured):
    refused = {name: way for name, way in measured(backend)["ways"].items() if way["outcome"] != "answers"}
    assert {way["outcome"].partition(":")[0] for way in refused.values()} <= {"builtins.NotImplementedError"}
    assert all(set(way["counted"]) == {"error"} for way in refused.values())
    assert bool(refused) == (backend.name == "AsyncRedisCache")


def test_a_hit_saves_what_the_stored_answer_cost(backend, measured):
    ways = _working(measured(backend))
    # What a text model's answer took is in LangChain's `llm_output`, which no cache stores.
    assert {name: way["saved"] for name, way in ways.items()} == {
        name: expected_savings() if name in CHAT_WAYS else NOTHING_SAVED for name in ways
    }


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend.semantic], ids=_title)
def test_a_semantic_cache_answers_paraphrases_and_nothing_else(backend, measured):
    found = measured(backend)["semantic"]
    assert [original for original, _ in SAME] == [original for original, _ in DIFFERENT]
    assert {original for original, _ in SAME} == set(WARM)
    assert {name: (run["asked"], Counter(run["statuses"])) for name, run in found.items()} == {
        name: ([question for _, question in DIFFERENT], Counter(hit=len(SAME), miss=len(DIFFERENT))) for name in found
    }
    # What the originals took: each question was answered by one of them.
    assert {name: run["saved"] for name, run in found.items()} == {
        name: NOTHING_SAVED if name.startswith("text ") else expected_savings() for name in found
    }
    assert len(found) == 4


@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend.server], ids=_title)
def test_a_server_that_dies_in_mid_run_fails_as_it_does_without_langmeter(backend, measured):
    found = measured(backend)["outage"]
    for name, mode in found.items():
        assert mode["unchanged"], (name, mode)
        # Also where the cache hides its outage and the call goes on as if nothing had been found.
        assert mode["statuses"] == ["error"] * 2, (name, mode)


def test_the_table_in_the_docs_is_what_was_measured(measured):
    results = [
        {"name": backend.name, "package": backend.package, "server": backend.server, **measured(backend)}
        for backend in BACKENDS
    ]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(results, indent=1), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "cache_table.py", "--check", RESULTS],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(QUESTIONS) == 16
    assert len(WAYS) == 11
