"""`langmeter.track()`: what a block of code spent, whoever runs it, with and without `instrument()`."""

from __future__ import annotations

import asyncio
import contextvars
import json
import math
import random
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from cache_models import (
    CHAT_MODEL,
    TEXT_MODEL,
    TEXT_PRICE,
    AsyncChat,
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
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.runnables import RunnableLambda, RunnableParallel

import langmeter
from langmeter.events import Cost, CostParts, ModelCall, ModelRequest, ModelResponse, PricedCall, usd

MINI_PRICE = (150_000, 600_000)


def _spent(*prompts: str) -> tuple[int, int, int, Decimal]:
    """Calls, input tokens, output tokens and money of chat calls with these prompts."""
    usages = [usage_of(prompt) for prompt in prompts]
    return (
        len(prompts),
        sum(usage["input_tokens"] for usage in usages),
        sum(usage["output_tokens"] for usage in usages),
        usd(sum(map(picodollars, prompts))),
    )


def _figures(usage: langmeter.Usage) -> tuple[int, int, int, Decimal]:
    return usage.calls, usage.input_tokens, usage.output_tokens, usage.cost_usd


@pytest.fixture(params=["instrumented", "alone"])
def either_way(request):
    """The same with `instrument()` in force and without it."""
    if request.param == "instrumented":
        request.getfixturevalue("instrumented")


# -- what is counted --------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("either_way")
def test_blocks_nest():
    model = Chat()
    with langmeter.track() as outer:
        model.invoke("a")
        with langmeter.track() as inner:
            model.invoke("b")
            with langmeter.track() as innermost:
                model.invoke("c")
        model.invoke("d")
    model.invoke("after")

    assert _figures(outer) == _spent("a", "b", "c", "d")
    assert _figures(inner) == _spent("b", "c")
    assert _figures(innermost) == _spent("c")


@pytest.mark.usefixtures("either_way")
def test_every_item_of_a_batch_counts_once():
    prompts = [f"p{number}" for number in range(20)]
    with langmeter.track() as usage:
        AsyncChat().batch(prompts, {"max_concurrency": 8})
        asyncio.run(AsyncChat().abatch(prompts))
        RunnableParallel(one=Chat(), two=RunnableLambda(lambda text: Chat().invoke(text))).invoke("a")

    assert _figures(usage) == _spent(*prompts, *prompts, "a", "a")


@pytest.mark.usefixtures("either_way")
def test_a_text_batch_counts_every_prompt_and_its_usage_once():
    with langmeter.track() as usage:
        Text().batch(["a", "b", "c"])

    expected = sum(picodollars(prompt, TEXT_PRICE) for prompt in "abc")
    tokens = sum(usage_of(prompt)["total_tokens"] for prompt in "abc")
    assert (usage.calls, usage.total_tokens, usage.cost_usd, usage.unpriced_calls) == (3, tokens, usd(expected), 0)


@pytest.mark.usefixtures("either_way")
def test_threads_count_in_a_copy_of_the_context():
    def count(prompts):
        with langmeter.track() as own:
            for prompt in prompts:
                Chat().invoke(prompt)
        return _figures(own)

    parts = [[f"{thread}-{number}" for number in range(10)] for thread in range(8)]
    with langmeter.track() as usage, ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(contextvars.copy_context().run, count, part) for part in parts]
        owns = [future.result() for future in futures]
        pool.submit(Chat().invoke, "a thread without the context").result()

    assert owns == [_spent(*part) for part in parts]
    assert _figures(usage) == _spent(*[prompt for part in parts for prompt in part])


@pytest.mark.usefixtures("either_way")
def test_tasks_count_where_they_were_made():
    async def scenario():
        model = AsyncChat(delay=0.001)
        started = asyncio.Event()

        async def earlier():
            await started.wait()
            await model.ainvoke("from before the block")

        async def block(name):
            with langmeter.track() as own:
                await asyncio.gather(*[model.ainvoke(f"{name}{number}") for number in range(5)])
            return own

        before = asyncio.create_task(earlier())
        await asyncio.sleep(0)
        with langmeter.track() as usage:
            started.set()
            blocks = await asyncio.gather(block("x"), block("y"))
            await before
        return usage, blocks

    usage, (x, y) = asyncio.run(scenario())
    in_x, in_y = ([f"{name}{number}" for number in range(5)] for name in "xy")
    assert (_figures(x), _figures(y), _figures(usage)) == (_spent(*in_x), _spent(*in_y), _spent(*in_x, *in_y))


