"""Switching on, off and on again, with handlers passed by hand besides; and what a bug of ours does to the host: nothing."""

from __future__ import annotations

import asyncio
import importlib
import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from cache_models import (
    AsyncChat,
    AsyncText,
    Chat,
    Gate,
    GatedChat,
    ProviderError,
    StreamingChat,
    Text,
    picodollars,
    statuses,
    total,
    usage_of,
)
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_core.callbacks.manager import AsyncCallbackManager, CallbackManager
from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.llms import BaseLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.tracers import context as tracers_context

import langmeter
from langmeter import boundary
from langmeter.events import usd
from langmeter.langchain import answers, extract, instrumentor
from langmeter.pricing.catalog import Catalog
from langmeter.telemetry.metrics import Metrics
from langmeter.telemetry.spans import Spans
from langmeter.tracking import Usage

OWNERS = (
    BaseChatModel,
    BaseLLM,
    AsyncCallbackManager,
    CallbackManager,
    BaseCache,
    InMemoryCache,
    importlib.import_module("langchain_core.runnables.config"),
    importlib.import_module("langchain_core.callbacks.manager"),
    importlib.import_module("langchain_core.language_models.chat_models"),
    importlib.import_module("langchain_core.language_models.llms"),
)


def _patched(before):
    """The attributes of LangChain that are no longer the identical objects."""
    return [
        (owner.__name__, name)
        for owner, values in zip(OWNERS, before, strict=True)
        for name in values.keys() | vars(owner).keys()
        if vars(owner).get(name, owner) is not values.get(name, owner)
    ]


def _attributes():
    return [dict(vars(owner)) for owner in OWNERS]


def _handler(telemetry, settings=None):
    return langmeter.CallbackHandler(
        settings, tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )


@pytest.fixture(autouse=True)
def _off_afterwards():
    yield
    left_open = instrumentor.open_runs()
    langmeter.LangChainInstrumentor().uninstrument()
    langmeter.uninstrument()
    assert left_open == 0


# -- on, off and on again ---------------------------------------------------------------------------------------------------


def test_a_second_instrument_with_the_same_settings_does_nothing(telemetry):
    langmeter.instrument(**telemetry.providers, operation_cost=True)
    before = _attributes()
    langmeter.instrument(langmeter.Settings(operation_cost=True), **telemetry.providers)
    Chat().invoke("a")

    assert _patched(before) == []
    assert len(telemetry.spans()) == 1


@pytest.mark.parametrize("other", [{"operation_cost": True}, {"enabled": False}])
def test_a_second_instrument_with_other_settings_is_refused(telemetry, other):
    langmeter.instrument(**telemetry.providers)
    with pytest.raises(langmeter.SettingsError, match=r"other settings.*uninstrument"):
        langmeter.instrument(**telemetry.providers, **other)
    Chat().invoke("a")

    assert len(telemetry.spans()) == 1


def test_a_second_instrument_with_other_providers_is_refused(make_telemetry):
    first, second = make_telemetry(), make_telemetry()
    langmeter.instrument(**first.providers)
    with pytest.raises(langmeter.SettingsError):
        langmeter.instrument(**second.providers)
    Chat().invoke("a")

    assert (len(first.spans()), len(second.spans())) == (1, 0)


def test_after_uninstrument_other_settings_are_welcome(telemetry):
    langmeter.instrument(**telemetry.providers)
    langmeter.uninstrument()
    langmeter.instrument(**telemetry.providers, operation_cost=True)
    Chat().invoke("a")

    assert total(telemetry.metrics(), "langchain.operation.cost") == 1


def test_uninstrument_before_instrument_and_twice_is_harmless(telemetry):
    before = _attributes()
    langmeter.uninstrument()
    langmeter.instrument(**telemetry.providers)
    langmeter.uninstrument()
    langmeter.uninstrument()
    Chat().invoke("a")

    assert (_patched(before), telemetry.spans()) == ([], [])


def test_cycles_keep_the_totals(telemetry):
    """A counter that went back to 0 would be a loss in one backend and a reset in another."""
    prompts = [f"p{number}" for number in range(10)]
    for prompt in prompts:
        langmeter.instrument(**telemetry.providers)
        Chat().invoke(prompt)
        langmeter.uninstrument()
        Chat().invoke("not seen")

    metrics = telemetry.metrics()
    assert total(metrics, "langchain.inference.requests") == len(prompts)
    assert total(metrics, "gen_ai.client.inference.duration") == len(prompts)
    assert round(total(metrics, "langchain.usage.cost") * 1e12) == sum(map(picodollars, prompts))
    assert len(metrics["langchain.inference.requests"]) == 1


