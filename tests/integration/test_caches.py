"""Response caches: what each call found there is attributed to that call, and an answer from a cache is never billed."""

from __future__ import annotations

import asyncio
import copy
import pickle
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from unittest.mock import ANY, MagicMock

import pytest
from cache_models import (
    CHAT_MODEL,
    TEXT_MODEL,
    AsyncChat,
    AsyncText,
    Chat,
    Duck,
    ProviderError,
    StreamingChat,
    SyncOnly,
    Text,
    picodollars,
    readings,
    statuses,
    total,
    usage_of,
)
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult, Generation
from langchain_core.runnables import RunnableLambda, RunnableParallel
from langchain_core.version import VERSION

import langmeter
from langmeter.events import usd

CORE = tuple(int(part) for part in VERSION.split(".")[:3])

# -- the whole output ---------------------------------------------------------------------------------------------------


def _call(model: str, operation: str) -> dict[str, object]:
    return {
        "gen_ai.operation.name": operation,
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": model,
        "gen_ai.response.finish_reasons": ("stop",),
    }


def _missed(prompt: str, *, cache_type: str) -> dict[str, object]:
    """Every attribute of the span of a chat call that the cache could not answer."""
    usage = usage_of(prompt)
    return {
        **_call(CHAT_MODEL, "chat"),
        "gen_ai.response.id": f"answer to {prompt}",
        "gen_ai.response.model": CHAT_MODEL,
        "gen_ai.usage.input_tokens": usage["input_tokens"],
        "gen_ai.usage.output_tokens": usage["output_tokens"],
        "langchain.cache.status": "miss",
        "langchain.cache.type": cache_type,
        "langchain.usage.cost.status": "priced",
        "langchain.usage.cost.amount": float(usd(picodollars(prompt))),
        "langchain.usage.cost.currency": "USD",
        "langchain.usage.cost.source": "local",
        "langchain.usage.cost.input": float(usd(usage["input_tokens"] * 2_500_000)),
        "langchain.usage.cost.output": float(usd(usage["output_tokens"] * 10_000_000)),
        "langchain.price.match": "exact",
        "langchain.price.source": "genai-prices",
        "langchain.price.version": langmeter.price(
            provider="openai", model=CHAT_MODEL, usage_metadata=usage_of(prompt)
        ).version,
    }


def _free(cache_type: str) -> dict[str, object]:
    return {
        "gen_ai.usage.input_tokens": 0,
        "gen_ai.usage.output_tokens": 0,
        "langchain.cache.status": "hit",
        "langchain.cache.type": cache_type,
        "langchain.usage.cost.status": "cached",
        "langchain.usage.cost.amount": 0.0,
        "langchain.usage.cost.currency": "USD",
        "langchain.usage.cost.source": "local",
        "langchain.price.match": "none",
    }


def _hit(prompt: str, *, cache_type: str) -> dict[str, object]:
    """Every attribute of the span of a chat call that the cache answered."""
    answer = {"gen_ai.response.id": f"answer to {prompt}", "gen_ai.response.model": CHAT_MODEL}
    time = {"langchain.cache.time_saved": ANY, "langchain.cache.time_saved_from": "original"}
    return {**_call(CHAT_MODEL, "chat"), **answer, **_free(cache_type), **time}


def _series(**extra: object) -> tuple[tuple[str, object], ...]:
    return tuple(sorted((name.replace("__", "."), value) for name, value in extra.items()))


def test_a_chat_hit_costs_nothing_and_saves_what_the_original_call_cost(instrumented):
    model = Chat(cache=InMemoryCache())
    with langmeter.track() as usage:
        assert model.invoke("a").content == model.invoke("a").content

    assert [dict(span.attributes) for span in instrumented.spans()] == [
        _missed("a", cache_type="in_memory"),
        _hit("a", cache_type="in_memory"),
    ]
    request = {
        "gen_ai__operation__name": "chat",
        "gen_ai__provider__name": "openai",
        "gen_ai__request__model": CHAT_MODEL,
    }
    call = _series(**request, gen_ai__response__model=CHAT_MODEL)
    tokens = tuple(sorted((*call, ("gen_ai.token.modality", "unknown"))))
    lookups = {**request, "langchain__cache__type": "in_memory"}
    stored = usage_of("a")
    money = {"langchain__usage__cost__status": "priced", "gen_ai__response__model": CHAT_MODEL, **request}
    assert readings(instrumented.metrics()) == {
        # Exactly the one call that was made: a hit is no `gen_ai.client.inference.*`.
        "gen_ai.client.inference.duration": {call: 1},
        "gen_ai.client.inference.operation.input_tokens": {call: 1},
        "gen_ai.client.inference.operation.output_tokens": {call: 1},
        "gen_ai.client.inference.usage.input_tokens": {tokens: stored["input_tokens"]},
        "gen_ai.client.inference.usage.output_tokens": {tokens: stored["output_tokens"]},
        "langchain.inference.output_rate": {call: 1},
        "langchain.inference.requests": {call: 1},
        "langchain.usage.cost": {
            _series(**money, langchain__usage__cost__category="input"): float(usd(stored["input_tokens"] * 2_500_000)),
            _series(**money, langchain__usage__cost__category="output"): float(
                usd(stored["output_tokens"] * 10_000_000)
            ),
        },
        "langchain.cache.requests": {
            _series(**lookups, langchain__cache__status="miss"): 1,
            _series(**lookups, langchain__cache__status="hit"): 1,
        },
        "langchain.cache.lookup.duration": {
            _series(langchain__cache__status="miss", langchain__cache__type="in_memory"): 1,
            _series(langchain__cache__status="hit", langchain__cache__type="in_memory"): 1,
        },
        "langchain.cache.saved.input_tokens": {_series(**lookups): stored["input_tokens"]},
        "langchain.cache.saved.output_tokens": {_series(**lookups): stored["output_tokens"]},
        "langchain.cache.saved.cost": {_series(**lookups): float(usd(picodollars("a")))},
        "langchain.cache.saved.time": {_series(**lookups): ANY},
        "langchain.cache.lost.time": {_series(**lookups): ANY},
    }
    assert usage.saved_usd == usage.cost_usd == usd(picodollars("a"))