@pytest.mark.usefixtures("either_way")
def test_streams_count_also_when_they_end_after_the_block():
    with langmeter.track() as usage:
        list(StreamingChat().stream("a"))
        late = StreamingChat().stream("b")
        next(late)
    list(late)

    assert _figures(usage) == _spent("a", "b")
    assert usage.time_to_first_chunk_percentile(0.5) is not None


@pytest.mark.usefixtures("either_way")
def test_a_call_from_before_the_block_is_not_the_blocks():
    stream = StreamingChat().stream("a")
    next(stream)
    with langmeter.track() as usage:
        list(stream)
        Chat().invoke("b")

    assert _figures(usage) == _spent("b")


@pytest.mark.usefixtures("either_way")
def test_replayed_answers_are_saved_and_never_spent():
    model, text = Chat(cache=InMemoryCache()), Text(cache=InMemoryCache())
    model.invoke("a")
    text.invoke("a")
    with langmeter.track() as usage:
        for _ in range(3):
            model.invoke("a")
        text.invoke("a")
        model.invoke("b")

    assert _figures(usage) == _spent("b")
    assert usage.saved_usd == usd(3 * picodollars("a"))
    assert usage.saved_tokens == 3 * usage_of("a")["total_tokens"]
    assert (usage.cache_hits, usage.cache_misses, usage.hit_ratio) == (4, 1, 4 / 5)


@pytest.mark.usefixtures("either_way")
def test_a_price_that_is_not_known_is_counted_and_never_zero():
    with langmeter.track() as usage:
        Chat(model_name="model-of-nobody").invoke("a")
        Chat().invoke("b")
        with pytest.raises(ProviderError):
            Chat().invoke("fail")

    assert (usage.calls, usage.errors, usage.unpriced_calls) == (3, 1, 1)
    assert usage.cost_usd == usd(picodollars("b"))
    assert usage.by_model["model-of-nobody"].unpriced_calls == 1


@pytest.mark.usefixtures("either_way")
def test_by_model_splits_every_figure():
    with langmeter.track() as usage:
        Chat().invoke("a")
        Chat(model_name="gpt-4o-mini").invoke("b")
        Text().invoke("c")

    figures = {name: _figures(part) for name, part in usage.by_model.items()}
    costs = {
        CHAT_MODEL: picodollars("a"),
        "gpt-4o-mini": picodollars("b", MINI_PRICE),
        TEXT_MODEL: picodollars("c", TEXT_PRICE),
    }
    prompts = {CHAT_MODEL: "a", "gpt-4o-mini": "b", TEXT_MODEL: "c"}
    assert figures == {name: (*_spent(prompts[name])[:3], usd(cost)) for name, cost in costs.items()}
    assert usage.cost_usd == usd(sum(costs.values()))
    assert all(part.by_model == {} for part in usage.by_model.values())


@pytest.mark.usefixtures("either_way")
def test_to_dict_is_json_and_says_everything():
    model = StreamingChat(cache=InMemoryCache())
    with langmeter.track() as usage:
        model.invoke("a")
        model.invoke("a")
        list(model.stream("b"))
        with pytest.raises(ProviderError):
            Chat().invoke("fail")

    told = json.loads(json.dumps(usage.to_dict()))
    times = [
        figures.pop(name)
        for figures in (told, told["by_model"][CHAT_MODEL])
        for name in ("duration_seconds", "time_to_first_chunk_seconds", "tokens_per_second")
    ]
    calls, input_tokens, output_tokens, cost = _spent("a", "b")
    figures = {
        "calls": calls + 1,
        "errors": 1,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        "cache_read_tokens": 0,
        "cache_write_tokens": 0,
        "reasoning_tokens": 0,
        "saved_tokens": usage_of("a")["total_tokens"],
        "cache_hits": 1,
        "cache_misses": 1,
        "cache_errors": 0,
        "cache_bypasses": 1,
        "hit_ratio": 0.5,
        "unpriced_calls": 0,
        "estimated_calls": 0,
        "estimated_tokens": 0,
        "estimated_usd": "0",
        "cost_usd": str(cost),
        "saved_usd": str(usd(picodollars("a"))),
    }
    assert told == {**figures, "by_model": {CHAT_MODEL: figures}}
    assert times[:3] == times[3:]
    assert sorted(times[0]) == sorted(times[1]) == ["p50", "p95"]
    assert Decimal(told["cost_usd"]) == usage.cost_usd


