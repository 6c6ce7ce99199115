"""Calls that end oddly or, for LangChain, not at all: one span each, ended once, with the right outcome; none stays open."""

import asyncio
import contextlib
import gc
import threading
import time
import uuid
import weakref
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackHandler, BaseCallbackHandler
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.rate_limiters import BaseRateLimiter
from langchain_openai import ChatOpenAI
from models import USAGE, AsyncChat, AsyncText, Boom, Chat, HangingChat, HangingText, PlainChat, Text, prompts
from openai_server import OpenAIServer

import langmeter
from langmeter.langchain.instrumentor import open_runs

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta")

PARSER = StrOutputParser()
CANCELLED = "asyncio.exceptions.CancelledError"
FINE = ("UNSET", None, ("stop",))
ABANDONED = ("UNSET", None, ("error",))
"""A stream that its reader left: no failure, but no proper end of the generation either."""


def endings(telemetry) -> list[tuple[Any, ...]]:
    """Status, error type and finish reasons of each span, in the order of their ends. None may be left open."""
    gc.collect()
    assert open_runs() == 0
    spans = telemetry.spans()
    assert len({span.context.span_id for span in spans}) == len(spans)
    return [
        (
            span.status.status_code.name,
            span.attributes.get("error.type"),
            span.attributes.get("gen_ai.response.finish_reasons"),
        )
        for span in spans
    ]


def tokens(telemetry) -> dict[str, int]:
    """Requests, and tokens in and out, over all series."""
    metrics = telemetry.metrics()
    names = {
        "requests": "langchain.inference.requests",
        "input": "gen_ai.client.inference.usage.input_tokens",
        "output": "gen_ai.client.inference.usage.output_tokens",
    }
    return {short: sum(value for _, value in metrics.get(name, [])) for short, name in names.items()}


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


async def all_ended() -> None:
    """Wait until no call is open any more; the test's own time limit ends a wait that is in vain."""
    while open_runs():  # noqa: ASYNC110  (there is no event to wait for)
        await asyncio.sleep(0.001)


async def cancel_when_reached(reached: asyncio.Event, work: Any) -> asyncio.CancelledError:
    """Cancel some work as soon as its model has been asked."""
    task = asyncio.ensure_future(work)
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value


# -- cancelled -------------------------------------------------------------------------------------------------------

CANCELLATIONS = {
    "ainvoke": (lambda model: model.ainvoke("x"), [("ERROR", CANCELLED, None)]),
    "chain ainvoke": (lambda model: (model | PARSER).ainvoke("x"), [("ERROR", CANCELLED, None)]),
    "abatch": (lambda model: model.abatch(["x", "y"]), [("ERROR", CANCELLED, None)] * 2),
    "agenerate": (lambda model: model.agenerate(prompts("x", "y")), [("ERROR", CANCELLED, None)] * 2),
    "astream": (lambda model: drain(model.astream("x")), [("ERROR", CANCELLED, ("error",))]),
    "chain astream": (lambda model: drain((model | PARSER).astream("x")), [("ERROR", CANCELLED, ("error",))]),
}


@pytest.mark.parametrize(("work", "expected"), CANCELLATIONS.values(), ids=CANCELLATIONS)
def test_cancelled(instrumented, work, expected):
    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        await cancel_when_reached(model.reached, work(model))
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert endings(instrumented) == expected
    assert tokens(instrumented) == {"requests": len(expected), "input": 0, "output": 0}
    events = [entry.log_record.attributes["exception.type"] for entry in instrumented.logs()]
    assert events == [CANCELLED] * len(expected)


@pytest.mark.parametrize("work", [lambda model: model.ainvoke("x"), lambda model: model.abatch(["x"])])
def test_cancelled_text_model(instrumented, work):
    async def scenario():
        model = HangingText(reached=asyncio.Event())
        await cancel_when_reached(model.reached, work(model))

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", CANCELLED, None)]


