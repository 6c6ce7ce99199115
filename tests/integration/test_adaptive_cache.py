"""`adaptive_cache`: it stops asking where asking costs more than it brings, comes back, and never answers by itself."""

from __future__ import annotations

import asyncio
import os
import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from cache_models import AsyncChat, Chat, StreamingChat, SyncOnly, Text, picodollars, statuses, usage_of
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration

import langmeter
from langmeter import worker
from langmeter.caches import CacheAdvisor, adaptive_cache, cached_stream
from langmeter.events import usd


class Slow(SyncOnly):
    """Takes longer to look up than the models here take to answer, so that a look-up can never save time."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.given: list[str] = []

    def lookup(self, prompt, llm_string):
        self.asked.append(prompt)
        time.sleep(0.002)
        return super().lookup(prompt, llm_string)

    def update(self, prompt, llm_string, return_val):
        self.given.append(prompt)
        super().update(prompt, llm_string, return_val)


class AsyncOnly(BaseCache):
    """As the cache classes for asynchronous clients are."""

    def __init__(self) -> None:
        self.entries = {}

    def lookup(self, prompt, llm_string):
        raise NotImplementedError

    update = clear = lookup

    async def alookup(self, prompt, llm_string):
        return self.entries.get((prompt, llm_string))

    async def aupdate(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val

    async def aclear(self, **kwargs):
        self.entries.clear()


def _answer(prompt: str) -> list[ChatGeneration]:
    message = AIMessage(
        prompt, usage_metadata=usage_of(prompt), response_metadata={"model_name": "gpt-4o", "model_provider": "openai"}
    )
    return [ChatGeneration(message=message)]


def _ask(cache, prompt: str, llm: str = "m") -> bool:
    """A call as LangChain makes it; True for a hit. The answer must be that of the prompt, whoever gives it."""
    found = cache.lookup(prompt, llm)
    if found is None:
        cache.update(prompt, llm, _answer(prompt))
        return False
    assert found[0].text == prompt
    return True


def _switched_off(inner=None, **options):
    inner = inner or Slow()
    cache = adaptive_cache(inner, **{"probe_share": 0.1, "window": 20, **options})
    for number in range(cache._window):
        _ask(cache, f"warm up {number}")
    assert not cache.state()[0].asks
    return cache, inner


def test_a_slow_cache_without_hits_is_asked_for_the_probes_alone():
    cache, inner = _switched_off()
    inner.asked.clear(), inner.given.clear()
    prompts = [f"p{number}" for number in range(300)]
    for prompt in prompts:
        assert not _ask(cache, prompt)

    (state,) = cache.state()
    assert 10 <= len(inner.asked) <= 60  # 30 of 300, give or take four standard deviations
    assert inner.given == inner.asked
    assert (state.asks, state.lookups, state.skipped, state.switches) == (
        False,
        20 + len(inner.asked),
        300 - len(inner.asked),
        1,
    )


def test_the_same_prompts_are_probed_in_every_process():
    def probed(cache):
        prompts = [f"p{number}" for number in range(200)]
        return {prompt for prompt in prompts if not cache._skips(cache._group("m"), prompt, "m")}

    first, second = probed(_switched_off()[0]), probed(_switched_off()[0])
    assert first == second
    assert first  # hashes of the interpreter differ between processes; these are fixed
    assert sorted(first)[:3] == PROBED


PROBED = ["p1", "p107", "p115"]


def test_it_comes_back_when_the_probes_hit():
    cache, inner = _switched_off()
    prompts = [f"p{number}" for number in range(100)]
    for prompt in prompts:
        _ask(cache, prompt)
    assert not cache.state()[0].asks
    for prompt in prompts:
        _ask(cache, prompt)
    (state,) = cache.state()
    assert (state.asks, state.switches) == (True, 2)
    assert [_ask(cache, prompt) for prompt in prompts[-5:]] == [True] * 5
    inner.asked.clear()
    assert not _ask(cache, "new")
    assert inner.asked == ["new"]


def test_a_cold_cache_may_warm_up():
    cache = adaptive_cache(Slow(), window=100)
    for number in range(99):
        _ask(cache, f"p{number}")
    assert cache.state()[0].asks
    _ask(cache, "one more")
    assert not cache.state()[0].asks


def test_by_default_a_cache_with_any_hit_is_always_asked():
    inner = Slow()
    cache = adaptive_cache(inner, window=60)
    for number in range(180):
        _ask(cache, "again" if not number % 30 else f"p{number}")
    (state,) = cache.state()
    assert (state.asks, state.lookups, state.skipped, state.hits) == (True, 180, 0, 5)
    assert len(inner.asked) == 180


def test_a_fast_cache_without_hits_is_not_given_up_soon():
    cache = adaptive_cache(SyncOnly(), window=100)
    for number in range(400):
        prompt = f"p{number}"
        assert cache.lookup(prompt, "m") is None
        if not number % 20:
            time.sleep(0.001)  # the call
        cache.update(prompt, "m", _answer(prompt))
    assert cache.state()[0].asks


@pytest.mark.parametrize(("price", "asks"), [(0.0000001, True), (1.0, False)], ids=["cheap look-ups", "dear look-ups"])
def test_look_ups_that_cost_money_are_weighed_against_what_calls_cost(price, asks):
    """Calls cost half a cent at most; one in five is a hit; look-ups take longer than calls, which decides nothing alone."""
    inner = Slow()
    cache = adaptive_cache(inner, lookup_cost_usd=price, probe_share=0.001, window=40)
    for number in range(100):
        _ask(cache, "again" if not number % 5 else f"p{number}")
        assert worker.drain(30)
    assert cache.state()[0].asks is asks


def test_what_came_before_a_switch_does_not_weigh_on_the_probes():
    """A look-up costs about a quarter of a call, and so does a write: it pays from 40 % hits on."""
    cache = adaptive_cache(Slow(), lookup_cost_usd=0.0006, window=100, probe_share=1)
    for number in range(100):
        _ask(cache, f"p{number}")
        assert worker.drain(30)
    assert not cache.state()[0].asks
    for _ in range(30):  # 97 % of these, and 22 % of all
        _ask(cache, "again")
        assert worker.drain(30)
    assert cache.state()[0].asks


def test_a_semantic_cache_whose_answers_have_no_price_is_not_given_up_for_money():
    cache = adaptive_cache(Slow(), lookup_cost_usd=1, window=20)
    for number in range(60):
        found = cache.lookup(f"p{number}", "m")
        assert found is None
        cache.update(f"p{number}", "m", [ChatGeneration(message=AIMessage("x"))])
    (state,) = cache.state()
    assert (state.asks, state.verdict) == (True, "too early to say")


def test_models_are_told_apart():
    cache, _ = _switched_off()
    for _ in range(30):
        _ask(cache, "again", "other")
    states = cache.state()
    assert [(state.asks, state.hits, state.model) for state in states] == [(False, 0, "gpt-4o"), (True, 29, "gpt-4o")]
    assert states[0].id != states[1].id


def test_the_surplus_of_models_is_always_asked():
    cache = adaptive_cache(SyncOnly())
    for number in range(1_100):
        _ask(cache, "p", f"model {number}")
    assert len(cache.state()) == 1_000
    assert _ask(cache, "p", "model 1099")


# -- in LangChain, seen by langmeter ----------------------------------------------------------------------------------------


def test_skipped_look_ups_are_bypasses_and_nothing_is_billed_wrong(instrumented):
    model = Chat(cache=adaptive_cache(Slow(), probe_share=0.000001, window=20))
    with CacheAdvisor() as advisor, langmeter.track() as usage:
        for number in range(30):
            answer = model.invoke(f"p{number}")
            assert answer.response_metadata["id"] == f"answer to p{number}"
        model.invoke("p0")

    assert statuses(instrumented.spans()) == ["miss"] * 20 + ["bypass"] * 11
    assert {span.attributes["langchain.cache.type"] for span in instrumented.spans()} == {"adaptive"}
    prompts = [*range(30), 0]
    assert (usage.calls, usage.cost_usd) == (31, usd(sum(picodollars(f"p{number}") for number in prompts)))
    (row,) = advisor.report().response_caches
    assert (row.hits, row.misses, row.bypasses) == (0, 20, 11)


def test_look_ups_are_attributed_once_and_to_the_right_call(instrumented):
    inner = InMemoryCache()
    Chat(cache=inner).invoke("warm")  # the class of the inner cache is watched, too
    models = [kind(cache=adaptive_cache(adaptive_cache(inner))) for kind in (Chat, AsyncChat)]
    prompts = [f"p{number}" for number in range(40)]
    for prompt in prompts[::2]:
        models[0].invoke(prompt)
    before = len(instrumented.spans())

    async def gathered():
        return await asyncio.gather(*[models[1].ainvoke(prompt) for prompt in prompts])

    with langmeter.track() as usage:
        models[0].batch(prompts, {"max_concurrency": 8})
        asyncio.run(gathered())
    spans = instrumented.spans()[before:]
    assert (usage.cache_hits, usage.cache_misses, usage.cache_bypasses) == (20 + 40, 20, 0)
    assert usage.cost_usd == usd(sum(picodollars(prompt) for prompt in prompts[1::2]))
    assert {span.attributes["langchain.cache.type"] for span in spans} == {"adaptive"}


def test_text_models_and_cached_streams_go_through_it(instrumented):
    slow, fast = adaptive_cache(Slow(), probe_share=0.000001, window=20), adaptive_cache(SyncOnly())
    text, stream = Text(cache=slow), cached_stream(StreamingChat(cache=fast))
    for number in range(21):
        text.invoke(f"p{number}")
    assert statuses(instrumented.spans()) == ["miss"] * 20 + ["bypass"]
    for _ in range(2):
        list(stream.stream("a"))
    assert statuses(instrumented.spans())[21:] == ["miss", "hit"]


# -- what a cache must be able to do ----------------------------------------------------------------------------------------


def test_an_asynchronous_cache_is_asked_asynchronously():
    inner = AsyncOnly()
    cache = adaptive_cache(inner)

    async def go():
        assert await cache.alookup("p", "m") is None
        await cache.aupdate("p", "m", _answer("p"))
        assert (await cache.alookup("p", "m"))[0].text == "p"
        await cache.aclear()
        assert await cache.alookup("p", "m") is None

    asyncio.run(go())
    (state,) = cache.state()
    assert (state.lookups, state.hits) == (3, 1)
    with pytest.raises(NotImplementedError):
        cache.lookup("p", "m")


def test_clear_empties_the_inner_cache():
    cache = adaptive_cache(SyncOnly())
    _ask(cache, "p")
    cache.clear()
    assert not cache.inner.entries


def test_it_pickles_with_its_options_and_without_what_it_has_learnt():
    cache, _ = _switched_off(window=60)
    copied = pickle.loads(pickle.dumps(cache))  # noqa: S301  (our own bytes)
    assert copied.state() == ()
    assert copied.inner.entries == cache.inner.entries
    assert copied._arguments == cache._arguments == (0.1, 60, 0, None)


def test_nothing_is_lost_between_threads():
    cache = adaptive_cache(SyncOnly())
    with ThreadPoolExecutor(8) as pool:
        hits = sum(pool.map(lambda number: _ask(cache, f"p{number % 50}", f"m{number % 3}"), range(3_000)))
    states = cache.state()
    assert (sum(state.lookups for state in states), sum(state.hits for state in states)) == (3_000, hits)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent():
    cache = adaptive_cache(SyncOnly())
    _ask(cache, "p")
    with cache._lock:
        child = os.fork()
        if not child:
            os._exit(0 if _ask(cache, "p") else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_error_of_the_inner_cache_reaches_langchain():
    class Broken(SyncOnly):
        def lookup(self, prompt, llm_string):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        adaptive_cache(Broken()).lookup("p", "m")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probe_share": 0}, "probe_share must be above 0"),
        ({"probe_share": 1.1}, "probe_share must be above 0"),
        ({"window": 5}, "window must be at least 20"),
        ({"lookup_cost_usd": -1}, "lookup_cost_usd must be US dollars"),
        ({"write_cost_usd": "x"}, "write_cost_usd must be US dollars"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(langmeter.SettingsError, match=message):
        adaptive_cache(InMemoryCache(), **options)


def test_calls_that_never_come_back_are_forgotten():
    cache = adaptive_cache(SyncOnly())
    for number in range(3_000):
        cache.lookup(f"p{number}", "m")
    assert len(cache._group("m")._waiting) == 1_000


def test_it_waits_for_nobody_while_the_inner_cache_is_slow():
    inside, go_on = threading.Event(), threading.Event()

    class Hanging(SyncOnly):
        def lookup(self, prompt, llm_string):
            if prompt == "slow":
                inside.set()
                assert go_on.wait(30)
            return super().lookup(prompt, llm_string)

    cache = adaptive_cache(Hanging())
    thread = threading.Thread(target=cache.lookup, args=("slow", "m"))
    thread.start()
    assert inside.wait(30)
    assert not _ask(cache, "fast")
    assert _ask(cache, "fast")
    go_on.set()
    thread.join(30)