def test_enabled_false_does_nothing_at_all(telemetry):
    before = _attributes()
    langmeter.instrument(**telemetry.providers, enabled=False)
    Chat().invoke("a")

    assert (_patched(before), telemetry.spans(), telemetry.metrics()) == ([], [], {})
    langmeter.instrument(**telemetry.providers)
    Chat().invoke("a")
    assert len(telemetry.spans()) == 1


def test_an_unknown_option_is_refused_and_nothing_is_switched_on(telemetry):
    before = _attributes()
    with pytest.raises(langmeter.SettingsError, match="operation_cost"):
        langmeter.instrument(**telemetry.providers, operation_costs=True)

    assert _patched(before) == []


def test_single_options_win_over_settings(telemetry):
    langmeter.instrument(
        langmeter.Settings(operation_cost=False, legacy_metrics=True), operation_cost=True, **telemetry.providers
    )
    Chat().invoke("a")

    metrics = telemetry.metrics()
    assert {"langchain.operation.cost", "gen_ai.client.operation.duration"} <= metrics.keys()


def test_the_instrumentor_is_the_same_switch(telemetry):
    before = _attributes()
    entry_point = langmeter.LangChainInstrumentor()
    entry_point.instrument(**telemetry.providers, operation_cost=True, unknown_to_us="passed on by some tools")
    Chat().invoke("a")
    assert entry_point.is_instrumented_by_opentelemetry
    langmeter.instrument(**telemetry.providers, operation_cost=True)
    entry_point.uninstrument()
    Chat().invoke("b")

    assert (len(telemetry.spans()), _patched(before)) == (1, [])
    assert total(telemetry.metrics(), "langchain.operation.cost") == 1


def test_the_instrumentor_switches_on_again_after_uninstrument(telemetry):
    """`langmeter.uninstrument()` may follow the entry point's `instrument()`; the entry point must not believe it is still on."""
    langmeter.LangChainInstrumentor().instrument(**telemetry.providers)
    langmeter.uninstrument()
    langmeter.LangChainInstrumentor().instrument(**telemetry.providers)
    Chat().invoke("a")

    assert len(telemetry.spans()) == 1


def test_existing_models_chains_and_earlier_imports_are_covered(telemetry):
    from langchain_core.language_models.chat_models import BaseChatModel as ImportedEarlier

    class DefinedEarlier(ImportedEarlier):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            return Chat()._answer(messages[-1].content)

        @property
        def _llm_type(self):
            return "earlier"

    model, chain, bound = Chat(), StreamingChat() | StrOutputParser(), AsyncText().bind(stop=["x"])
    invoke, generate = model.invoke, ImportedEarlier.generate
    langmeter.instrument(**telemetry.providers)
    invoke("a")
    chain.invoke("b")
    list(chain.stream("c"))
    bound.invoke("d")
    DefinedEarlier().invoke("e")
    generate(model, [[__import__("langchain_core.messages").messages.HumanMessage("f")]])

    assert len(telemetry.spans()) == 6


# -- handlers passed by hand --------------------------------------------------------------------------------------------------


async def _consume(stream):
    return [each async for each in stream]


def _run_all(model, text, config):
    """One call of every kind: eight in all."""
    model.invoke("a", config)
    asyncio.run(model.ainvoke("b", config))
    list(model.stream("c", config))
    asyncio.run(_consume(model.astream("d", config)))
    model.batch(["e"], config)
    text.invoke("f", config)
    asyncio.run(text.ainvoke("g", config))
    (model | StrOutputParser()).invoke("h", config)


@pytest.mark.parametrize("place", ["config", "constructor", "both", "two in the config"])
def test_with_instrument_a_passed_handler_is_silent(telemetry, make_telemetry, place):
    langmeter.instrument(**telemetry.providers)
    elsewhere = make_telemetry()
    handlers = [_handler(telemetry), _handler(elsewhere)]
    constructor = handlers if place in ("constructor", "both") else None
    config = {"callbacks": handlers} if place in ("config", "both", "two in the config") else {}
    with langmeter.track() as usage:
        _run_all(StreamingChat(callbacks=constructor), AsyncText(callbacks=constructor), config)

    assert (len(telemetry.spans()), usage.calls) == (8, 8)
    assert total(telemetry.metrics(), "langchain.inference.requests") == 8
    assert (elsewhere.spans(), elsewhere.metrics()) == ([], {})