def test_a_block_without_calls_says_so():
    with langmeter.track() as usage:
        pass

    nothing = usage.to_dict()
    percentiles = {"p50": None, "p95": None}
    assert nothing.pop("duration_seconds") == nothing.pop("time_to_first_chunk_seconds") == percentiles
    assert {name for name, value in nothing.items() if value} == {"cost_usd", "estimated_usd", "saved_usd"}
    assert (usage.cost_usd, usage.hit_ratio, usage.tokens_per_second, usage.by_model) == (Decimal(0), None, None, {})


def test_an_exception_leaves_the_block_and_its_figures_stay():
    seen = []

    def broken_application():
        with langmeter.track() as usage:
            seen.append(usage)
            Chat().invoke("a")
            raise RuntimeError("of the application")

    with pytest.raises(RuntimeError, match="of the application"):
        broken_application()
    Chat().invoke("b")

    assert _figures(seen[0]) == _spent("a")


# -- figures that need known durations ----------------------------------------------------------------------------------------


def _timed(seconds: float, first_chunk: float | None = None) -> PricedCall:
    request = ModelRequest("chat", "openai", CHAT_MODEL)
    call = ModelCall(request, ModelResponse(), 0, seconds, first_chunk, streamed=first_chunk is not None)
    return PricedCall(call, Cost("priced", CostParts(input=1)))


@pytest.mark.parametrize("median", [0.0004, 0.05, 2.0, 900.0])
def test_percentiles_are_within_one_percent(median):
    numbers = random.Random(median)
    seconds = [numbers.lognormvariate(math.log(median), 1.0) for _ in range(5_000)]
    usage = langmeter.Usage()
    for each in seconds:
        usage.record(_timed(each, each / 3))

    ordered = sorted(seconds)
    for quantile in (0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0):
        exact = ordered[int(quantile * (len(ordered) - 1))]
        assert usage.duration_percentile(quantile) == pytest.approx(exact, rel=0.01)
        assert usage.time_to_first_chunk_percentile(quantile) == pytest.approx(exact / 3, rel=0.01)


# -- without instrument() -----------------------------------------------------------------------------------------------------


def test_ruling_16_without_instrument_the_block_installs_for_itself_and_takes_everything_off_again():
    before = dict(vars(BaseChatModel))
    with langmeter.track() as usage:
        Chat().invoke("a")
        assert vars(BaseChatModel)["generate"] is not before["generate"]
        with langmeter.track():
            pass
        Chat().invoke("b")
    Chat().invoke("after")

    assert _figures(usage) == _spent("a", "b")
    assert [name for name, value in before.items() if vars(BaseChatModel)[name] is not value] == []


def test_ruling_16_without_instrument_nothing_is_exported():
    """Not even to the providers that the application has set globally."""
    program = textwrap.dedent(
        """
        import sys
        sys.path[:0] = sys.argv[1:]
        from conftest import Telemetry
        from cache_models import Chat, ProviderError
        from opentelemetry import _logs, metrics, trace
        import langmeter

        telemetry = Telemetry()
        trace.set_tracer_provider(telemetry.tracer_provider)
        metrics.set_meter_provider(telemetry.meter_provider)
        _logs.set_logger_provider(telemetry.logger_provider)
        with langmeter.track() as usage:
            Chat().invoke("a")
            try: Chat().invoke("fail")
            except ProviderError: pass
        print(usage.calls, usage.errors, len(telemetry.spans()), telemetry.metrics(), len(telemetry.logs()))
        """
    )
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", program, str(here.parent), str(here)], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("2 1 0 {} 0", 0), done.stderr