def test_a_text_hit_has_a_span_of_its_own_and_costs_nothing(instrumented):
    model = Text(cache=InMemoryCache())
    model.invoke("a")
    model.invoke("a")

    miss, hit = instrumented.spans()
    assert miss.attributes["langchain.cache.status"] == "miss"
    # A text model's tokens are in its `llm_output`, which no cache keeps: what the hit saved is not known.
    assert (hit.name, dict(hit.attributes)) == (
        f"text_completion {TEXT_MODEL}",
        {**_call(TEXT_MODEL, "text_completion"), **_free("in_memory")},
    )
    metrics = instrumented.metrics()
    assert total(metrics, "gen_ai.client.inference.duration") == 1
    assert total(metrics, "langchain.inference.requests") == 1
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="hit") == 1
    assert [name for name in metrics if name.startswith("langchain.cache.saved")] == []


def test_the_span_of_a_text_hit_takes_as_long_as_its_look_up(instrumented):
    """It is made with hindsight: its ends are reconstructed, and must not cross over."""
    model = Text(cache=InMemoryCache())
    for _ in range(50):
        model.invoke("a")

    durations = [span.end_time - span.start_time for span in instrumented.spans()[1:]]
    assert min(durations) > 0
    ((_, looked_up),) = (
        point
        for point in instrumented.metrics()["langchain.cache.lookup.duration"]
        if point[0]["langchain.cache.status"] == "hit"
    )
    assert sum(durations) == pytest.approx(looked_up.sum * 1e9, abs=2 * len(durations))


# -- every kind of cache, model and call --------------------------------------------------------------------------------


async def _gathered(calls):
    return await asyncio.gather(*calls)


def _messages(model, prompt):
    return [HumanMessage(prompt)] if isinstance(model, Chat) else prompt


CALLS = {
    "invoke": lambda model, prompt: model.invoke(prompt),
    "ainvoke": lambda model, prompt: asyncio.run(model.ainvoke(prompt)),
    "batch": lambda model, prompt: model.batch([prompt]),
    "abatch": lambda model, prompt: asyncio.run(model.abatch([prompt])),
    "generate": lambda model, prompt: model.generate([_messages(model, prompt)]),
    "agenerate": lambda model, prompt: asyncio.run(model.agenerate([_messages(model, prompt)])),
}


@pytest.fixture
def make_cache(tmp_path):
    """A new cache by name, as the application would make it."""
    opened = []

    def make(name):
        if name == "sqlite":
            community = pytest.importorskip("langchain_community.cache", reason="langchain-community is not installed")
            opened.append(community.SQLiteCache(str(tmp_path / "cache.db")))
            return opened[-1]
        return {"in_memory": InMemoryCache, "sync_only": SyncOnly, "duck": Duck}[name]()

    yield make
    for cache in opened:
        cache.engine.dispose()


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("model_class", [Chat, AsyncChat, StreamingChat, Text, AsyncText])
@pytest.mark.parametrize(
    ("cache_type", "place"),
    [
        ("in_memory", "model"),
        ("in_memory", "global"),
        ("sqlite", "model"),
        ("sqlite", "global"),
        ("sync_only", "model"),
        ("duck", "global"),
    ],
)
def test_first_a_miss_then_a_hit(instrumented, make_cache, call, model_class, cache_type, place):
    cache = make_cache(cache_type)
    if place == "global":
        set_llm_cache(cache)
    model = model_class(cache=cache if place == "model" else None)
    for prompt in ("a", "b", "a"):
        CALLS[call](model, prompt)

    spans = instrumented.spans()
    assert statuses(spans) == ["miss", "miss", "hit"]
    assert {span.attributes["langchain.cache.type"] for span in spans} == {cache_type}
    expected = [usage_of("a")["input_tokens"], usage_of("b")["input_tokens"], 0]
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in spans] == expected
    assert [span.attributes["langchain.usage.cost.status"] for span in spans] == ["priced", "priced", "cached"]
    metrics = instrumented.metrics()
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="miss") == 2
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="hit") == 1
    saved = usage_of("a") if isinstance(model, Chat) else {"input_tokens": 0, "output_tokens": 0}
    assert total(metrics, "langchain.cache.saved.input_tokens") == saved["input_tokens"]
    assert total(metrics, "langchain.cache.saved.output_tokens") == saved["output_tokens"]