def test_a_cancellation_keeps_its_message(instrumented):
    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        task = asyncio.create_task(model.ainvoke("x"))
        await model.reached.wait()
        task.cancel("the client left")
        with pytest.raises(asyncio.CancelledError, match="the client left"):
            await task

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", CANCELLED, None)]


def test_a_timeout(instrumented):
    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(model.ainvoke("x"), 0.02)

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", CANCELLED, None)]


def test_a_model_without_async_code_goes_on_in_its_thread(instrumented):
    """Cancelled, its span ends at once; what its thread still does ends nothing a second time."""
    asked, released = threading.Event(), threading.Event()

    def work():
        asked.set()
        released.wait()

    async def scenario():
        task = asyncio.create_task(PlainChat(work=work).ainvoke("x"))
        await asyncio.to_thread(asked.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert open_runs() == 0
        released.set()

    asyncio.run(scenario())  # waits for the executor
    assert endings(instrumented) == [("ERROR", CANCELLED, None)]


class NeverYet(BaseRateLimiter):
    """Lets nobody through."""

    def __init__(self):
        self.reached = asyncio.Event()

    def acquire(self, *, blocking=True):
        return False

    async def aacquire(self, *, blocking=True):
        self.reached.set()
        await asyncio.Event().wait()


def test_cancelled_while_it_waits_for_its_turn(instrumented):
    async def scenario():
        limiter = NeverYet()
        model = AsyncChat(rate_limiter=limiter)
        await cancel_when_reached(limiter.reached, model.ainvoke("x"))

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", CANCELLED, None)]


# -- a batch of which one prompt fails -------------------------------------------------------------------------------


def test_generate_with_a_failing_prompt(instrumented):
    """LangChain ends the failed prompt only. The answered one has been paid; the last one was never sent and has no span."""
    failure = Boom("no")
    with pytest.raises(Boom) as caught:
        Chat(fails_on="b", failure=failure).generate(prompts("a", "b", "c"))
    assert caught.value is failure
    assert sorted(endings(instrumented), key=repr) == [
        ("ERROR", "models.Boom", None),
        ("UNSET", None, ("stop",)),
    ]
    assert tokens(instrumented) == {"requests": 2, "input": 10, "output": 5}
    answered = [span.attributes for span in instrumented.spans() if "gen_ai.response.model" in span.attributes]
    assert [span["gen_ai.usage.input_tokens"] for span in answered] == [10]


def test_generate_with_a_failing_first_prompt(instrumented):
    with pytest.raises(Boom):
        Chat(fails_on="a").generate(prompts("a", "b", "c"))
    assert sorted(endings(instrumented), key=repr) == [("ERROR", "models.Boom", None)]
    assert tokens(instrumented) == {"requests": 1, "input": 0, "output": 0}


def test_agenerate_with_a_failing_prompt(instrumented):
    with pytest.raises(Boom):
        asyncio.run(AsyncChat(fails_on="b").agenerate(prompts("a", "b", "c")))
    assert sorted(endings(instrumented), key=repr) == [("ERROR", "models.Boom", None), FINE, FINE]
    assert tokens(instrumented) == {"requests": 3, "input": 20, "output": 10}


def test_generate_interrupted_by_the_keyboard(instrumented):
    with pytest.raises(KeyboardInterrupt):
        Chat(fails_on="b", failure=KeyboardInterrupt).generate(prompts("a", "b", "c"))
    assert sorted(endings(instrumented), key=repr) == [
        ("ERROR", "KeyboardInterrupt", None),
        FINE,
    ]
    assert tokens(instrumented) == {"requests": 2, "input": 10, "output": 5}


def test_agenerate_cancelled_with_one_prompt_answered(instrumented):
    class SecondHangs(HangingChat):
        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            if messages[0].content == "a":
                return self._generate(messages)
            return await super()._agenerate(messages)

    async def scenario():
        model = SecondHangs(reached=asyncio.Event())
        await cancel_when_reached(model.reached, model.agenerate(prompts("a", "b")))

    asyncio.run(scenario())
    assert sorted(endings(instrumented), key=repr) == [("ERROR", CANCELLED, None), FINE]
    assert tokens(instrumented) == {"requests": 2, "input": 10, "output": 5}


@pytest.mark.parametrize(
    ("work", "count"),
    [
        (lambda model: model.generate(["a", "b", "c"]), 3),
        (lambda model: model.batch(["a", "b", "c"]), 3),
        (lambda model: asyncio.run(model.agenerate(["a", "b", "c"])), 3),
    ],
    ids=["generate", "batch", "agenerate"],
)
def test_a_failing_batch_of_a_text_model_fails_as_a_whole(instrumented, work, count):
    with pytest.raises(Boom):
        work(AsyncText(fails_on="b"))
    assert endings(instrumented) == [("ERROR", "models.Boom", None)] * count


def test_prompts_of_a_batch_last_as_long_as_they_last(instrumented):
    """LangChain ends all prompts after the last one; each span ends when its own answer is there."""

    class Staged(AsyncChat):
        stages: Any

        async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
            text = messages[0].content
            if text != "first":
                await self.stages[text].wait()
            answer = self._generate(messages)
            await asyncio.sleep(0.02)
            for waiting in {"first": ["second"], "second": ["third"], "third": []}[text]:
                self.stages[waiting].set()
            return answer

    async def scenario():
        model = Staged(stages={name: asyncio.Event() for name in ("second", "third")})
        await model.agenerate(prompts("third", "first", "second"))

    asyncio.run(scenario())
    assert endings(instrumented) == [FINE] * 3
    starts_and_ends = [(span.start_time, span.end_time) for span in instrumented.spans()]
    third, first, second = (end - start for start, end in starts_and_ends)
    assert first < second < third


# -- streams that nobody reads to the end ----------------------------------------------------------------------------


@pytest.mark.version_3
def test_a_stream_that_is_never_read_is_no_call(instrumented):
    async def scenario():
        AsyncChat().astream("x")
        AsyncText().astream("x")

    Chat().stream("x")
    Text().stream("x")
    Chat().stream_events("x", version="v3")
    asyncio.run(scenario())
    assert endings(instrumented) == []
    assert instrumented.metrics().get("langchain.inference.requests", []) == []


@pytest.mark.parametrize("model", [Chat, AsyncChat, Text, AsyncText])
@pytest.mark.parametrize("read", [1, 2])
@pytest.mark.parametrize("how", ["closed", "collected"])
def test_a_stream_partly_read(instrumented, model, read, how):
    stream = model().stream("x")
    for _ in range(read):
        next(stream)
    assert open_runs() == 1
    assert instrumented.spans() == []
    if how == "closed":
        stream.close()
    del stream
    assert endings(instrumented) == [ABANDONED]
    assert instrumented.logs() == []


@pytest.mark.parametrize("model", [Chat, AsyncChat, Text, AsyncText])
@pytest.mark.parametrize("how", ["closed", "collected"])
def test_an_async_stream_partly_read(instrumented, model, how):
    async def scenario():
        stream = model().astream("x")
        await anext(stream)
        assert open_runs() == 1
        if how == "closed":
            await stream.aclose()
        del stream
        gc.collect()
        await all_ended()  # the event loop closes a collected generator in a task of its own

    asyncio.run(scenario())
    assert endings(instrumented) == [ABANDONED]
    assert instrumented.logs() == []


def test_a_stream_left_when_the_event_loop_ends(instrumented):
    async def scenario():
        stream = AsyncChat().astream("x")
        await anext(stream)
        kept.append(stream)

    kept = []
    asyncio.run(scenario())
    assert endings(instrumented) == [ABANDONED]


def test_what_a_left_stream_has_used_is_counted(instrumented):
    class UsageFirst(Chat):
        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            yield ChatGenerationChunk(message=AIMessageChunk("a", usage_metadata=USAGE))
            yield ChatGenerationChunk(message=AIMessageChunk("b"))

    stream = UsageFirst().stream("x")
    next(stream)
    stream.close()
    assert endings(instrumented) == [ABANDONED]
    assert tokens(instrumented) == {"requests": 1, "input": 10, "output": 5}
    assert instrumented.spans()[0].attributes["langchain.usage.cost.amount"] == 0.000075


def test_a_chain_closed_early_reads_its_model_to_the_end(instrumented):
    stream = (Chat() | PARSER).stream("x")
    next(stream)
    stream.close()
    assert endings(instrumented) == [FINE]


def test_an_async_chain_closed_early(instrumented):
    async def scenario():
        stream = (AsyncChat() | PARSER).astream("x")
        await anext(stream)
        await stream.aclose()
        await all_ended()  # the model hears of it later, from another task

    asyncio.run(scenario())
    assert endings(instrumented) == [ABANDONED]


@pytest.mark.parametrize("model", [Chat, AsyncChat])
@pytest.mark.parametrize("read", [1, 3])
def test_version_3_events_dropped(instrumented, model, read):
    stream = model().stream_events("x", version="v3")
    events = iter(stream)
    for _ in range(read):
        next(events)
    assert open_runs() == 1
    del stream, events
    assert endings(instrumented) == [ABANDONED]


def test_async_version_3_events_closed(instrumented):
    async def scenario():
        model = HangingChat(reached=asyncio.Event())
        stream = await model.astream_events("x", version="v3")
        await anext(aiter(stream))
        await model.reached.wait()
        await stream.aclose()
        await all_ended()

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", CANCELLED, ("error",))]


def test_async_version_3_events_ignored_go_on_to_their_end(instrumented):
    async def scenario():
        stream = await AsyncChat().astream_events("x", version="v3")
        await anext(aiter(stream))
        await all_ended()

    asyncio.run(scenario())
    assert endings(instrumented) == [FINE]


# -- streams that break ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [Chat, AsyncChat, Text, AsyncText])
def test_a_stream_that_fails_midway(instrumented, model):
    failure = Boom("no")
    with pytest.raises(Boom) as caught:
        list(model(fails_on="x", failure=failure).stream("x"))
    assert caught.value is failure

    async def scenario():
        with pytest.raises(Boom) as caught:
            await drain(model(fails_on="x", failure=failure).astream("x"))
        assert caught.value is failure

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", "models.Boom", ("error",))] * 2


def test_version_3_events_that_fail_midway(instrumented):
    model = AsyncChat(fails_on="x", failure=Boom("no"))
    with pytest.raises(Boom):
        list(model.stream_events("x", version="v3"))

    async def scenario():
        with pytest.raises(Boom):
            await drain(await model.astream_events("x", version="v3"))

    asyncio.run(scenario())
    assert endings(instrumented) == [("ERROR", "models.Boom", ("error",))] * 2


def test_an_empty_stream(instrumented):
    class Empty(Chat):
        def _stream(self, messages, stop=None, run_manager=None, **kwargs):
            yield from ()

    with pytest.raises(ValueError, match="No generation chunks"):
        list(Empty().stream("x"))
    assert endings(instrumented) == [("ERROR", "ValueError", None)]


@pytest.mark.parametrize("events", [1, 2, 3])
@pytest.mark.parametrize("asynchronous", [False, True], ids=["sync", "async"])
def test_a_server_that_stops_in_the_middle(instrumented, events, asynchronous):
    """Without an error, so nobody can tell from the outside: no reason, no usage, only an estimate, and no failure."""
    with OpenAIServer() as server:
        server.events = events
        model = ChatOpenAI(model="gpt-4o", base_url=server.base_url, api_key="key", stream_usage=True)
        if asynchronous:
            asyncio.run(drain(model.astream("x")))
        else:
            list(model.stream("x"))
    assert endings(instrumented) == [("UNSET", None, None)]
    (span,) = instrumented.spans()
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["langchain.usage.cost.status"] == "estimated"
    assert span.attributes["langchain.usage.estimated.input_tokens"] == 4  # one letter in a message
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert tokens(instrumented) == {"requests": 1, "input": 0, "output": 0}


# -- exceptions that are not errors of a model -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("model", [Chat, Text])
def test_leaving_the_program_from_inside_a_model(instrumented, kind, model):
    with pytest.raises(kind) as caught:
        model(fails_on="x", failure=kind("bye")).invoke("x")
    assert caught.value.args == ("bye",)
    with pytest.raises(kind):
        list(model(fails_on="x", failure=kind).stream("x"))
    assert endings(instrumented) == [("ERROR", kind.__name__, None), ("ERROR", kind.__name__, ("error",))]


CALLS = {
    "invoke": lambda model: model.invoke("x"),
    "generate": lambda model: model.generate(prompts("x")),
    "batch": lambda model: model.batch(["x"]),
    "stream": lambda model: list(model.stream("x")),
    "ainvoke": lambda model: asyncio.run(model.ainvoke("x")),
    "agenerate": lambda model: asyncio.run(model.agenerate(prompts("x"))),
    "astream": lambda model: asyncio.run(drain(model.astream("x"))),
    "chain": lambda model: (model | PARSER).invoke("x"),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_the_application_sees_the_same_exception_and_nothing_keeps_it(instrumented, call):
    """The very object, with the cause that it had; and it dies with the last reference of the application."""
    failure = Boom("no")
    failure.__cause__ = cause = ValueError("why")
    model = AsyncChat(fails_on="x", failure=failure)
    caught = None
    try:
        call(model)
    except Boom as error:  # `pytest.raises` would keep the exception alive
        caught = error
    assert caught is failure
    assert (caught.__cause__, caught.__context__) == (cause, None)
    caught.__traceback__ = None
    ended = endings(instrumented)
    assert [(status, error) for status, error, _ in ended] == [("ERROR", "models.Boom")]
    dead = weakref.ref(failure)
    del failure, model, cause, caught
    gc.collect()
    assert dead() is None


def test_an_exception_thrown_into_a_stream_comes_back_out(instrumented):
    stream = Chat().stream("x")
    next(stream)
    failure = Boom("from the reader")
    with pytest.raises(Boom) as caught:
        stream.throw(failure)
    assert caught.value is failure
    assert len(endings(instrumented)) == 1


# -- runs that nobody ever ends --------------------------------------------------------------------------------------


def test_no_more_runs_than_allowed_are_kept_open(telemetry, instrument):
    instrument(telemetry, max_open_runs=3)
    streams = [Chat(model=f"model-{number}").stream("x") for number in range(5)]
    for stream in streams:
        next(stream)
    assert open_runs() == 3
    assert [span.name for span in telemetry.spans()] == ["chat model-0", "chat model-1"]
    for stream in streams:
        stream.close()
    # Those that had been closed for want of room are not closed again.
    assert [span.name for span in telemetry.spans()] == [f"chat model-{number}" for number in range(5)]
    assert [ending[:2] for ending in endings(telemetry)] == [("UNSET", None)] * 5
    assert tokens(telemetry)["requests"] == 5


def test_runs_that_are_open_for_too_long_are_closed(telemetry, instrument):
    instrument(telemetry, open_run_timeout=0.01)
    forgotten = Chat(model="forgotten").stream("x")
    next(forgotten)
    time.sleep(0.02)
    Chat(model="next").invoke("x")
    assert [span.name for span in telemetry.spans()] == ["chat forgotten", "chat next"]
    list(forgotten)
    assert [span.name for span in telemetry.spans()] == ["chat forgotten", "chat next"]
    assert [ending[:2] for ending in endings(telemetry)] == [("UNSET", None)] * 2


def test_calls_in_flight_when_switched_off_still_end(telemetry, instrument):
    instrument(telemetry)
    stream = Chat().stream("x")
    next(stream)
    langmeter.uninstrument()
    list(stream)
    assert endings(telemetry) == [FINE]
    Chat().invoke("x")
    assert len(telemetry.spans()) == 1


# -- other handlers --------------------------------------------------------------------------------------------------


class Recorder(BaseCallbackHandler):
    """Notes what it hears, by run, on an executor thread: a handler that is not inline."""

    def __init__(self):
        self.heard = []

    def on_llm_start(self, serialized, prompts, *, run_id, **kwargs):
        self.heard.append(("start", prompts, run_id))

    def on_llm_new_token(self, token, *, run_id, **kwargs):
        self.heard.append(("token", token, run_id))

    def on_llm_end(self, response, *, run_id, **kwargs):
        self.heard.append(("end", [generation[0].text for generation in response.generations], run_id))

    def on_llm_error(self, error, *, run_id, **kwargs):
        self.heard.append(("error", type(error), run_id))


class AsyncRecorder(AsyncCallbackHandler):
    """The same as coroutines."""

    def __init__(self):
        self.heard = []

    async def on_llm_start(self, serialized, prompts, *, run_id, **kwargs):
        self.heard.append(("start", prompts, run_id))

    async def on_llm_new_token(self, token, *, run_id, **kwargs):
        self.heard.append(("token", token, run_id))

    async def on_llm_end(self, response, *, run_id, **kwargs):
        self.heard.append(("end", [generation[0].text for generation in response.generations], run_id))

    async def on_llm_error(self, error, *, run_id, **kwargs):
        self.heard.append(("error", type(error), run_id))


class Inline(Recorder):
    run_inline = True


def by_run(heard):
    """What was heard of each run, in order, without the ids."""
    runs = {}
    for event, value, run_id in heard:
        runs.setdefault(run_id, []).append((event, value))
    return sorted(runs.values(), key=repr)


TEXT_CALLS = {
    "ainvoke": lambda model, config: model.ainvoke("x", config),
    "abatch": lambda model, config: model.abatch(["x", "y"], config),
    "agenerate": lambda model, config: model.agenerate(["x", "y"], **config),
    "astream": lambda model, config: drain(model.astream("x", config)),
    "failing": lambda model, config: model.ainvoke("bad", config),
}


async def everything_heard(call, handlers):
    with contextlib.suppress(Boom):
        await call(AsyncText(fails_on="bad"), {"callbacks": handlers})
    return [by_run(handler.heard) for handler in handlers]


@pytest.mark.parametrize("call", TEXT_CALLS.values(), ids=TEXT_CALLS)
def test_handlers_that_are_not_inline_hear_the_start_of_text_models(telemetry, call):
    """One inline handler, such as ours, silences all others there unless the manager is repaired."""

    def handlers():
        return [Recorder(), AsyncRecorder()]

    before = asyncio.run(everything_heard(call, handlers()))
    langmeter.instrument(**telemetry.providers)
    during = asyncio.run(everything_heard(call, handlers()))
    mixed = asyncio.run(everything_heard(call, [Inline(), *handlers()]))
    langmeter.uninstrument()
    assert before[0][0][0][0] == "start"
    assert during == before
    assert mixed == [before[0], *before]
    assert open_runs() == 0


def test_the_repair_keeps_the_run_id_of_the_caller(instrumented):
    handler = Recorder()
    given = uuid.uuid4()
    asyncio.run(AsyncText().ainvoke("x", {"callbacks": [handler], "run_id": given}))
    assert {run_id for _, _, run_id in handler.heard} == {given}
    assert endings(instrumented) == [FINE]