def test_with_a_passed_handler_the_call_counts_once_and_its_telemetry_is_still_emitted(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    model = Chat(cache=InMemoryCache(), callbacks=[handler])
    with langmeter.track() as usage:
        Chat().invoke("a", {"callbacks": [handler]})
        model.invoke("b")
        model.invoke("b", {"callbacks": [handler]})
        asyncio.run(AsyncChat().ainvoke("c", {"callbacks": [handler]}))

    assert _figures(usage) == _spent("a", "b", "c")
    assert (usage.cache_hits, usage.saved_usd) == (1, usd(picodollars("b")))
    assert len(telemetry.spans()) == 4
    assert statuses(telemetry.spans())[2] == "hit"
    assert total(telemetry.metrics(), "langchain.inference.requests") == 3


def test_two_passed_handlers_with_telemetry_of_their_own_count_once(make_telemetry):
    both = [make_telemetry(), make_telemetry()]
    handlers = [
        langmeter.CallbackHandler(tracer_provider=each.tracer_provider, meter_provider=each.meter_provider)
        for each in both
    ]
    with langmeter.track() as usage:
        Chat().invoke("a", {"callbacks": handlers})

    assert _figures(usage) == _spent("a")
    assert [len(each.spans()) for each in both] == [1, 1]


def test_instrument_inside_a_block_takes_over(telemetry, instrument):
    model = Chat()
    with langmeter.track() as usage:
        model.invoke("a")
        instrument(telemetry)
        model.invoke("b")
    model.invoke("c")

    assert _figures(usage) == _spent("a", "b")
    assert [span.attributes["gen_ai.response.id"] for span in telemetry.spans()] == ["answer to b", "answer to c"]


def test_a_call_under_way_while_instrument_takes_over_counts_once(telemetry, instrument):
    gate = Gate()
    with langmeter.track() as usage, ThreadPoolExecutor(1) as pool:
        future = pool.submit(contextvars.copy_context().run, GatedChat(gate=gate).invoke, "a")
        assert gate.reached.wait(30)
        instrument(telemetry)
        gate.opened.set()
        future.result()

    assert _figures(usage) == _spent("a")
    assert telemetry.spans() == []


@pytest.mark.parametrize("opened_when", ["instrumented", "alone"])
def test_ruling_16_after_uninstrument_inside_a_block_it_goes_on_counting(telemetry, opened_when):
    if opened_when == "instrumented":
        langmeter.instrument(**telemetry.providers)
    before = None
    with langmeter.track() as usage:
        langmeter.instrument(**telemetry.providers)
        Chat().invoke("a")
        langmeter.uninstrument()
        Chat().invoke("b")
        before = len(telemetry.spans())
    Chat().invoke("after")

    assert _figures(usage) == _spent("a", "b")
    assert (before, len(telemetry.spans())) == (1, 1)


# -- blocks that overlap --------------------------------------------------------------------------------------------------------


def test_overlapping_blocks_in_two_threads():
    """The first block to end must not take the installation away from the other."""
    opened, closed = threading.Event(), threading.Event()

    def longer():
        with langmeter.track() as own:
            Chat().invoke("a")
            opened.set()
            assert closed.wait(30)
            Chat().invoke("b")
        return own

    with ThreadPoolExecutor(1) as pool:
        with langmeter.track() as shorter:
            future = pool.submit(longer)
            assert opened.wait(30)
            Chat().invoke("c")
        closed.set()
        own = future.result()

    assert _figures(shorter) == _spent("c")
    assert _figures(own) == _spent("a", "b")


@pytest.mark.usefixtures("either_way")
def test_blocks_left_out_of_order():
    model = Chat()
    first, second = langmeter.track(), langmeter.track()
    one = first.__enter__()
    model.invoke("a")
    two = second.__enter__()
    model.invoke("b")
    first.__exit__(None, None, None)
    model.invoke("c")
    second.__exit__(None, None, None)
    model.invoke("d")

    assert _figures(one) == _spent("a", "b")
    assert _figures(two) == _spent("b", "c")


@pytest.mark.usefixtures("either_way")
def test_a_block_left_in_another_context():
    """A generator of an asynchronous framework may be closed by another task than the one that started it."""

    async def scenario():
        block = langmeter.track()

        async def enter():
            usage = block.__enter__()
            await AsyncChat().ainvoke("a")
            return usage

        usage = await asyncio.create_task(enter())
        block.__exit__(None, None, None)
        await AsyncChat().ainvoke("b")
        return usage

    assert _figures(asyncio.run(scenario())) == _spent("a")