class _SuperCalling(InMemoryCache):
    def lookup(self, prompt, llm_string):
        return super().lookup(prompt, llm_string)

    async def alookup(self, prompt, llm_string):
        return await super().alookup(prompt, llm_string)


class _Delegating(BaseCache):
    def __init__(self, inner):
        self.inner = inner

    def lookup(self, prompt, llm_string):
        return self.inner.lookup(prompt, llm_string)

    def update(self, prompt, llm_string, return_val):
        self.inner.update(prompt, llm_string, return_val)

    def clear(self, **kwargs):
        self.inner.clear()


class _AsyncOnly(SyncOnly):
    def lookup(self, prompt, llm_string):
        raise NotImplementedError

    async def alookup(self, prompt, llm_string):
        await asyncio.sleep(0)
        return self.entries.get((prompt, llm_string))

    async def aupdate(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val


class _OwnThreads(SyncOnly):
    """Asks an inner cache, whose class is watched too, from a thread without our context."""

    def __init__(self):
        super().__init__()
        self.inner = InMemoryCache()

    def lookup(self, prompt, llm_string):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(self.inner.lookup, prompt, llm_string).result()

    def update(self, prompt, llm_string, return_val):
        self.inner.update(prompt, llm_string, return_val)


class _Falsy(SyncOnly):
    """Empty, and says so: a truth test of the cache object would overlook it."""

    def __len__(self):
        return 0


class _Slotted(BaseCache):
    __slots__ = ("entries",)

    def __init__(self):
        self.entries = {}

    def lookup(self, prompt, llm_string):
        return self.entries.get((prompt, llm_string))

    def update(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val

    def clear(self, **kwargs):
        self.entries.clear()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(_SuperCalling, id="calls super()"),
        pytest.param(lambda: _Delegating(_Delegating(SyncOnly())), id="wraps a wrapper"),
        pytest.param(lambda: _Delegating(_SuperCalling()), id="wraps a subclass"),
        pytest.param(_OwnThreads, id="works in its own threads"),
        pytest.param(
            _Falsy,
            id="is falsy",
            marks=pytest.mark.skipif(CORE < (1, 5, 6), reason="this langchain-core overlooks a cache that is falsy"),
        ),
        pytest.param(_Slotted, id="has slots"),
    ],
)
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("model_class", [AsyncChat, AsyncText])
def test_a_look_up_counts_once_whatever_the_shape_of_the_cache(instrumented, make, call, model_class):
    model = model_class(cache=make())
    CALLS[call](model, "a")
    CALLS[call](model, "a")

    assert statuses(instrumented.spans()) == ["miss", "hit"]
    assert total(instrumented.metrics(), "langchain.cache.requests") == 2


@pytest.mark.parametrize("model_class", [AsyncChat, AsyncText])
@pytest.mark.parametrize("call", ["ainvoke", "abatch", "agenerate"])
def test_an_async_only_cache(instrumented, model_class, call):
    model = model_class(cache=_AsyncOnly())
    CALLS[call](model, "a")
    CALLS[call](model, "a")

    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_a_wrapper_whose_inner_cache_is_watched_already(instrumented):
    inner = InMemoryCache()
    Chat(cache=inner).invoke("z")
    model = Chat(cache=_Delegating(inner))
    model.invoke("a")
    model.invoke("a")

    assert statuses(instrumented.spans()) == ["miss", "miss", "hit"]
    assert [span.attributes["langchain.cache.type"] for span in instrumented.spans()] == [
        "in_memory",
        "delegating",
        "delegating",
    ]


def test_models_and_caches_made_before_instrumentation(telemetry, instrument):
    model, text = Chat(cache=InMemoryCache()), Text(cache=SyncOnly())
    model.invoke("warm")
    text.invoke("warm")
    instrument(telemetry)
    for prompt in ("warm", "cold"):
        model.invoke(prompt)
        text.invoke(prompt)

    assert statuses(telemetry.spans()) == ["hit", "hit", "miss", "miss"]