@pytest.mark.parametrize("place", ["config", "constructor", "both", "two in the config"])
def test_without_instrument_two_handlers_alike_count_once(telemetry, place):
    handlers = [_handler(telemetry), _handler(telemetry)]
    constructor = handlers if place in ("constructor", "both") else None
    config = {"callbacks": handlers} if place in ("config", "both", "two in the config") else {}
    _run_all(StreamingChat(callbacks=constructor), AsyncText(callbacks=constructor), config)

    assert len(telemetry.spans()) == 8
    assert total(telemetry.metrics(), "langchain.inference.requests") == 8


def test_ruling_15_a_handler_alone_gives_spans_tokens_cost_and_chat_hits_and_patches_nothing(telemetry):
    before, hooks = _attributes(), list(tracers_context._configure_hooks)
    handler = _handler(telemetry)
    config = {"callbacks": [handler]}
    model, text = Chat(cache=InMemoryCache()), Text(cache=InMemoryCache())
    for each in (model, text):
        each.invoke("a", config)
        each.invoke("a", config)
    with pytest.raises(ProviderError):
        model.invoke("fail", config)

    assert _patched(before) == []
    assert tracers_context._configure_hooks == hooks
    # LangChain says nothing about a text model's hit, so that one has no span here.
    miss, hit, text_call, failed = telemetry.spans()
    assert [span.name.split()[0] for span in (miss, hit, text_call, failed)] == [
        "chat",
        "chat",
        "text_completion",
        "chat",
    ]
    assert statuses([miss, hit, text_call, failed]) == [None, "hit", None, None]
    assert [span.attributes.get("gen_ai.usage.input_tokens") for span in (miss, hit, failed)] == [
        usage_of("a")["input_tokens"],
        0,
        None,
    ]
    assert [span.attributes.get("langchain.usage.cost.amount") for span in (miss, hit, failed)] == [
        float(usd(picodollars("a"))),
        0.0,
        None,
    ]
    assert failed.attributes["error.type"] == "cache_models.ProviderError"
    metrics = telemetry.metrics()
    assert total(metrics, "langchain.inference.requests") == 3
    assert total(metrics, "langchain.cache.requests", langchain__cache__status="hit") == 1
    assert round(total(metrics, "langchain.cache.saved.cost") * 1e12) == picodollars("a")


def test_a_thousand_handlers_share_their_totals(telemetry):
    """Instruments live once per provider: a second set would silently lose its callbacks. Settings may differ."""
    for number in range(1_000):
        settings = langmeter.Settings(operation_cost=bool(number % 2))
        Chat().invoke("a", {"callbacks": [_handler(telemetry, settings)]})

    metrics = telemetry.metrics()
    assert [value for _, value in metrics["langchain.inference.requests"]] == [1_000]
    assert round(total(metrics, "langchain.usage.cost") * 1e12) == 1_000 * picodollars("a")
    assert total(metrics, "langchain.operation.cost") == 500


# -- while calls are in flight ------------------------------------------------------------------------------------------------


def test_uninstrument_while_calls_are_in_flight(telemetry):
    langmeter.instrument(**telemetry.providers)
    gate = Gate()
    stream, text = StreamingChat().stream("b"), StreamingChat().stream("c")
    next(stream)
    next(text)
    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(GatedChat(gate=gate).invoke, "a")
        assert gate.reached.wait(30)
        langmeter.uninstrument()
        gate.opened.set()
        assert future.result().content == "answer"
    list(stream)
    text.close()
    Chat().invoke("not seen")

    assert sorted(span.attributes.get("gen_ai.response.id", "closed") for span in telemetry.spans()) == [
        "answer to a",
        "answer to b",
        "closed",
    ]
    assert total(telemetry.metrics(), "langchain.inference.requests") == 3
    assert instrumentor.open_runs() == 0


def test_uninstrument_while_asynchronous_calls_are_in_flight(telemetry):
    langmeter.instrument(**telemetry.providers)

    async def scenario():
        arrived, released = asyncio.Semaphore(0), asyncio.Event()

        async def wait():
            arrived.release()
            await released.wait()

        class WaitingChat(AsyncChat):
            async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
                await wait()
                return self._answer(messages[-1].content)

        class WaitingText(AsyncText):
            async def _agenerate(self, prompts, stop=None, run_manager=None, **kwargs):
                await wait()
                return self._answer(prompts)

        model, text = WaitingChat(cache=InMemoryCache()), WaitingText(cache=InMemoryCache())
        calls = [asyncio.create_task(model.ainvoke(f"p{number}")) for number in range(20)]
        calls.append(asyncio.create_task(text.ainvoke("text")))
        for _ in calls:
            await arrived.acquire()
        langmeter.uninstrument()
        released.set()
        await asyncio.gather(*calls)

    asyncio.run(scenario())
    assert statuses(telemetry.spans()) == ["miss"] * 21
    assert {span.attributes["langchain.usage.cost.status"] for span in telemetry.spans()} == {"priced"}
    assert instrumentor.open_runs() == 0


