"""`cached_stream`: streams that find what `invoke` stored, and the other way round; counted right, and changing nothing else."""

from __future__ import annotations

import asyncio
import copy
import functools
import json
import pickle
import subprocess
import sys
from decimal import Decimal

import pytest
from cache_models import (
    CHAT_MODEL,
    AsyncChat,
    Chat,
    ProviderError,
    StreamingChat,
    SyncOnly,
    Text,
    collected,
    picodollars,
    statuses,
    total,
    usage_of,
)
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.language_models.chat_models import generate_from_stream
from langchain_core.language_models.fake_chat_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk, Generation
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.rate_limiters import InMemoryRateLimiter
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from openai_server import OpenAIServer
from pydantic import BaseModel

import langmeter
from langmeter import semconv
from langmeter.caches import cached_stream
from langmeter.events import usd


class SyncStreaming(Chat):
    """Streams, and leaves the asynchronous side to LangChain."""

    _stream = StreamingChat._stream
    _chunks = StreamingChat._chunks


class RecordingCache(SyncOnly):
    """Remembers every key that it was asked for or given."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.given: list[tuple[str, str]] = []

    def lookup(self, prompt, llm_string):
        self.asked.append((prompt, llm_string))
        return super().lookup(prompt, llm_string)

    def update(self, prompt, llm_string, return_val):
        self.given.append((prompt, llm_string))
        super().update(prompt, llm_string, return_val)


class AsyncOnly(SyncOnly):
    """As the cache classes for asynchronous clients are: their synchronous side raises."""

    def lookup(self, prompt, llm_string):
        raise NotImplementedError

    def update(self, prompt, llm_string, return_val):
        raise NotImplementedError

    async def alookup(self, prompt, llm_string):
        return self.entries.get((prompt, llm_string))

    async def aupdate(self, prompt, llm_string, return_val):
        self.entries[prompt, llm_string] = return_val


def _stream(model, prompt, *, asynchronous):
    if asynchronous:
        return asyncio.run(collected(model.astream(prompt)))
    return list(model.stream(prompt))


def _merged(chunks):
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole += chunk
    return whole


# -- hits and misses ------------------------------------------------------------------------------------------------------

both_ways = pytest.mark.parametrize("asynchronous", [False, True], ids=["stream", "astream"])


@both_ways
@pytest.mark.parametrize("kind", [StreamingChat, SyncStreaming])
@pytest.mark.parametrize("make_cache", [InMemoryCache, SyncOnly])
def test_a_second_stream_is_a_hit_with_the_same_answer(instrumented, kind, make_cache, asynchronous):
    model = cached_stream(kind(cache=make_cache()))
    with langmeter.track() as usage:
        cold = _stream(model, "a", asynchronous=asynchronous)
        hot = _stream(model, "a", asynchronous=asynchronous)

    assert [chunk.content for chunk in cold][:3] == ["one ", "two ", "three"]
    (only,) = hot
    whole = _merged(cold)
    assert (only.content, only.id, only.response_metadata) == (whole.content, whole.id, whole.response_metadata)
    assert only.usage_metadata == {**usage_of("a"), "total_cost": 0}
    assert statuses(instrumented.spans()) == ["miss", "hit"]
    assert (usage.calls, usage.cost_usd, usage.saved_usd) == (1, usd(picodollars("a")), usd(picodollars("a")))
    metrics = instrumented.metrics()
    for status in ("miss", "hit"):
        assert total(metrics, "langchain.cache.requests", langchain__cache__status=status) == 1
        assert total(metrics, "langchain.cache.lookup.duration", langchain__cache__status=status) == 1
    assert total(metrics, "langchain.cache.requests") == 2
    assert total(metrics, "langchain.inference.requests") == 1


def test_the_span_of_a_streamed_hit_is_that_of_any_hit(instrumented):
    streaming = cached_stream(StreamingChat(cache=InMemoryCache()))
    streaming.invoke("a")
    list(streaming.stream("a"))
    streaming.invoke("a")

    _, streamed, invoked = (dict(span.attributes) for span in instrumented.spans())
    for hit in (streamed, invoked):
        assert isinstance(hit.pop(semconv.CACHE_TIME_SAVED), float)  # each less its own look-up
    assert streamed == invoked
    assert (streamed["langchain.cache.status"], streamed["langchain.usage.cost.amount"]) == ("hit", 0.0)


@both_ways
def test_streams_and_invoke_find_each_others_answers(instrumented, asynchronous):
    model = cached_stream(StreamingChat(cache=InMemoryCache()))
    streamed = _merged(_stream(model, "a", asynchronous=asynchronous))
    assert model.invoke("a").content == streamed.content
    invoked = model.invoke("b")
    assert [chunk.content for chunk in _stream(model, "b", asynchronous=asynchronous)] == [invoked.content]
    assert statuses(instrumented.spans()) == ["miss", "hit", "miss", "hit"]


@both_ways
def test_a_hit_of_a_cache_that_cannot_be_watched_is_not_billed(instrumented, asynchronous):
    cache = InMemoryCache()
    cache.lookup, cache.alookup = cache.lookup, cache.alookup  # found on the object, before any patch of its class
    model = cached_stream(StreamingChat(cache=cache))
    with langmeter.track() as usage:
        for _ in range(2):
            _stream(model, "a", asynchronous=asynchronous)

    assert statuses(instrumented.spans()) == [None, "hit"]
    assert (usage.calls, usage.cost_usd, usage.saved_usd) == (1, usd(picodollars("a")), usd(picodollars("a")))


def test_the_original_and_others_go_on_as_they_were(instrumented):
    cache = InMemoryCache()
    original = StreamingChat(cache=cache)
    cached = cached_stream(original)
    list(cached.stream("a"))
    assert len(list(original.stream("a"))) > 1
    assert original.invoke("a").content == "one two three"
    assert statuses(instrumented.spans()) == ["miss", "bypass", "hit"]


@both_ways
def test_it_asks_an_asynchronous_cache_asynchronously_and_any_cache_once(asynchronous):
    cache = AsyncOnly() if asynchronous else RecordingCache()
    for kind in (StreamingChat, SyncStreaming):
        model = cached_stream(kind(cache=cache))
        _stream(model, "a", asynchronous=asynchronous)
        assert len(_stream(model, "a", asynchronous=asynchronous)) == 1
        if not asynchronous:
            assert (len(cache.asked), len(cache.given)) == (2, 1)
            cache.asked.clear(), cache.given.clear(), cache.clear()
        else:
            cache.clear()


@pytest.mark.parametrize("kind", [StreamingChat, SyncStreaming])
def test_an_invoke_that_streams_inside_asks_once(kind):
    cache = RecordingCache()
    model = cached_stream(kind(cache=cache))
    model.invoke("a", stream=True)
    asyncio.run(model.ainvoke("b", stream=True))
    assert (len(cache.asked), len(cache.given)) == (2, 2)


def test_without_a_cache_and_with_it_switched_off_nothing_changes(instrumented):
    for model in (StreamingChat(), StreamingChat(cache=False)):
        cached = cached_stream(model)
        for _ in range(2):
            assert [chunk.content for chunk in cached.stream("a")] == [chunk.content for chunk in model.stream("a")]
    assert set(statuses(instrumented.spans())) == {None}


def test_the_global_cache_counts_from_the_moment_it_is_there(instrumented):
    model = cached_stream(StreamingChat())
    list(model.stream("a"))
    set_llm_cache(InMemoryCache())
    list(model.stream("a"))
    assert len(list(model.stream("a"))) == 1
    assert statuses(instrumented.spans()) == [None, "miss", "hit"]


def test_a_model_that_cannot_stream_falls_back_to_invoke_as_ever(instrumented):
    model = cached_stream(AsyncChat(cache=InMemoryCache()))
    assert [chunk.content for chunk in model.stream("a")] == [model.invoke("a").content]
    asyncio.run(collected(model.astream("a")))
    assert statuses(instrumented.spans()) == ["miss", "hit", "hit"]


def test_hits_and_misses_are_attributed_under_concurrency(instrumented):
    model = cached_stream(StreamingChat(cache=SyncOnly()))
    prompts = [f"p{number}" for number in range(60)]
    for prompt in prompts[::2]:
        model.invoke(prompt)
    before = len(instrumented.spans())

    async def go():
        await asyncio.gather(*[collected(model.astream(prompt)) for prompt in prompts])

    with langmeter.track() as usage:
        asyncio.run(go())
        (model | StrOutputParser()).batch(prompts, {"max_concurrency": 16})
    after = instrumented.spans()[before:]
    assert statuses(after[:60]).count("hit") == 30
    assert usage.cost_usd == usd(sum(picodollars(prompt) for prompt in prompts[1::2]))
    assert (usage.cache_hits, usage.cache_misses, usage.cache_bypasses) == (90, 30, 0)


# -- the model's own streams ----------------------------------------------------------------------------------------------


@both_ways
def test_a_model_that_changes_as_it_answers_goes_on_changing(asynchronous):
    model = cached_stream(FakeListChatModel(responses=["one", "two", "three"], cache=InMemoryCache()))
    answers = [
        "".join(chunk.content for chunk in _stream(model, prompt, asynchronous=asynchronous)) for prompt in "abab"
    ]
    assert answers == ["one", "two", "one", "two"]


class LazyClient(StreamingChat):
    """Makes its client when it is first needed, as langchain-anthropic's models do."""

    @functools.cached_property
    def client(self):
        return object()

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        kwargs["used"].append(self.client)
        async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
            yield chunk