def test_a_model_call_inside_a_look_up_has_its_own_attribution(instrumented):
    class Judge(SyncOnly):
        """Asks a model, with this very cache, whether two prompts are alike."""

        depth = 0

        def lookup(self, prompt, llm_string):
            if not self.depth:
                self.depth = 1
                Chat(cache=self, model_name="gpt-4o-mini").invoke("is it similar?")
                self.depth = 0
            return super().lookup(prompt, llm_string)

    cache = Judge()
    model = Chat(cache=cache)
    model.invoke("q")
    model.invoke("q")

    seen = [
        (span.attributes["gen_ai.request.model"], span.attributes["langchain.cache.status"])
        for span in instrumented.spans()
    ]
    assert seen == [("gpt-4o-mini", "miss"), ("gpt-4o", "miss"), ("gpt-4o-mini", "hit"), ("gpt-4o", "hit")]
    judged, asked, *_ = instrumented.spans()
    assert judged.parent.span_id == asked.context.span_id


@pytest.mark.parametrize("model_class", [Chat, Text])
@pytest.mark.parametrize("cache_class", [None, SyncOnly])
def test_a_cache_that_the_model_itself_asks_is_not_the_calls(instrumented, model_class, cache_class):
    own = InMemoryCache()
    own.update("a", "mine", [Generation(text="found")])
    Chat(cache=InMemoryCache()).invoke("a")  # from here on every InMemoryCache is watched

    class Asking(model_class):
        def _generate(self, *args, **kwargs):
            assert own.lookup("a", "mine")[0].text == "found"
            return super()._generate(*args, **kwargs)

    Asking(cache=None if cache_class is None else cache_class()).invoke("a")

    _, *spans = instrumented.spans()
    assert statuses(spans) == [None if cache_class is None else "miss"]


def test_a_mock_cache_keeps_working(instrumented):
    cache = MagicMock(spec=BaseCache)
    cache.lookup.return_value = None
    set_llm_cache(cache)
    assert Chat().invoke("a").content == "answer"

    cache.lookup.assert_called_once()
    cache.update.assert_called_once()
    assert total(instrumented.metrics(), "langchain.inference.requests") == 1


def test_a_look_up_patched_on_the_instance_falls_back_to_langchains_own_mark(instrumented):
    """Nothing of ours sees such a look-up; `total_cost: 0` in the answer still says that it was replayed."""
    cache = InMemoryCache()
    lookup = cache.lookup

    def overriding(prompt, llm_string):
        return lookup(prompt, llm_string)

    cache.lookup = overriding
    model = Chat(cache=cache)
    model.invoke("a")
    model.invoke("a")

    missed, hit = instrumented.spans()
    assert missed.attributes["langchain.usage.cost.status"] == "priced"
    expected = _hit("a", cache_type="in_memory")
    for unseen in ("langchain.cache.type", "langchain.cache.time_saved", "langchain.cache.time_saved_from"):
        del expected[unseen]
    assert dict(hit.attributes) == expected
    metrics = instrumented.metrics()
    assert total(metrics, "langchain.inference.requests") == 1
    assert total(metrics, "langchain.cache.saved.input_tokens") == usage_of("a")["input_tokens"]


# -- prompts of one batch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["generate", "agenerate"])
def test_a_text_batch_knows_hit_and_miss_of_each_prompt(instrumented, call):
    model = AsyncText(cache=InMemoryCache())
    model.invoke("a")

    def generate(prompts):
        run = model.generate(prompts) if call == "generate" else asyncio.run(model.agenerate(prompts))
        return len(run.generations)

    assert generate(["a", "b", "a", "c"]) == 4
    batch = instrumented.spans()[1:]
    assert sorted(statuses(batch)) == ["hit", "hit", "miss", "miss"]
    # The usage of the two prompts that were sent stands on the first of them, as the provider reported it.
    spent = sum(usage_of(prompt)["input_tokens"] for prompt in "bc")
    tokens = [span.attributes.get("gen_ai.usage.input_tokens") for span in batch if statuses([span]) == ["miss"]]
    assert tokens == [spent, None]
    assert {span.attributes["gen_ai.provider.name"] for span in batch} == {"openai"}


@pytest.mark.parametrize("call", ["generate", "agenerate", "batch", "abatch"])
def test_the_same_prompt_twice_in_one_batch_of_a_text_model_is_two_misses(instrumented, call):
    model = AsyncText(cache=InMemoryCache())
    run = getattr(model, call)(["a", "a"])
    if asyncio.iscoroutine(run):
        asyncio.run(run)

    assert statuses(instrumented.spans()) == ["miss", "miss"]
    assert total(instrumented.metrics(), "langchain.cache.requests", langchain__cache__status="miss") == 2


def test_the_same_prompt_twice_in_one_batch_of_a_chat_model_is_a_miss_and_a_hit(instrumented):
    Chat(cache=InMemoryCache()).generate([[HumanMessage("a")], [HumanMessage("a")]])
    Chat(cache=InMemoryCache()).batch(["b", "b"], {"max_concurrency": 1})

    assert statuses(instrumented.spans()) == ["miss", "hit", "miss", "hit"]