def test_switching_under_fire(telemetry):
    """Models at work on eight threads while langmeter goes on and off: nothing is raised, nothing stays open."""
    stop = Gate()

    def work(thread):
        model, text, count = StreamingChat(cache=InMemoryCache()), Text(cache=InMemoryCache()), 0
        while not stop.opened.is_set():
            prompt = f"{thread}-{count % 5}"
            assert model.invoke(prompt).content == "answer"
            assert text.invoke(prompt) == "answer"
            assert len(list(model.stream(prompt))) >= 3
            count += 1
        return count

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(work, thread) for thread in range(8)]
        for _ in range(40):
            langmeter.instrument(**telemetry.providers)
            langmeter.uninstrument()
        stop.opened.set()
        assert all(future.result() > 0 for future in futures)

    assert instrumentor.open_runs() == 0


# -- a bug of ours --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def _tolerant():
    """As in production: what is broken in us is counted and dropped."""
    boundary.reset_counts()
    boundary.set_strict(False)
    yield
    boundary.set_strict(True)
    boundary.reset_counts()


def _scenario(model):
    """What the application sees of a good call, a stream, a bad call and a hit."""
    seen = [model.invoke("a").content, model.invoke("a").content]
    seen.append("".join(chunk.text if isinstance(chunk.text, str) else chunk.text() for chunk in model.stream("b")))
    seen.append(asyncio.run(model.ainvoke("c")).content)
    for call in (lambda: model.invoke("fail"), lambda: list(model.stream("fail"))):
        try:
            call()
        except ProviderError as error:
            seen.append(repr(error))
    return seen


@pytest.mark.usefixtures("_tolerant")
@pytest.mark.parametrize(
    ("owner", "name", "spans"),
    [
        (answers, "read", 6),
        (answers, "_usage", 6),
        (answers, "read_partial", 6),
        (answers, "stored_usage", 6),
        (extract, "model_response", 6),
        (extract, "failure", 6),
        (extract, "error_type", 6),
        (extract, "_stack", 6),
        (extract, "_parameters", 0),
        (extract, "model_request", 0),
        (Catalog, "price", 6),
        (Metrics, "record", 6),
        (Spans, "describe", 6),
        (Spans, "start", 0),
        (Usage, "record", 6),
    ],
)
def test_a_bug_of_ours_costs_telemetry_and_never_the_application(telemetry, monkeypatch, caplog, owner, name, spans):
    """Whatever raises inside: same results, same exceptions, every opened span ended, nothing left open, and it is counted."""
    expected = _scenario(StreamingChat(cache=InMemoryCache()))

    def broken(*args, **kwargs):
        raise RuntimeError("a bug of ours, quoting a prompt")

    langmeter.instrument(**telemetry.providers)
    monkeypatch.setattr(owner, name, broken)
    with caplog.at_level(logging.WARNING, "langmeter"), langmeter.track():
        seen = _scenario(StreamingChat(cache=InMemoryCache()))
    monkeypatch.undo()

    assert seen == expected
    assert instrumentor.open_runs() == 0
    assert len(telemetry.spans()) == spans
    errors = {
        attributes["langchain.instrumentation.stage"]: count
        for attributes, count in telemetry.metrics()["langchain.instrumentation.errors"]
    }
    assert errors == boundary.error_counts()
    assert sum(errors.values()) > 0
    assert "langmeter failed in" in caplog.text
    assert "quoting a prompt" not in caplog.text


@pytest.mark.usefixtures("_tolerant")
def test_a_bug_of_ours_in_one_sink_leaves_the_others_whole(telemetry, monkeypatch):
    langmeter.instrument(**telemetry.providers)

    def broken(*args, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(Metrics, "record", broken)
    with langmeter.track() as usage:
        Chat().invoke("a")

    (span,) = telemetry.spans()
    assert span.attributes["langchain.usage.cost.amount"] == float(usage.cost_usd) == float(usd(picodollars("a")))
