"""What was billed and what was saved add up to what the same work costs without a cache."""

from __future__ import annotations

import asyncio
import random
from decimal import Decimal

import pytest
from cache_backends import CLIENT_TIMEOUT
from cache_models import total
from langchain_community.cache import RedisCache, SQLiteCache
from langchain_openai import ChatOpenAI
from provider import CHAT_MODEL, Provider, bill
from redis import Redis

import langmeter

pytestmark = pytest.mark.stack

DISTINCT, REPEATS = 40, 60
NANODOLLAR = Decimal("1e-9")


def workload():
    """A hundred prompts, sixty of which have been asked before."""
    chance = random.Random(60)
    prompts = [f"prompt {number}" for number in range(DISTINCT)]
    asked = prompts + [chance.choice(prompts) for _ in range(REPEATS)]
    chance.shuffle(asked)
    return asked


@pytest.fixture(params=["SQLite", "Redis"])
def cache(request, server, tmp_path):
    if request.param == "SQLite":
        made = SQLiteCache(str(tmp_path / "cache.db"))
        yield made
        made.engine.dispose()
        return
    with Redis(port=server("Redis").port, socket_timeout=CLIENT_TIMEOUT) as client:
        client.flushall()
        yield RedisCache(client)


def spend(model):
    """The workload, partly sync and partly async, one call after the other: sixty calls must be hits."""
    prompts = workload()

    async def ask_for(some):
        for prompt in some:
            await model.ainvoke(prompt)

    with langmeter.track() as usage:
        for prompt in prompts[:50]:
            model.invoke(prompt)
        asyncio.run(ask_for(prompts[50:]))
    return usage


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_billed_and_saved_are_the_bill_without_a_cache(cache, make_telemetry, instrument):
    with Provider() as provider:

        def model(response_cache):
            url = provider.base_url
            return ChatOpenAI(model=CHAT_MODEL, base_url=url, api_key="none", max_retries=0, cache=response_cache)

        plain = instrument(make_telemetry())
        without = spend(model(False))
        everything = provider.asked()
        langmeter.uninstrument()
        provider.requests.clear()
        cached = instrument(make_telemetry())
        with_cache = spend(model(cache))

        assert (everything, len(provider.asked())) == (workload(), DISTINCT)
    assert (with_cache.cache_hits, with_cache.cache_misses, with_cache.hit_ratio) == (REPEATS, DISTINCT, 0.6)
    whole = bill(workload()).usd
    assert without.cost_usd == whole
    assert with_cache.cost_usd == bill(set(workload())).usd
    assert with_cache.cost_usd + with_cache.saved_usd == whole
    # The same from what is exported, where money is a float.
    exported = cached.metrics()
    billed, saved = (Decimal(total(exported, f"langchain.{name}")) for name in ("usage.cost", "cache.saved.cost"))
    assert abs(billed + saved - Decimal(total(plain.metrics(), "langchain.usage.cost"))) < NANODOLLAR
    assert abs(billed + saved - whole) < NANODOLLAR
