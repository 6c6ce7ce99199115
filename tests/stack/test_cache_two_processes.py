"""Two hundred prompts in every way, half of them known: over three nested caches, and over two processes with one Redis."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import redis
from cache_models import picodollars, statuses, total
from cache_worker import PROMPTS, prompts
from langchain_community.cache import RedisCache, SQLiteCache
from langchain_core.caches import InMemoryCache
from tiered_caches import WAYS, RememberingChat, TieredCache, run

from langmeter.events import usd

HERE = Path(__file__).parent

pytestmark = pytest.mark.stack


@pytest.fixture
def client(server):
    with redis.Redis(port=server("Redis").port) as connected:
        connected.flushall()
        yield connected


@pytest.mark.parametrize("way", WAYS)
def test_three_nested_caches(client, telemetry, instrument, tmp_path, way):
    """Memory before SQLite before Redis, each with its share of what is known; the outermost is the model's cache."""
    memory, sqlite, shared = InMemoryCache(), SQLiteCache(str(tmp_path / "cache.db")), RedisCache(client)
    cache = TieredCache(memory, TieredCache(sqlite, shared))
    known = random.Random(way).sample(prompts(way), PROMPTS // 2)
    asked = []
    for share, tier in ((known[:30], memory), (known[30:60], sqlite), (known[60:], shared)):
        RememberingChat(cache=tier, asked=[]).batch(share)
    instrument(telemetry)
    # The classes of the inner caches are watched too, as soon as a model has one of them as its own.
    for tier in (memory, sqlite, shared):
        RememberingChat(cache=tier, asked=[]).invoke(known[0])
    before = len(telemetry.spans())

    run(RememberingChat(cache=cache, asked=asked, delay=0.001), way, prompts(way))

    spans = telemetry.spans()[before:]
    told = {span.attributes["gen_ai.response.id"].removeprefix("answer to "): span for span in spans}
    assert len(spans) == PROMPTS
    assert sorted(asked) == sorted(set(prompts(way)) - set(known))
    truth = {prompt: "miss" if prompt in asked else "hit" for prompt in prompts(way)}
    assert {prompt: span.attributes["langchain.cache.status"] for prompt, span in told.items()} == truth
    assert {span.attributes["langchain.cache.type"] for span in spans} == {"tiered"}
    spent = {prompt: told[prompt].attributes["langchain.usage.cost.amount"] for prompt in truth}
    assert spent == {prompt: float(usd(picodollars(prompt))) if prompt in asked else 0.0 for prompt in truth}
    metrics = telemetry.metrics()
    counted = {
        status: total(
            metrics, "langchain.cache.requests", langchain__cache__status=status, langchain__cache__type="tiered"
        )
        for status in ("hit", "miss", "error", "bypass")
    }
    assert counted == {"hit": PROMPTS // 2, "miss": PROMPTS // 2, "error": 0, "bypass": 0}


def test_two_processes_sharing_one_redis(client):
    """Each process is judged by what its own model was asked; what one has stored is a hit for the other."""
    known = {way: set(random.Random(way).sample(prompts(way), PROMPTS // 2)) for way in WAYS}
    for way in WAYS:
        RememberingChat(cache=RedisCache(client), asked=[], delay=0.001).batch(sorted(known[way]))
    ours = ("OTEL_", "LANGMETER_")
    workers = [
        subprocess.Popen(
            [sys.executable, HERE / "cache_worker.py", str(client.connection_pool.connection_kwargs["port"]), order],
            env={name: value for name, value in os.environ.items() if not name.startswith(ours)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for order in ("forwards", "backwards")
    ]
    outputs = [worker.communicate(timeout=150) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], [errors for _, errors in outputs]

    for way in WAYS:
        shared = 0
        for found in (json.loads(output)[way] for output, _ in outputs):
            asked = set(found["asked"])
            truth = {prompt: "miss" if prompt in asked else "hit" for prompt in prompts(way)}
            assert found["told"] == truth, way
            assert found["spans"] == PROMPTS, way
            assert found["counted"] == dict(Counter(truth.values())), way
            assert not asked & known[way], way
            shared += PROMPTS - len(known[way]) - len(asked)
        if way == "generate":
            assert shared > 0  # one after the other and from both ends: they cannot have missed each other's answers


def test_statuses_are_never_empty_over_a_shared_redis(client, instrumented):
    """The same prompt from one process twice, through two cache objects on one server."""
    first, second = (RememberingChat(cache=RedisCache(client), asked=[]) for _ in range(2))
    first.invoke("a")
    second.invoke("a")
    assert (statuses(instrumented.spans()), second.asked) == (["miss", "hit"], [])