def test_in_a_batch_that_fails_the_hits_before_it_are_kept(instrumented):
    model = Text(cache=InMemoryCache())
    model.invoke("a")
    with pytest.raises(ProviderError):
        model.generate(["a", "fail"])

    *_, failed, hit = instrumented.spans()
    assert (failed.attributes["error.type"], statuses([failed, hit])) == ("cache_models.ProviderError", ["miss", "hit"])


@pytest.mark.parametrize("call", ["invoke", "batch", "generate"])
def test_a_text_model_chosen_for_one_call_is_named_on_misses_and_hits(instrumented, call):
    class Routed(Text):
        def _get_ls_params(self, stop=None, **kwargs):
            known = super()._get_ls_params(stop, **kwargs)
            return {**known, "ls_model_name": kwargs.get("model", self.model_name)}

    model = Routed(cache=InMemoryCache())
    for _ in range(2):
        getattr(model, call)("a" if call == "invoke" else ["a"], model="gpt-3.5-turbo-0125")

    spans = instrumented.spans()
    assert statuses(spans) == ["miss", "hit"]
    assert [span.name for span in spans] == ["text_completion gpt-3.5-turbo-0125"] * 2


def test_metadata_of_the_application_does_not_hide_who_the_provider_is(instrumented):
    model = Text(cache=InMemoryCache())
    for _ in range(2):
        model.generate(["a"], metadata={"customer": "acme", "thread_id": "t1"})

    seen = [
        [span.attributes[f"gen_ai.{name}"] for name in ("provider.name", "request.model", "conversation.id")]
        for span in instrumented.spans()
    ]
    assert seen == [["openai", TEXT_MODEL, "t1"]] * 2


@pytest.mark.parametrize("call", ["batch", "abatch"])
def test_equal_prompts_of_a_batch_keep_each_their_own_metadata(instrumented, call):
    model = AsyncText(cache=InMemoryCache())
    configs = [{"metadata": {"thread_id": name}} for name in ("t1", "t2", "t3")]
    for _ in range(2):
        run = getattr(model, call)(["a", "b", "a"], configs)
        if asyncio.iscoroutine(run):
            asyncio.run(run)

    spans = instrumented.spans()
    assert statuses(spans) == ["miss"] * 3 + ["hit"] * 3
    assert [span.attributes["gen_ai.conversation.id"] for span in spans] == ["t1", "t2", "t3"] * 2


# -- streams ------------------------------------------------------------------------------------------------------------


def test_a_stream_bypasses_the_cache(instrumented):
    model = StreamingChat(cache=InMemoryCache())
    model.invoke("a")

    async def consume():
        return [chunk async for chunk in model.astream("a")]

    list(model.stream("a"))
    asyncio.run(consume())

    assert statuses(instrumented.spans()) == ["miss", "bypass", "bypass"]
    assert [span.attributes["gen_ai.usage.input_tokens"] for span in instrumented.spans()] == [
        usage_of("a")["input_tokens"]
    ] * 3
    metrics = instrumented.metrics()
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="bypass") == 2
    assert total(metrics, "langchain.cache.lookup.duration") == 1


def test_a_text_stream_bypasses_the_cache(instrumented):
    class Streaming(Text):
        def _stream(self, prompt, stop=None, run_manager=None, **kwargs):
            from langchain_core.outputs import GenerationChunk

            for word in ("one", "two"):
                if run_manager is not None:
                    run_manager.on_llm_new_token(word)
                yield GenerationChunk(text=word)

    assert list(Streaming(cache=InMemoryCache()).stream("a")) == ["one", "two"]
    assert statuses(instrumented.spans()) == ["bypass"]