def test_a_client_that_is_made_late_is_made_once():
    used = []
    model = cached_stream(LazyClient(cache=InMemoryCache()))
    for prompt in "abc":
        asyncio.run(collected(model.astream(prompt, used=used)))
    assert used == [model.client] * 3


class StreamsInside(StreamingChat):
    """`_generate` and `_agenerate` stream, with the run manager by position, as some of langchain-aws do."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        return generate_from_stream(self._stream(messages, stop, run_manager, **kwargs))

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        chunks = [chunk async for chunk in self._astream(messages, stop, run_manager, **kwargs)]
        return generate_from_stream(iter(chunks))


@pytest.mark.parametrize("make_cache", [lambda: None, RecordingCache], ids=["no cache", "cache"])
@both_ways
def test_a_run_manager_may_come_by_position(make_cache, asynchronous):
    cache = make_cache()
    model = cached_stream(StreamsInside(cache=cache))
    answer = asyncio.run(model.ainvoke("a")) if asynchronous else model.invoke("a")
    assert answer.content == "one two three"
    assert cache is None or len(cache.asked) == len(cache.given) == 1


def test_an_abandoned_asynchronous_stream_is_closed_at_once():
    closed = []

    class Closing(StreamingChat):
        async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
            try:
                async for chunk in super()._astream(messages, stop, run_manager, **kwargs):
                    yield chunk
            finally:
                closed.append(True)

    async def abandon(model):
        stream = model.astream("a")
        await anext(stream)
        await stream.aclose()
        return list(closed)

    assert asyncio.run(abandon(cached_stream(Closing(cache=InMemoryCache())))) == [True]


# -- what is not stored ---------------------------------------------------------------------------------------------------


@both_ways
def test_a_failed_stream_is_not_stored(instrumented, asynchronous):
    cache = InMemoryCache()
    model = cached_stream(StreamingChat(cache=cache))
    with pytest.raises(ProviderError):
        _stream(model, "fail", asynchronous=asynchronous)
    assert cache._cache == {}
    assert statuses(instrumented.spans()) == ["miss"]


def test_an_abandoned_stream_is_not_stored(instrumented):
    cache = InMemoryCache()
    model = cached_stream(StreamingChat(cache=cache))
    stream = model.stream("a")
    next(stream)
    stream.close()

    async def abandon():
        stream = model.astream("b")
        await anext(stream)
        await stream.aclose()

    asyncio.run(abandon())
    assert cache._cache == {}
    assert statuses(instrumented.spans()) == ["miss", "miss"]


class CutOff(StreamingChat):
    """Its connection closes before the last chunk, which LangChain takes for the end."""

    def _chunks(self, prompt):
        yield ChatGenerationChunk(message=AIMessageChunk("one ", response_metadata={"model_name": CHAT_MODEL}))
        if "cut" not in prompt:
            yield from super()._chunks(prompt)


def test_an_answer_without_a_finish_reason_is_not_stored():
    cache = InMemoryCache()
    model = cached_stream(CutOff(cache=cache))
    list(model.stream("cut"))
    assert cache._cache == {}
    list(model.stream("whole"))
    assert len(cache._cache) == 1


def test_a_model_that_tells_nothing_about_its_answers_is_stored():
    cache = InMemoryCache()
    model = cached_stream(GenericFakeChatModel(messages=iter([AIMessage("hello there")]), cache=cache))
    assert _merged(list(model.stream("a"))).content == "hello there"
    assert [chunk.content for chunk in model.stream("a")] == ["hello there"]


# -- odd caches -----------------------------------------------------------------------------------------------------------


class Broken(SyncOnly):
    def __init__(self, *broken: str) -> None:
        super().__init__()
        self.broken = broken

    def lookup(self, prompt, llm_string):
        if "lookup" in self.broken:
            raise ConnectionError("lookup")
        return super().lookup(prompt, llm_string)

    def update(self, prompt, llm_string, return_val):
        if "update" in self.broken:
            raise ConnectionError("update")


@both_ways
def test_a_look_up_that_raises_reaches_the_caller_as_it_does_from_invoke(instrumented, asynchronous):
    model = cached_stream(StreamingChat(cache=Broken("lookup")))
    with langmeter.track() as usage, pytest.raises(ConnectionError):
        _stream(model, "a", asynchronous=asynchronous)
    assert statuses(instrumented.spans()) == ["error"]
    assert (usage.cost_usd, usage.unpriced_calls, usage.cache_errors) == (Decimal(0), 0, 1)


def test_an_answer_that_cannot_be_stored_was_paid_for_all_the_same(instrumented):
    model = cached_stream(StreamingChat(cache=Broken("update")))
    received = []
    with langmeter.track() as usage, pytest.raises(ConnectionError):
        received.extend(chunk.content for chunk in model.stream("a"))
    assert (statuses(instrumented.spans()), usage.cost_usd) == (["miss"], usd(picodollars("a")))


@pytest.mark.parametrize("found", [(), None, ("x",)], ids=repr)
def test_what_is_no_list_is_a_miss(instrumented, found):
    cache = SyncOnly()
    cache.lookup = None
    model = cached_stream(StreamingChat(cache=type("Odd", (SyncOnly,), {"lookup": lambda *_: found})()))
    assert len(list(model.stream("a"))) > 1
    assert statuses(instrumented.spans()) == ["miss"]


def test_an_old_entry_that_holds_only_text_is_served_as_text(instrumented):
    model = StreamingChat(cache=RecordingCache())
    model.invoke("a")
    model.cache.entries = {key: [Generation(text="old")] for key in model.cache.entries}
    (chunk,) = cached_stream(model).stream("a")
    assert (type(chunk), chunk.content) == (AIMessageChunk, "old")
    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_a_stored_answer_stays_as_it_was_whatever_the_caller_does_with_the_chunk():
    cache = InMemoryCache()
    model = cached_stream(StreamingChat(cache=cache, output_version="v1"))
    list(model.stream("a"))
    ((stored,),) = cache._cache.values()
    stored.message.response_metadata["nested"] = {"x": 1}
    before = stored.model_copy(deep=True)
    for _ in range(2):
        (chunk,) = model.stream("a")
        chunk.content[0]["text"] = "changed"
        chunk.response_metadata["model_name"] = "changed"
        chunk.response_metadata["nested"]["x"] = 2
        chunk.usage_metadata["input_tokens"] = 0
    assert stored == before


# -- keys -----------------------------------------------------------------------------------------------------------------


class Serializable(StreamingChat):
    """As the models of partner packages are: LangChain's key holds the class's own name."""

    temperature: float = 0.0

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True


_MESSAGES = [SystemMessage("be brief", id="s"), HumanMessage("a", id="h"), AIMessage("b", id="x"), HumanMessage("c")]


@pytest.mark.parametrize("kind", [StreamingChat, Serializable])
@pytest.mark.parametrize(
    ("prompt", "arguments"),
    [
        pytest.param("a", {}, id="text"),
        pytest.param(_MESSAGES, {}, id="messages with ids"),
        pytest.param(
            [HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}])], {}, id="image"
        ),
        pytest.param("a", {"stop": ["x"]}, id="stop"),
        pytest.param("a", {"temperature": 1, "tools": [{"name": "t"}]}, id="arguments"),
    ],
)
def test_the_key_is_langchains_own(kind, prompt, arguments):
    cache = RecordingCache()

    class Answering(kind):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            return super()._generate([HumanMessage("c")])

        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            return super()._stream([HumanMessage("c")])

        async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
            async for chunk in super()._astream([HumanMessage("c")]):
                yield chunk

    model = Answering(cache=cache)
    cached = cached_stream(model)
    model.invoke(prompt, **arguments)
    list(cached.stream(prompt, **arguments))
    asyncio.run(collected(cached.astream(prompt, **arguments)))
    cached.invoke(prompt, **arguments)
    assert len(set(cache.asked)) == 1
    assert (len(cache.asked), len(cache.given)) == (4, 1)


class Indescribable(StreamingChat):
    def _get_llm_string(self, stop=None, **kwargs):
        raise KeyError("x")


def test_where_no_key_can_be_made_only_the_hits_are_missing(instrumented, caplog):
    cache = InMemoryCache()
    model = cached_stream(Indescribable(cache=cache))
    for _ in range(2):
        assert len(list(model.stream("a"))) > 1
    assert statuses(instrumented.spans()) == ["bypass", "bypass"]
    assert [record.message for record in caplog.records if "cached_stream" in record.message] == [
        "cached_stream does not use the response cache: its keys cannot be made (KeyError); streams work as without it"
    ]


# -- bound, composed, copied ----------------------------------------------------------------------------------------------


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return city


class Forecast(BaseModel):
    """A forecast."""

    city: str


class ToolCaller(StreamingChat):
    """Answers with a call of the tool that it was bound to, in two pieces."""

    def bind_tools(self, tools, *, tool_choice=None, **kwargs):
        names = [getattr(each, "name", None) or each.__name__ for each in tools]
        return self.bind(tools=names, **kwargs)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for number, arguments in enumerate(('{"city": ', '"Rome"}')):
            call = {"name": kwargs["tools"][0] if not number else None, "args": arguments, "id": "c1", "index": 0}
            yield ChatGenerationChunk(
                message=AIMessageChunk("", tool_call_chunks=[{**call, "type": "tool_call_chunk"}])
            )
        facts = {"model_name": CHAT_MODEL, "finish_reason": "tool_calls"}
        yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=usage_of("a"), response_metadata=facts))

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for chunk in self._stream(messages, stop, run_manager, **kwargs):
            yield chunk

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        raise AssertionError("only streams")


@both_ways
def test_tool_calls_survive(instrumented, asynchronous):
    model = cached_stream(ToolCaller(cache=InMemoryCache())).bind_tools([weather])
    cold = _merged(_stream(model, "a", asynchronous=asynchronous))
    (hot,) = _stream(model, "a", asynchronous=asynchronous)
    expected = [{"name": "weather", "args": {"city": "Rome"}, "id": "c1", "type": "tool_call"}]
    assert hot.tool_calls == cold.tool_calls == expected
    assert [json.loads(chunk["args"]) for chunk in hot.tool_call_chunks] == [{"city": "Rome"}]
    assert (hot + AIMessageChunk("", id=hot.id)).tool_calls == expected
    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_structured_output_streams_from_the_cache(instrumented):
    model = cached_stream(ToolCaller(cache=InMemoryCache())).with_structured_output(Forecast)
    assert list(model.stream("a"))[-1] == list(model.stream("a"))[-1] == Forecast(city="Rome")
    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_it_may_be_put_around_a_model_with_bound_arguments(instrumented):
    model = cached_stream(ToolCaller(cache=InMemoryCache()).bind_tools([weather]).with_config(tags=["t"]))
    list(model.stream("a"))
    assert len(list(model.stream("a"))) == 1
    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_a_chain_streams_from_the_cache(instrumented):
    chain = (
        ChatPromptTemplate.from_template("{x}")
        | cached_stream(StreamingChat(cache=InMemoryCache()))
        | StrOutputParser()
    )
    assert "".join(chain.stream({"x": "a"})) == "one two three"
    assert list(chain.stream({"x": "a"})) == ["one two three"]
    events = asyncio.run(collected(chain.astream_events({"x": "a"}, version="v2")))
    assert [event["data"]["chunk"].content for event in events if event["event"] == "on_chat_model_stream"] == [
        "one two three"
    ]
    assert statuses(instrumented.spans()) == ["miss", "hit", "hit"]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda model: model.model_copy(), lambda model: model])
def test_copies_do_as_the_model_does(copied):
    model = copied(cached_stream(StreamingChat(cache=SyncOnly())))
    list(model.stream("a"))
    assert len(list(model.stream("a"))) == 1
    assert isinstance(model, StreamingChat)
    assert cached_stream(model) is model


def test_it_pickles_where_the_model_does():
    model = pickle.loads(pickle.dumps(cached_stream(StreamingChat(cache=SyncOnly()))))  # noqa: S301  (our own bytes)
    list(model.stream("a"))
    assert len(list(model.stream("a"))) == 1


@pytest.mark.parametrize(
    ("other", "name"), [(Text(), "Text"), (StreamingChat() | StrOutputParser(), "RunnableSequence")]
)
def test_anything_but_a_chat_model_is_refused_with_the_fix(other, name):
    with pytest.raises(
        TypeError, match=rf"takes a chat model, got {name}; .* `prompt \| cached_stream\(model\) \| parser`"
    ):
        cached_stream(other)


def test_a_rate_limiter_is_asked_before_hits_too():
    """Documented: LangChain's `stream` asks it before the model's own code runs."""

    class Counting(InMemoryRateLimiter):
        asked = 0

        def acquire(self, *, blocking=True):
            Counting.asked += 1
            return True

    model = cached_stream(StreamingChat(cache=InMemoryCache(), rate_limiter=Counting(requests_per_second=1)))
    list(model.stream("a"))
    list(model.stream("a"))
    assert Counting.asked == 2


@pytest.mark.version_3
def test_version_3_streams_ask_no_cache_as_ever(instrumented, caplog):
    model = cached_stream(StreamingChat(cache=InMemoryCache()))
    list(model.stream("a"))
    for _ in model.stream_events("a", version="v3"):
        pass
    assert statuses(instrumented.spans()) == ["miss", "bypass"]
    assert caplog.records == []


# -- a real client --------------------------------------------------------------------------------------------------------


def test_an_openai_model_streams_from_the_cache(instrumented):
    with OpenAIServer() as server:
        model = ChatOpenAI(
            model=CHAT_MODEL, base_url=server.base_url, api_key="k", cache=InMemoryCache(), stream_usage=True
        )
        cached = cached_stream(model)
        cold = _merged(list(cached.stream("a")))
        (hot,) = cached.stream("a")
        assert (hot.content, hot.id, hot.usage_metadata["total_cost"]) == (cold.content, cold.id, 0)
        assert cached._get_llm_string() == model._get_llm_string()
    assert statuses(instrumented.spans()) == ["miss", "hit"]


def test_it_works_without_instrumentation():
    code = """
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langmeter.caches import cached_stream
model = cached_stream(GenericFakeChatModel(messages=iter([AIMessage("a b")]), cache=InMemoryCache()))
print(len(list(model.stream("q"))) > 1, len(list(model.stream("q"))))
"""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert (result.stdout, result.stderr) == ("True 1\n", "")
