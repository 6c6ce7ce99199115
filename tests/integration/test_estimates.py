"""Calls whose provider did not say what they used: estimated, marked as such, and never mixed with what was reported."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import threading
import weakref
from decimal import Decimal
from typing import Any

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, Generation, LLMResult
from models import AsyncChat, Boom, Chat, HangingChat, PlainChat, Text, prompts

import langmeter
from langmeter import boundary, worker
from langmeter.pricing.estimate import estimated_input

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta")

PROMPT = "x" * 64  # 16 tokens, and 4 for the message
SENT = 20
INPUT, OUTPUT = "langchain.usage.estimated.input_tokens", "langchain.usage.estimated.output_tokens"
STATUS, AMOUNT = "langchain.usage.cost.status", "langchain.usage.cost.amount"
INPUT_PRICE, OUTPUT_PRICE = 0.0000025, 0.00001
"""US dollars per token of gpt-4o."""
PATIENCE = 10.0
"""Seconds for the worker to catch up; it takes milliseconds."""


class Quiet(PlainChat):
    """A chat model that reports no usage. Its answer is as long as it is told to be, in chunks of eight characters."""

    answer: str = "y" * 80
    usage_first: dict[str, Any] | None = None
    """Usage that the first chunk of a stream carries."""

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.work()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer))])

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for start in range(0, len(self.answer), 8):
            chunk = AIMessageChunk(
                self.answer[start : start + 8], usage_metadata=self.usage_first if not start else None
            )
            yield ChatGenerationChunk(message=chunk)


class QuietText(Text):
    """A text model that reports no usage, neither for one prompt nor for a batch."""

    llm_output: Any = None

    def _generate(self, prompts, stop=None, run_manager=None, **kwargs) -> LLMResult:
        return LLMResult(generations=[[Generation(text="y" * 80)] for _ in prompts], llm_output=self.llm_output)


def seen(telemetry) -> list[tuple[Any, ...]]:
    """Cost status, estimated tokens in and out, reported ones, and the cost of each span, in the order of their ends."""
    names = (STATUS, INPUT, OUTPUT, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens", AMOUNT)
    gc.collect()
    return [tuple(span.attributes.get(name) for name in names) for span in telemetry.spans()]


def estimated(tokens_in: int, tokens_out: int) -> tuple[Any, ...]:
    cost = pytest.approx(tokens_in * INPUT_PRICE + tokens_out * OUTPUT_PRICE)
    return ("estimated", tokens_in, tokens_out, None, None, cost)


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


# -- which calls are estimated ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "drive",
    [
        lambda model: model.invoke(PROMPT),
        lambda model: asyncio.run(model.ainvoke(PROMPT)),
        lambda model: list(model.stream(PROMPT)),
        lambda model: asyncio.run(drain(model.astream(PROMPT))),
        lambda model: model.invoke(PROMPT, stream=True),
        lambda model: model.generate(prompts(PROMPT)),
        lambda model: model.batch([PROMPT]),
        pytest.param(lambda model: model.stream_events(PROMPT, version="v3").output, marks=pytest.mark.version_3),
    ],
    ids=["invoke", "ainvoke", "stream", "astream", "invoke that streams", "generate", "batch", "v3"],
)
def test_a_call_without_usage(instrumented, drive):
    drive(Quiet())
    assert seen(instrumented) == [estimated(SENT, 20)]


def test_every_choice_counts(instrumented):
    class Twice(Quiet):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
            return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer)) for _ in range(2)])

    Twice().invoke(PROMPT)
    assert seen(instrumented) == [estimated(SENT, 40)]


def test_an_abandoned_stream_counts_what_had_arrived(instrumented):
    stream = Quiet().stream(PROMPT)
    for _ in range(3):
        next(stream)
    stream.close()
    assert seen(instrumented) == [estimated(SENT, 6)]


def test_an_abandoned_stream_of_a_text_model(instrumented):
    stream = Text().stream(PROMPT)
    next(stream)
    stream.close()
    (row,) = seen(instrumented)
    # The chunk that its reader was looking at is not in what LangChain hands on.
    assert row[:3] == ("estimated", 16, 0)


def test_an_abandoned_async_stream(instrumented):
    async def scenario():
        stream = Quiet().astream(PROMPT)
        for _ in range(3):
            await anext(stream)
        await stream.aclose()

    asyncio.run(scenario())
    assert seen(instrumented) == [estimated(SENT, 6)]


@pytest.mark.version_3
def test_a_dropped_version_3_stream_counts_what_had_arrived(instrumented):
    stream = Quiet().stream_events(PROMPT, version="v3")
    events = iter(stream)
    for _ in range(5):
        next(events)
    arrived = len(stream._text_acc)
    assert arrived > 8
    gone = weakref.ref(stream)
    del stream, events
    gc.collect()
    assert gone() is None
    assert seen(instrumented) == [estimated(SENT, arrived // 4)]


def test_a_stream_that_fails_midway(instrumented):
    with pytest.raises(Boom):
        list(AsyncChat(fails_on=PROMPT).stream(PROMPT))
    assert seen(instrumented) == [estimated(SENT, 1)]


def test_a_cancelled_call_counts_what_was_sent(instrumented):
    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        task = asyncio.ensure_future(model.ainvoke(PROMPT))
        await model.reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert seen(instrumented) == [estimated(SENT, 0)]


def test_a_call_that_is_cancelled_while_it_streams_inside_is_not_guessed_at(instrumented):
    """What had arrived is not to be seen from the outside, so there is no saying what the call cost."""

    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        task = asyncio.ensure_future(model.ainvoke(PROMPT, stream=True))
        await model.reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert seen(instrumented) == [("unpriced", None, None, None, None, None)]


def test_text_models_that_report_nothing(instrumented):
    QuietText().generate([PROMPT, PROMPT])
    status, tokens_in, tokens_out, *_ = zip(*seen(instrumented), strict=True)
    assert (status, tokens_in, tokens_out) == (("estimated",) * 2, (16, 16), (20, 20))


@pytest.mark.parametrize("reported", [None, {}, {"token_usage": {}}, {"model_name": "gpt-3.5-turbo-instruct"}])
def test_a_batch_whose_first_prompt_has_no_usage_either(instrumented, reported):
    """LangChain puts an empty usage on the later prompts of every batch: here it does not mean that the first one has it."""
    QuietText(llm_output=reported).generate([PROMPT, PROMPT, PROMPT])
    assert [row[:3] for row in seen(instrumented)] == [("estimated", 16, 20)] * 3


# -- which are not ------------------------------------------------------------------------------------------------------


def test_a_refused_call_is_not(instrumented):
    with pytest.raises(Boom):
        Chat(fails_on=PROMPT).invoke(PROMPT)
    assert seen(instrumented) == [(None,) * 6]


def test_a_call_that_failed_before_any_output_is_not(instrumented):
    with pytest.raises(TimeoutError):
        Chat(fails_on=PROMPT, failure=TimeoutError).invoke(PROMPT)
    assert seen(instrumented) == [("unpriced", None, None, None, None, None)]


def test_a_call_that_never_left_is_not(instrumented):
    reached = asyncio.Event()

    class Stuck(InMemoryCache):
        async def alookup(self, prompt, llm_string):
            reached.set()
            await asyncio.Event().wait()

    async def scenario():
        task = asyncio.ensure_future(Quiet(cache=Stuck()).ainvoke(PROMPT))
        await reached.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
    assert seen(instrumented) == [(None,) * 6]
    (span,) = instrumented.spans()
    assert span.attributes["langchain.cache.status"] == "error"


def test_a_call_with_usage_is_not(instrumented):
    Chat().invoke(PROMPT)
    list(Chat().stream(PROMPT))
    Text().generate([PROMPT, PROMPT])
    assert [row[1:3] for row in seen(instrumented)] == [(None, None)] * 4


def test_a_hit_of_a_response_cache_is_not(instrumented):
    set_llm_cache(InMemoryCache())
    model = Quiet()
    model.invoke(PROMPT)
    model.invoke(PROMPT)
    assert seen(instrumented) == [estimated(SENT, 20), ("cached", None, None, 0, 0, 0)]


def test_a_model_that_asks_another_one_is_not(instrumented):
    class Router(Quiet):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            answer = Quiet().invoke(messages)
            return ChatResult(generations=[ChatGeneration(message=AIMessage(answer.content))])

    Router().invoke(PROMPT)
    inner, outer = seen(instrumented)
    assert inner == estimated(SENT, 20)
    assert outer[:3] == ("unpriced", None, None)


def test_content_whose_size_nothing_tells_is_not(instrumented):
    Quiet().invoke([HumanMessage([{"type": "audio", "base64": "AAAA", "mime_type": "audio/wav"}])])
    assert seen(instrumented) == [("unpriced", None, None, None, None, None)]


# -- usage that was reported in part ------------------------------------------------------------------------------------


def test_what_was_reported_stays_and_only_the_rest_is_estimated(instrumented):
    reported = {"input_tokens": 30, "output_tokens": 1, "total_tokens": 31, "input_token_details": {"cache_read": 8}}
    with langmeter.track() as usage:
        stream = Quiet(usage_first=reported).stream(PROMPT)
        for _ in range(10):
            next(stream)
        stream.close()
    cost = 22 * INPUT_PRICE + 8 * INPUT_PRICE / 2 + 20 * OUTPUT_PRICE
    assert seen(instrumented) == [("estimated", None, 19, 30, 1, pytest.approx(cost))]
    metrics = instrumented.metrics()
    assert INPUT not in metrics
    assert [value for _, value in metrics[OUTPUT]] == [19]
    assert [value for _, value in metrics["gen_ai.client.inference.usage.output_tokens"]] == [1]
    assert (usage.input_tokens, usage.output_tokens, usage.estimated_tokens) == (30, 1, 19)
    assert usage.cost_usd == usage.estimated_usd == Decimal("0.000265")


def test_a_report_that_covers_what_arrived_is_left_alone(instrumented):
    reported = {"input_tokens": 30, "output_tokens": 15, "total_tokens": 45}
    stream = Quiet(usage_first=reported).stream(PROMPT)
    for _ in range(10):
        next(stream)
    stream.close()
    assert [row[:5] for row in seen(instrumented)] == [("priced", None, None, 30, 15)]


# -- what an estimate is made from --------------------------------------------------------------------------------------


def test_tools_and_an_output_format_are_part_of_the_prompt(instrumented):
    tool = {"type": "function", "function": {"name": "find", "parameters": {"type": "object", "properties": {}}}}
    output_format = {"type": "json_schema", "json_schema": {"name": "Place", "schema": {}}}
    Quiet().invoke(PROMPT, tools=[tool])
    Quiet().invoke(PROMPT, response_format=output_format)
    expected = [SENT + round(len(json.dumps(schema)) / 4) for schema in (tool, output_format)]
    assert [row[1] for row in seen(instrumented)] == expected


def test_estimates_are_corrected_by_calls_that_reported_their_usage(instrumented):
    class Dense(Quiet):
        """Twice as many tokens as the raw estimate says."""

        def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
            usage = {"input_tokens": 2_008, "output_tokens": 40, "total_tokens": 2_048}
            return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer, usage_metadata=usage))])

    long = "x" * 4_000
    Quiet().invoke(long)
    for _ in range(20):
        Dense().invoke(long)
    Quiet().invoke(long)
    Quiet(model="gpt-4o-mini").invoke(long)
    first, *_, corrected, other = seen(instrumented)
    assert first == estimated(1_004, 20)
    assert corrected[:3] == ("estimated", pytest.approx(2_008, rel=0.01), pytest.approx(40, rel=0.1))
    assert other[:3] == ("estimated", 1_004, 20)


def test_a_long_history_teaches_on_the_worker(instrumented):
    class Dense(Quiet):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
            usage = {"input_tokens": 2_800, "output_tokens": 20, "total_tokens": 2_820}
            return ChatResult(generations=[ChatGeneration(message=AIMessage(self.answer, usage_metadata=usage))])

    history = [HumanMessage("x" * 40) for _ in range(100)]
    Dense().invoke(history)
    assert worker.drain(PATIENCE)
    Quiet().invoke(history)
    assert seen(instrumented)[-1][1] == pytest.approx(2_800, rel=0.05)


def test_the_usage_of_a_text_batch_teaches_nothing(instrumented):
    Text().generate(["x" * 40] * 50)
    assert estimated_input("x" * 4_000, provider="openai", model="gpt-3.5-turbo-instruct") == 1_004
    Text().generate(["x" * 40])
    assert estimated_input("x" * 4_000, provider="openai", model="gpt-3.5-turbo-instruct") != 1_004


# -- what is held on to -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 100], ids=["measured at once", "measured on the worker"])
def test_a_prompt_is_let_go_of_when_its_call_has_ended(instrumented, length):
    messages = [HumanMessage(PROMPT) for _ in range(length)]
    gone = [weakref.ref(message) for message in messages]
    Chat().invoke(messages)
    Quiet().invoke(messages)
    stream = Quiet().stream(messages)
    next(stream)
    stream.close()
    del messages, stream
    assert worker.drain(PATIENCE)
    gc.collect()
    assert [reference() for reference in gone] == [None] * length


def test_switched_off_nothing_is_kept_nor_estimated(telemetry, instrument, monkeypatch):
    def refuse(*_args, **_options):
        pytest.fail("the content of a call was kept")

    monkeypatch.setattr("langmeter.langchain.handler.CallContent", refuse)
    instrument(telemetry, estimates=False)
    with langmeter.track() as usage:
        Quiet().invoke(PROMPT)
        stream = Text().stream(PROMPT)
        next(stream)
        stream.close()
    assert [row[0] for row in seen(telemetry)] == ["unpriced"] * 2
    assert (usage.unpriced_calls, usage.estimated_calls, usage.cost_usd) == (2, 0, Decimal(0))
    assert not {INPUT, OUTPUT} & set(telemetry.metrics())


# -- where an estimate shows --------------------------------------------------------------------------------------------


def test_an_estimate_is_in_no_metric_of_what_was_reported(instrumented):
    Quiet().invoke(PROMPT)
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    spent = {**attributes, "langchain.usage.cost.status": "estimated"}
    metrics = instrumented.metrics()
    histogram = metrics.pop("gen_ai.client.inference.duration")
    assert [where for where, _ in histogram] == [attributes]
    assert {
        name: sorted(points, key=repr) for name, points in metrics.items() if not name.startswith("langchain.price")
    } == {
        "langchain.inference.requests": [(attributes, 1)],
        INPUT: [(attributes, SENT)],
        OUTPUT: [(attributes, 20)],
        "langchain.usage.cost": [
            ({**spent, "langchain.usage.cost.category": "input"}, SENT * INPUT_PRICE),
            ({**spent, "langchain.usage.cost.category": "output"}, 20 * OUTPUT_PRICE),
        ],
    }


def test_track_tells_how_much_is_estimated(instrumented):
    with langmeter.track() as usage:
        Quiet().invoke(PROMPT)
        Quiet(model="model-of-nobody").invoke(PROMPT)
        Chat().invoke(PROMPT)
    assert (usage.calls, usage.estimated_calls, usage.estimated_tokens, usage.unpriced_calls) == (3, 2, 80, 1)
    assert (usage.input_tokens, usage.output_tokens) == (10, 5)
    assert usage.estimated_usd == Decimal("0.00025")
    assert usage.cost_usd == Decimal("0.00025") + Decimal("0.000075")
    told = usage.to_dict()
    assert (told["estimated_calls"], told["estimated_tokens"], told["estimated_usd"]) == (2, 80, "0.00025")
    assert told["by_model"]["gpt-4o"]["estimated_usd"] == "0.00025"


def test_an_unknown_model_is_estimated_and_stays_unpriced(instrumented):
    Quiet(model="model-of-nobody").invoke(PROMPT)
    assert seen(instrumented) == [("unpriced", SENT, 20, None, None, None)]
    (span,) = instrumented.spans()
    assert span.attributes["langchain.usage.unpriced.reason"] == "unknown_model"


# -- what is never done -------------------------------------------------------------------------------------------------


def test_no_network_and_no_file(instrumented, monkeypatch, tmp_path):
    def refuse(*_args, **_options):
        pytest.fail("a connection was attempted")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    Quiet().invoke(PROMPT)
    assert worker.drain(PATIENCE)
    assert seen(instrumented) == [estimated(SENT, 20)]
    assert list(tmp_path.iterdir()) == []


def test_a_message_that_cannot_be_read_costs_the_estimate_and_nothing_else(instrumented):
    class Odd(dict):
        def get(self, *_):
            raise RuntimeError("of the application")

    boundary.set_strict(False)
    message = HumanMessage(PROMPT)
    message.additional_kwargs = Odd(a=1)
    assert Quiet().invoke([message]).content == "y" * 80
    assert boundary.error_counts() == {"estimate": 1}
    boundary.reset_counts()
    assert seen(instrumented) == [("unpriced", None, None, None, None, None)]


def test_threads_agree(instrumented):
    threads = [threading.Thread(target=lambda: [Quiet().invoke(PROMPT) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen(instrumented) == [estimated(SENT, 20)] * 160