@pytest.mark.filterwarnings("ignore::langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_a_version_3_stream_bypasses_the_cache(instrumented):
    if not hasattr(Chat, "_iter_v2_events"):
        pytest.skip("this langchain-core has no version 3 of stream_events")
    model = StreamingChat(cache=InMemoryCache())
    model.invoke("a")

    async def consume():
        return [event async for event in await model.astream_events("a", version="v3")]

    assert list(model.stream_events("a", version="v3"))
    assert asyncio.run(consume())

    assert statuses(instrumented.spans()) == ["miss", "bypass", "bypass"]


def test_stream_of_a_model_that_cannot_stream_uses_the_cache(instrumented):
    model = Chat(cache=InMemoryCache())
    list(model.stream("a"))
    list(model.stream("a"))

    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_an_invoke_that_streams_inside_uses_the_cache(instrumented):
    model = StreamingChat(cache=InMemoryCache())
    model.invoke("a", stream=True)
    model.invoke("a", stream=True)

    missed, hit = instrumented.spans()
    assert statuses([missed, hit]) == ["miss", "hit"]
    assert (missed.attributes.get("gen_ai.request.stream"), hit.attributes.get("gen_ai.request.stream")) == (True, None)


# -- no cache at all ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", [StreamingChat, AsyncText])
@pytest.mark.parametrize("cache", [None, False], ids=["none", "disabled"])
def test_ruling_8_disabled_and_none_are_on_no_signal(instrumented, model_class, cache):
    """A call without a cache and one whose cache is switched off look alike, and neither is in the hit ratio."""
    if cache is False:
        set_llm_cache(InMemoryCache())
    model = model_class(cache=cache)
    with langmeter.track() as usage:
        for call in CALLS.values():
            call(model, "a")
        if model_class is StreamingChat:
            list(model.stream("a"))

    assert set(statuses(instrumented.spans())) == {None}
    assert [name for span in instrumented.spans() for name in span.attributes if "langchain.cache" in name] == []
    assert [name for name in instrumented.metrics() if name.startswith("langchain.cache")] == []
    assert (usage.hit_ratio, usage.cache_hits, usage.cache_misses, usage.cache_bypasses) == (None, 0, 0, 0)


@pytest.mark.parametrize(("model_class", "spans"), [(Chat, 1), (Text, 0)])
def test_cache_true_without_a_global_cache_fails_as_ever(instrumented, model_class, spans):
    with pytest.raises(ValueError, match=r"(?i)no (global )?cache"):
        model_class(cache=True).invoke("a")

    # LangChain gives up on a text model before its first callback.
    assert [span.attributes["error.type"] for span in instrumented.spans()] == ["ValueError"] * spans
    assert [name for name in instrumented.metrics() if name.startswith("langchain.cache")] == []


def test_cache_true_uses_the_global_cache(instrumented):
    set_llm_cache(InMemoryCache())
    for model in (Chat(cache=True), Text(cache=True)):
        model.invoke("a")
        model.invoke("a")

    assert statuses(instrumented.spans()) == ["miss", "hit"] * 2


# -- caches that fail or lie ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model_class", [AsyncChat, AsyncText])
@pytest.mark.parametrize("call", CALLS)
def test_a_look_up_that_raises_is_an_error_of_the_cache_and_of_the_call(instrumented, model_class, call):
    class Down(SyncOnly):
        def lookup(self, prompt, llm_string):
            raise ConnectionError("cache is down")

    with langmeter.track() as usage, pytest.raises(ConnectionError, match="cache is down"):
        CALLS[call](model_class(cache=Down()), "a")

    (span,) = instrumented.spans()
    assert (statuses([span]), span.attributes["error.type"]) == (["error"], "ConnectionError")
    # The provider was never asked, so there is nothing to pay for and nothing whose price would be unknown.
    assert [name for name in span.attributes if "usage" in name] == []
    metrics = instrumented.metrics()
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="error") == 1
    assert total(metrics, "langchain.cache.lookup.duration", langchain__cache__status="error") == 1
    assert [name for name in metrics if name.startswith(("langchain.cache.saved", "langchain.usage"))] == []
    assert (usage.cache_errors, usage.hit_ratio, usage.unpriced_calls, usage.cost_usd) == (1, None, 0, Decimal(0))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("model_class", "price"), [(AsyncChat, (2_500_000, 10_000_000)), (AsyncText, (1_500_000, 2_000_000))]
)
def test_an_answer_that_could_not_be_stored_was_still_paid_for(instrumented, call, model_class, price):
    class Full(SyncOnly):
        def update(self, prompt, llm_string, return_val):
            raise OSError("disk full")

    with langmeter.track() as usage, pytest.raises(OSError, match="disk full"):
        CALLS[call](model_class(cache=Full()), "a")

    (span,) = instrumented.spans()
    assert statuses([span]) == ["miss"]
    # LangChain throws a chat answer away when it cannot be stored: then the price is unknown, and is said to be.
    assert usage.cost_usd == usd(picodollars("a", price)) or usage.unpriced_calls == 1
    assert usage.calls == 1


def test_a_tuple_is_a_miss(instrumented):
    class Tuples(SyncOnly):
        def lookup(self, prompt, llm_string):
            found = super().lookup(prompt, llm_string)
            return None if found is None else tuple(found)

    for model in (Chat(cache=Tuples()), Text(cache=Tuples())):
        model.invoke("a")
        model.invoke("a")

    assert statuses(instrumented.spans()) == ["miss"] * 4
    assert total(instrumented.metrics(), "langchain.inference.requests") == 4


@pytest.mark.parametrize("model_class", [Chat, Text])
def test_an_empty_list_is_a_hit_with_nothing_in_it(instrumented, model_class):
    class Empty(SyncOnly):
        def lookup(self, prompt, llm_string):
            return []

    with pytest.raises(IndexError):
        model_class(cache=Empty()).invoke("a")

    (span,) = instrumented.spans()
    assert statuses([span]) == ["hit"]
    assert span.attributes["langchain.usage.cost.amount"] == 0.0
    assert total(instrumented.metrics(), "langchain.inference.requests") == 0


def test_plain_generations_from_a_cache_are_a_hit_whose_saving_is_unknown(instrumented):
    class Plain(SyncOnly):
        def lookup(self, prompt, llm_string):
            return [Generation(text="stored")]

    assert Chat(cache=Plain()).invoke("a").content == "stored"
    (span,) = instrumented.spans()
    assert statuses([span]) == ["hit"]
    assert [name for name in instrumented.metrics() if name.startswith("langchain.cache.saved")] == []


def test_host_exceptions_of_a_cache_pass_through_even_if_they_are_no_exceptions(instrumented):
    class Interrupting(SyncOnly):
        def lookup(self, prompt, llm_string):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Chat(cache=Interrupting()).invoke("a")

    (span,) = instrumented.spans()
    assert (statuses([span]), span.attributes["error.type"]) == (["error"], "KeyboardInterrupt")


def test_what_the_cache_holds_is_not_changed(telemetry, instrument):
    def stored(cache):
        model = Chat(cache=cache)
        model.invoke("a")
        first = copy.deepcopy(cache.entries)
        model.invoke("a")
        return first, cache.entries

    plain = stored(SyncOnly())
    instrument(telemetry)
    # Ids are LangChain's own and new for each run.
    assert [
        [generation.message.usage_metadata for generation in generations]
        for entries in stored(SyncOnly())
        for generations in entries.values()
    ] == [
        [generation.message.usage_metadata for generation in generations]
        for entries in plain
        for generations in entries.values()
    ]


# -- types and ratios ---------------------------------------------------------------------------------------------------


def test_the_cache_type_can_be_named_in_the_settings(telemetry, instrument):
    instrument(telemetry, cache_types={"SyncOnly": "my_cache"})
    Chat(cache=SyncOnly()).invoke("a")
    StreamingChat(cache=SyncOnly()).stream("a")
    list(StreamingChat(cache=SyncOnly()).stream("a"))

    assert [span.attributes["langchain.cache.type"] for span in telemetry.spans()] == ["my_cache"] * 2


def test_the_hit_ratio_is_hits_by_hits_and_misses(instrumented):
    class Down(SyncOnly):
        def lookup(self, prompt, llm_string):
            raise ConnectionError

    model = StreamingChat(cache=InMemoryCache())
    with langmeter.track() as usage:
        for prompt in ("a", "a", "a", "b"):
            model.invoke(prompt)
        list(model.stream("a"))
        StreamingChat().invoke("a")
        with pytest.raises(ConnectionError):
            Chat(cache=Down()).invoke("a")

    assert usage.hit_ratio == 2 / 4
    metrics = instrumented.metrics()
    by_status = {
        status: total(metrics, "langchain.cache.requests", langchain__cache__status=status)
        for status in ("hit", "miss", "error", "bypass")
    }
    assert by_status == {"hit": 2, "miss": 2, "error": 1, "bypass": 1}


# -- the trace ----------------------------------------------------------------------------------------------------------


def test_a_text_hit_hangs_under_the_span_that_is_current_in_the_application(instrumented):
    tracer = instrumented.tracer_provider.get_tracer("application")
    model = AsyncText(cache=InMemoryCache())
    model.invoke("a")
    for call in CALLS.values():
        with tracer.start_as_current_span("request"):
            call(model, "a")

    spans = instrumented.spans()[1:]
    hits, requests = spans[::2], spans[1::2]
    assert statuses(hits) == ["hit"] * len(CALLS)
    assert [span.parent.span_id for span in hits] == [span.context.span_id for span in requests]


def test_text_hits_of_parallel_branches_hang_under_the_span_around_them(instrumented):
    tracer = instrumented.tracer_provider.get_tracer("application")
    model = Text(cache=InMemoryCache())
    model.invoke("a")
    both = RunnableParallel(one=model, two=RunnableLambda(model.invoke) | model.bind())
    with tracer.start_as_current_span("request"):
        both.invoke("a")

    *inside, workflow, request = instrumented.spans()[1:]
    assert sorted(map(str, statuses(inside))) == ["hit", "hit", "miss"]
    assert {span.parent.span_id for span in inside} == {workflow.context.span_id}
    assert (workflow.name, workflow.parent.span_id) == ("invoke_workflow", request.context.span_id)


def test_a_text_hit_inside_a_model_call_hangs_under_that_call(instrumented):
    inner = Text(cache=InMemoryCache())
    inner.invoke("a")

    class Composed(Chat):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            inner.invoke("a")
            return super()._generate(messages)

    Composed().invoke("b")
    _, hit, outer = instrumented.spans()
    assert (statuses([hit]), outer.attributes["gen_ai.operation.name"]) == (["hit"], "chat")
    assert hit.parent.span_id == outer.context.span_id


# -- classes stay as they were ------------------------------------------------------------------------------------------


def test_instances_of_a_watched_class_pickle_and_copy(instrumented):
    cache = _SuperCalling()
    Chat(cache=cache).invoke("a")
    cache.update("prompt", "model", [Generation(text="x")])

    for twin in (pickle.loads(pickle.dumps(cache)), copy.deepcopy(cache), copy.copy(cache)):  # noqa: S301  (our own bytes)
        assert twin.lookup("prompt", "model")[0].text == "x"


def test_a_watched_method_still_describes_itself(instrumented):
    Chat(cache=_SuperCalling()).invoke("a")

    assert (_SuperCalling.lookup.__name__, _SuperCalling.lookup.__qualname__) == ("lookup", "_SuperCalling.lookup")
    assert asyncio.iscoroutinefunction(InMemoryCache.alookup)


def test_a_watched_class_of_main_goes_through_cloudpickle():
    """Such a class is pickled by value (Ray, Dask, Spark): the far side gets the original methods, without langmeter."""
    program = textwrap.dedent(
        """
        import subprocess, sys
        sys.path.insert(0, sys.argv[1])
        import cloudpickle
        from cache_models import Chat
        from langchain_core.caches import BaseCache
        import langmeter

        class MainCache(BaseCache):
            def __init__(self): self.entries = {}
            def lookup(self, prompt, llm_string): return self.entries.get((prompt, llm_string))
            def update(self, prompt, llm_string, return_val): self.entries[prompt, llm_string] = return_val
            def clear(self, **kwargs): self.entries.clear()

        langmeter.instrument(bootstrap="never")
        cache = MainCache()
        Chat(cache=cache).invoke("a")
        assert type(vars(MainCache)["lookup"]).__name__ != "function"
        far_side = '''
        import pickle, sys
        sys.modules["langmeter"] = None
        cache = pickle.loads(sys.stdin.buffer.read())
        print(type(vars(type(cache))["lookup"]).__name__, len(cache.entries), cache.lookup("no", "no"))
        '''
        cache.entries = {("p", "s"): [1]}
        done = subprocess.run([sys.executable, "-c", "\\n".join(l.strip() for l in far_side.splitlines())],
                              input=cloudpickle.dumps(cache), capture_output=True)
        print(done.stdout.decode().strip(), done.stderr.decode().strip())
        """
    )
    here = str(Path(__file__).parent)
    done = subprocess.run([sys.executable, "-c", program, here], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("function 1 None", 0), done.stderr


def test_uninstrument_restores_cache_classes_exactly(telemetry):
    classes = (BaseCache, InMemoryCache, SyncOnly, _SuperCalling, _Delegating, _AsyncOnly, Duck)
    before = [dict(vars(cls)) for cls in classes]
    langmeter.instrument(**telemetry.providers)
    for cache in (InMemoryCache(), SyncOnly(), _SuperCalling(), _Delegating(SyncOnly())):
        asyncio.run(AsyncChat(cache=cache).ainvoke("a"))
        Chat(cache=cache).invoke("a")
    asyncio.run(AsyncChat(cache=_AsyncOnly()).ainvoke("a"))
    set_llm_cache(Duck())
    Chat().invoke("a")
    during = [dict(vars(cls)) for cls in classes]
    langmeter.uninstrument()

    assert [now.keys() for now in during if now.get("lookup") is not None] != [old.keys() for old in before]
    for cls, old in zip(classes, before, strict=True):
        now = dict(vars(cls))
        assert now.keys() == old.keys(), cls
        assert [name for name in old if now[name] is not old[name]] == [], cls
    model = Chat(cache=SyncOnly())
    model.invoke("a")
    model.invoke("a")
    assert len(telemetry.spans()) == 10


# -- a model that hands on the answer of another one ----------------------------------------------------------------------


class Router(BaseChatModel):
    """Asks another model and returns its message."""

    inner: Chat

    @property
    def _llm_type(self) -> str:
        return "router"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return ChatResult(generations=[ChatGeneration(message=self.inner.invoke(messages))])


@pytest.mark.parametrize("outer_cache", [False, InMemoryCache()], ids=["no cache of its own", "a cache of its own"])
def test_a_hit_of_the_inner_model_is_one_hit_and_no_bill(instrumented, outer_cache):
    inner = Chat(cache=InMemoryCache())
    inner.invoke("a")
    with langmeter.track() as usage:
        Router(inner=inner, cache=outer_cache).invoke("a")

    stored = usage_of("a")
    assert (usage.cache_hits, usage.saved_tokens) == (1, stored["total_tokens"])
    assert (usage.cost_usd, usage.unpriced_calls) == (0, 0)
    assert total(instrumented.metrics(), "langchain.cache.saved.input_tokens") == stored["input_tokens"]
