"""Who is whose parent, and that nothing stays current: sync and async, threads, streams, batches, graphs, real HTTP spans.

A trace is written as the paths of its spans, sorted: `SERVER > chat gpt-4o > HTTP`. Chains have no span of their own, so
what they call hangs under whatever was current around the chain. After every scenario the OpenTelemetry context must be
what it was before; that no context is ever detached in the wrong place is checked for every test (conftest).
"""

import asyncio
import contextvars
import gc
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypedDict

import httpx
import pytest
from langchain_core.callbacks import CallbackManager
from langchain_core.messages import AIMessageChunk
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from langsmith import Client
from langsmith.run_helpers import tracing_context
from langsmith.run_trees import RunTree
from models import AsyncChat, AsyncText, Boom, Chat, HangingChat, PlainChat, Text, prompts
from openai_server import OpenAIServer
from opentelemetry import baggage, trace
from opentelemetry import context as otel_context
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from langmeter.langchain import state

pytestmark = pytest.mark.filterwarnings("ignore:.*is in beta")

PARSER = StrOutputParser()
TEXT = "text_completion gpt-3.5-turbo-instruct"


class Application:
    """What an application does around its models: spans of its own, and requests that an HTTP library would trace."""

    def __init__(self, telemetry: Any) -> None:
        self.telemetry = telemetry
        self.tracer = telemetry.tracer_provider.get_tracer("application")
        self.span = self.tracer.start_as_current_span

    def http(self) -> None:
        with self.span("HTTP"):
            pass

    def chat(self, model: str = "gpt-4o", kind: type[Chat] = Chat, **fields: Any) -> Chat:
        return kind(model=model, work=self.http, **fields)

    def achat(self, model: str = "gpt-4o", **fields: Any) -> AsyncChat:
        return self.chat(model, AsyncChat, **fields)

    def text(self) -> Text:
        return Text(work=self.http)

    def atext(self) -> AsyncText:
        return AsyncText(work=self.http)

    def paths(self) -> list[str]:
        """The path from its root to each span, sorted."""
        spans = {span.context.span_id: span for span in self.telemetry.spans()}

        def path(span: Any) -> str:
            above = spans.get(span.parent.span_id) if span.parent is not None else None
            if above is None:
                return span.name if span.parent is None else f"? > {span.name}"
            return f"{path(above)} > {span.name}"

        return sorted(path(span) for span in spans.values())


@pytest.fixture
def app(instrumented):
    return Application(instrumented)


def nothing_is_current() -> None:
    gc.collect()
    assert otel_context.get_current() == {}
    assert state.current_frame() is None


def finish(scenario: Callable[..., Any], *arguments: Any) -> None:
    """Run a scenario, sync or async, and look at what it leaves behind where it ran."""

    async def run() -> None:
        await scenario(*arguments)
        nothing_is_current()

    if asyncio.iscoroutinefunction(scenario):
        asyncio.run(run())
    else:
        scenario(*arguments)
    nothing_is_current()


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


# -- one model, one request inside it --------------------------------------------------------------------------------


async def ainvoke(model):
    await model.ainvoke("x")


async def astream(model):
    await drain(model.astream("x"))


async def abatch(model):
    await model.abatch(["x", "y", "z"])


async def agenerate(model):
    await model.agenerate(prompts("x", "y"))


async def aevents(model):
    stream = await model.astream_events("x", version="v3")
    await stream.output


async def older_events(model):
    await drain(model.astream_events("x", version="v2"))


CALLS = {
    "invoke": (1, lambda model: model.invoke("x")),
    "batch": (3, lambda model: model.batch(["x", "y", "z"])),
    "batch, one thread": (3, lambda model: model.batch(["x", "y", "z"], {"max_concurrency": 1})),
    "batch as completed": (3, lambda model: list(model.batch_as_completed(["x", "y", "z"]))),
    "generate": (2, lambda model: model.generate(prompts("x", "y"))),
    "stream": (1, lambda model: list(model.stream("x"))),
    "v3 events": (1, lambda model: model.stream_events("x", version="v3").output),
    "ainvoke": (1, ainvoke),
    "abatch": (3, abatch),
    "agenerate": (2, agenerate),
    "astream": (1, astream),
    "v3 async events": (1, aevents),
    "v2 async events": (1, older_events),
}


@pytest.mark.parametrize("kind", [Chat, AsyncChat])
@pytest.mark.parametrize(("calls", "scenario"), CALLS.values(), ids=CALLS)
def test_what_a_chat_model_requests_is_nested_in_it(app, kind, calls, scenario):
    finish(scenario, app.chat(kind=kind))
    assert app.paths() == ["chat gpt-4o"] * calls + ["chat gpt-4o > HTTP"] * calls


@pytest.mark.parametrize("kind", [Chat, AsyncChat])
@pytest.mark.parametrize(("calls", "scenario"), CALLS.values(), ids=CALLS)
def test_a_model_call_is_nested_in_what_is_around_it(app, kind, calls, scenario):
    def sync_server():
        with app.span("SERVER"):
            scenario(app.chat(kind=kind))

    async def async_server():
        with app.span("SERVER"):
            await scenario(app.chat(kind=kind))

    finish(async_server if asyncio.iscoroutinefunction(scenario) else sync_server)
    nested = ["SERVER > chat gpt-4o"] * calls + ["SERVER > chat gpt-4o > HTTP"] * calls
    assert app.paths() == ["SERVER", *nested]


TEXT_CALLS = {
    "invoke": lambda model: model.invoke("x"),
    "stream": lambda model: list(model.stream("x")),
    "ainvoke": ainvoke,
    "astream": astream,
}


@pytest.mark.parametrize("kind", [Text, AsyncText])
@pytest.mark.parametrize("scenario", TEXT_CALLS.values(), ids=TEXT_CALLS)
def test_what_a_text_model_requests_is_nested_in_it(app, kind, scenario):
    finish(scenario, kind(work=app.http))
    assert app.paths() == [TEXT, f"{TEXT} > HTTP"]


@pytest.mark.parametrize("kind", [Text, AsyncText])
@pytest.mark.parametrize("scenario", [lambda model: model.batch(["x", "y"]), abatch], ids=["batch", "abatch"])
def test_the_one_request_of_a_text_batch_is_nested_in_its_first_call(app, kind, scenario):
    finish(scenario, kind(work=app.http))
    calls = 3 if scenario is abatch else 2
    assert app.paths() == [*[TEXT] * calls, f"{TEXT} > HTTP"]


# -- chains, and spans of the application in between -----------------------------------------------------------------


async def achain(app):
    await (app.achat() | PARSER).ainvoke("x")


async def achain_stream(app):
    await drain((app.achat() | PARSER).astream("x"))


CHAINS = {
    "invoke": lambda app: (app.chat() | PARSER).invoke("x"),
    "stream": lambda app: list((app.chat() | PARSER).stream("x")),
    "ainvoke": achain,
    "astream": achain_stream,
}


@pytest.mark.parametrize("scenario", CHAINS.values(), ids=CHAINS)
def test_a_model_in_a_chain(app, scenario):
    finish(scenario, app)
    assert app.paths() == ["chat gpt-4o", "chat gpt-4o > HTTP"]


def test_a_root_run_under_a_server_span(app):
    def scenario():
        with app.span("SERVER"):
            (RunnableLambda(lambda text: text) | app.chat() | PARSER).invoke("x")

    finish(scenario)
    assert app.paths() == ["SERVER", "SERVER > chat gpt-4o", "SERVER > chat gpt-4o > HTTP"]


def test_a_span_of_the_application_inside_a_lambda_is_kept(app):
    def business(_):
        with app.span("BUSINESS"):
            app.chat("a").invoke("x")
            (app.chat("b") | PARSER).invoke("y")
        app.http()

    finish(lambda: RunnableLambda(business).invoke("x"))
    assert app.paths() == [
        "BUSINESS",
        "BUSINESS > chat a",
        "BUSINESS > chat a > HTTP",
        "BUSINESS > chat b",
        "BUSINESS > chat b > HTTP",
        "HTTP",
    ]


def test_a_span_of_the_application_inside_an_async_lambda_is_kept(app):
    async def business(_):
        with app.span("BUSINESS"):
            await app.achat("a").ainvoke("x")
            await asyncio.gather(app.achat("b").ainvoke("1"), app.achat("b").ainvoke("2"))
        app.http()

    async def scenario():
        await RunnableLambda(business).ainvoke("x")

    finish(scenario)
    assert app.paths() == [
        "BUSINESS",
        "BUSINESS > chat a",
        "BUSINESS > chat a > HTTP",
        *["BUSINESS > chat b"] * 2,
        *["BUSINESS > chat b > HTTP"] * 2,
        "HTTP",
    ]


def test_a_generator_in_a_chain(app):
    def shout(items):
        for item in items:
            app.http()
            yield item

    def scenario():
        with app.span("SERVER"):
            list((app.chat() | PARSER | RunnableGenerator(shout)).stream("x"))

    finish(scenario)
    assert set(app.paths()) == {"SERVER", "SERVER > HTTP", "SERVER > chat gpt-4o", "SERVER > chat gpt-4o > HTTP"}


@tool
def look_up(city: str) -> str:
    """Look up a city with a model."""
    return Chat().invoke(city).text


class Search(BaseRetriever):
    def _get_relevant_documents(self, query, *, run_manager):
        Chat(model="gpt-4.1").invoke(query)
        return []

    async def _aget_relevant_documents(self, query, *, run_manager):
        await AsyncChat(model="gpt-4.1").ainvoke(query)
        return []


def test_models_in_tools_and_retrievers(app):
    def nested(text):
        look_up.invoke({"city": text})
        Search().invoke(text)

    async def anested(text):
        await look_up.ainvoke({"city": text})
        await Search().ainvoke(text)

    async def scenario():
        with app.span("SERVER"):
            RunnableLambda(nested).invoke("x")
            await RunnableLambda(anested).ainvoke("x")

    finish(scenario)
    tool, retrieval = "SERVER > execute_tool look_up", "SERVER > retrieval"
    inside = [f"{tool} > chat gpt-4o", f"{retrieval} > chat gpt-4.1"]
    assert app.paths() == sorted(["SERVER", *[tool, retrieval, *inside] * 2])


@pytest.mark.parametrize("around", [False, True])
def test_parallel_branches(app, around):
    branches = RunnableParallel(a=app.chat("a"), b=app.chat("b") | PARSER)
    abranches = RunnableParallel(a=app.achat("a"), b=app.achat("b") | PARSER)

    async def scenario():
        if not around:
            branches.invoke("x")
            await abranches.ainvoke("x")
        else:
            with app.span("SERVER"):
                branches.invoke("x")
                await abranches.ainvoke("x")

    finish(scenario)
    top = "SERVER > invoke_workflow" if around else "invoke_workflow"
    nested = [f"{top} > chat {name}{below}" for name in "ab" for below in ("", "", " > HTTP", " > HTTP")]
    assert app.paths() == [*(["SERVER"] if around else []), top, top, *nested]


def test_gathered_calls_each_under_its_own_span(app):
    async def request(number):
        with app.span(f"REQUEST {number}"):
            await app.achat(f"{number}").ainvoke("x")
            await drain(app.achat(f"{number}").astream("x"))

    async def scenario():
        await asyncio.gather(*(request(number) for number in range(5)))

    finish(scenario)
    assert app.paths() == sorted(
        path
        for number in range(5)
        for path in [
            f"REQUEST {number}",
            *[f"REQUEST {number} > chat {number}"] * 2,
            *[f"REQUEST {number} > chat {number} > HTTP"] * 2,
        ]
    )


# -- streams and what their consumer does meanwhile ------------------------------------------------------------------


def test_spans_of_the_consumer_are_not_children_of_the_stream(app):
    def scenario():
        for _ in app.chat().stream("x"):
            with app.span("CONSUMER"):
                app.http()

    finish(scenario)
    paths = Counter(app.paths())
    assert set(paths) == {"CONSUMER", "CONSUMER > HTTP", "chat gpt-4o", "chat gpt-4o > HTTP"}
    assert paths["CONSUMER"] == paths["CONSUMER > HTTP"] >= 4
    assert paths["chat gpt-4o > HTTP"] == 1


def test_concurrent_streams_and_their_consumers(app):
    async def consume(number):
        async for _ in app.achat(f"{number}").astream("x"):
            with app.span(f"CONSUMER {number}"):
                await asyncio.sleep(0)
                app.http()

    async def scenario():
        await asyncio.gather(*(consume(number) for number in range(3)))

    finish(scenario)
    assert set(app.paths()) == {
        path
        for number in range(3)
        for path in (
            f"CONSUMER {number}",
            f"CONSUMER {number} > HTTP",
            f"chat {number}",
            f"chat {number} > HTTP",
        )
    }


def test_a_consumer_span_that_is_open_while_the_stream_goes_on(app):
    def scenario():
        stream = app.chat().stream("x")
        next(stream)
        with app.span("CONSUMER"):
            next(stream)
            app.http()
            next(stream)
            app.http()
        list(stream)

    finish(scenario)
    assert app.paths() == ["CONSUMER", *["CONSUMER > HTTP"] * 2, "chat gpt-4o", "chat gpt-4o > HTTP"]


class TalkingChat(AsyncChat):
    """Makes a request of its own before every chunk."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        for text in "abc":
            self.work()
            yield ChatGenerationChunk(message=AIMessageChunk(text))


class SpanningChat(TalkingChat):
    """Keeps a span open, and current, from its first chunk to its last."""

    tracer: Any

    def _stream(self, messages, stop=None, run_manager=None, **kwargs) -> Iterator[ChatGenerationChunk]:
        with self.tracer.start_as_current_span("CONNECTION"):
            yield from super()._stream(messages)


async def v3_events_one_by_one(model):
    stream = await model.astream_events("x", version="v3")
    await drain(stream)


STREAMS = {
    "stream": lambda model: list(model.stream("x")),
    "v3 events": lambda model: list(model.stream_events("x", version="v3")),
    "astream": astream,
    "v3 async events": v3_events_one_by_one,
}


@pytest.mark.parametrize("scenario", STREAMS.values(), ids=STREAMS)
def test_requests_of_every_step_are_nested(app, scenario):
    finish(scenario, app.chat(kind=TalkingChat))
    assert app.paths() == ["chat gpt-4o", *["chat gpt-4o > HTTP"] * 3]


@pytest.mark.parametrize("scenario", STREAMS.values(), ids=STREAMS)
def test_a_span_that_a_model_keeps_open_stays_current_in_it(app, scenario):
    finish(scenario, app.chat(kind=SpanningChat, tracer=app.tracer))
    connection = "chat gpt-4o > CONNECTION"
    assert app.paths() == ["chat gpt-4o", connection, *[f"{connection} > HTTP"] * 3]


def test_interleaved_streams(app):
    def scenario():
        first, second = app.chat("a", TalkingChat).stream("x"), app.chat("b", TalkingChat).stream("x")
        for _ in zip(first, second, strict=True):
            app.http()

    finish(scenario)
    paths = Counter(app.paths())
    assert {path: count for path, count in paths.items() if path != "HTTP"} == {
        "chat a": 1,
        "chat a > HTTP": 3,
        "chat b": 1,
        "chat b > HTTP": 3,
    }


def steps_elsewhere(stream: Iterator[Any]) -> None:
    """Draw each item of a stream in some thread of a pool, in a copy of the context: what ASGI servers do."""
    done = object()
    with ThreadPoolExecutor(2) as pool:
        while pool.submit(contextvars.copy_context().run, next, stream, done).result() is not done:
            pass


def test_a_stream_driven_from_a_thread_pool(app):
    def scenario():
        with app.span("SERVER"):
            steps_elsewhere(app.chat(kind=TalkingChat).stream("x"))

    finish(scenario)
    assert app.paths() == ["SERVER", "SERVER > chat gpt-4o", *["SERVER > chat gpt-4o > HTTP"] * 3]


def test_a_stream_whose_every_step_is_another_task(app):
    async def scenario():
        stream = app.chat(kind=TalkingChat).astream("x")
        while True:
            try:
                await asyncio.create_task(anext(stream))
            except StopAsyncIteration:
                break

    finish(scenario)
    assert app.paths() == ["chat gpt-4o", *["chat gpt-4o > HTTP"] * 3]


def test_a_stream_closed_early_leaves_nothing_current(app):
    def scenario():
        stream = app.chat().stream("x")
        next(stream)
        stream.close()

    async def ascenario():
        stream = app.achat().astream("x")
        await anext(stream)
        await stream.aclose()

    finish(scenario)
    finish(ascenario)
    assert app.paths() == [*["chat gpt-4o"] * 2, *["chat gpt-4o > HTTP"] * 2]


def test_a_stream_kept_open_leaves_nothing_current(app):
    stream = app.chat().stream("x")
    next(stream)
    nothing_is_current()
    with app.span("UNRELATED"):
        pass
    stream.close()
    assert app.paths() == ["UNRELATED", "chat gpt-4o", "chat gpt-4o > HTTP"]


# -- after a call ----------------------------------------------------------------------------------------------------


def test_what_follows_an_async_call_is_unrelated_to_it(app):
    async def scenario():
        await app.achat().ainvoke("x")
        app.http()
        await drain(app.achat().astream("x"))
        app.http()
        await app.achat().agenerate(prompts("x", "y"))
        app.http()

    finish(scenario)
    assert app.paths() == [*["HTTP"] * 3, *["chat gpt-4o"] * 4, *["chat gpt-4o > HTTP"] * 4]


def test_what_follows_a_cancelled_call_is_unrelated_to_it(app):
    async def scenario():
        model = app.chat(kind=HangingChat, reached=asyncio.Event())
        task = asyncio.create_task(model.ainvoke("x"))
        await model.reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        app.http()

    finish(scenario)
    assert app.paths() == ["HTTP", "chat gpt-4o", "chat gpt-4o > HTTP"]


@pytest.mark.parametrize("scenario", [call for _, call in CALLS.values()], ids=CALLS)
def test_what_follows_a_failed_call_is_unrelated_to_it(app, scenario):
    model = app.achat(fails_on="x")

    def attempt():
        with pytest.raises(Boom):
            scenario(model)
        app.http()

    async def aattempt():
        with pytest.raises(Boom):
            await scenario(model)
        app.http()

    finish(aattempt if asyncio.iscoroutinefunction(scenario) else attempt)
    assert set(app.paths()) == {"HTTP", "chat gpt-4o", "chat gpt-4o > HTTP"}


def test_the_context_of_the_application_reaches_the_model(app):
    seen = []

    def look():
        seen.append((baggage.get_baggage("tenant"), trace.get_current_span().name))

    async def scenario():
        token = otel_context.attach(baggage.set_baggage("tenant", "acme"))
        Chat(work=look).invoke("x")
        list(Chat(work=look).stream("x"))
        await AsyncChat(work=look).ainvoke("x")
        await drain(AsyncChat(work=look).astream("x"))
        await Chat(work=look).ainvoke("x")
        otel_context.detach(token)

    finish(scenario)
    assert seen == [("acme", "chat gpt-4o")] * 5


# -- threads ---------------------------------------------------------------------------------------------------------


def in_a_bare_thread(work: Callable[[], Any]) -> None:
    """A thread started by hand: it inherits no context variable."""
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_call_in_a_bare_thread_is_a_root(app):
    def scenario():
        with app.span("SERVER"):
            in_a_bare_thread(lambda: app.chat().invoke("x"))

    # A new thread knows nothing of the span around it; neither does any other instrumentation in it.
    finish(scenario)
    assert app.paths() == ["SERVER", "chat gpt-4o", "chat gpt-4o > HTTP"]


def test_a_chain_with_its_config_in_a_bare_thread(app):
    def body(_, config):
        in_a_bare_thread(lambda: app.chat().invoke("x", config))

    finish(lambda: RunnableLambda(body).invoke("x"))
    assert app.paths() == ["chat gpt-4o", "chat gpt-4o > HTTP"]


class Panel(PlainChat):
    """A model that asks another one, handing its callbacks down."""

    member: Any
    ask: Any

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        manager = CallbackManager(run_manager.handlers, parent_run_id=run_manager.run_id)
        config = {"callbacks": manager}
        self.ask(lambda: self.member.invoke("x", config))
        return super()._generate(messages)


def test_a_model_inside_a_model(app):
    finish(lambda: Panel(model="panel", member=app.chat(), ask=lambda work: work()).invoke("x"))
    assert app.paths() == ["chat panel", "chat panel > chat gpt-4o", "chat panel > chat gpt-4o > HTTP"]


def test_a_model_inside_a_model_but_in_a_bare_thread(app):
    # Nothing but LangChain's configuration gets there: the parent is found by its run id.
    finish(lambda: Panel(model="panel", member=app.chat(), ask=in_a_bare_thread).invoke("x"))
    assert app.paths() == ["chat panel", "chat panel > chat gpt-4o", "chat panel > chat gpt-4o > HTTP"]


def test_a_model_inside_a_model_under_another_span(app):
    def ask(work):
        with app.span("BUSINESS"):
            work()

    finish(lambda: Panel(model="panel", member=app.chat(), ask=ask).invoke("x"))
    business = "chat panel > BUSINESS"
    assert app.paths() == ["chat panel", business, f"{business} > chat gpt-4o", f"{business} > chat gpt-4o > HTTP"]


# -- foreign parents -------------------------------------------------------------------------------------------------


def test_a_langsmith_run_as_parent_is_not_ours(app):
    # LangChain takes the current LangSmith run for the parent, even where LangSmith is switched off.
    client = Client(api_url="http://127.0.0.1:9", api_key="key", auto_batch_tracing=False)
    foreign = RunTree(name="foreign", run_type="chain", ls_client=client)

    async def scenario():
        with app.span("SERVER"), tracing_context(parent=foreign, enabled=False):
            app.chat().invoke("x")
            await app.achat().ainvoke("x")

    finish(scenario)
    assert app.paths() == ["SERVER", *["SERVER > chat gpt-4o"] * 2, *["SERVER > chat gpt-4o > HTTP"] * 2]


def test_a_parent_in_another_process(app):
    remote = SpanContext(0xABC, 0xDEF, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def scenario():
        with trace.use_span(NonRecordingSpan(remote)):
            app.chat().invoke("x")

    finish(scenario)
    assert {span.name: (span.context.trace_id, span.parent.span_id == 0xDEF) for span in app.telemetry.spans()} == {
        "chat gpt-4o": (0xABC, True),
        "HTTP": (0xABC, False),
    }
    assert app.paths() == ["? > chat gpt-4o", "? > chat gpt-4o > HTTP"]


# -- graphs ----------------------------------------------------------------------------------------------------------


class State(TypedDict):
    text: str


def graph(node):
    return StateGraph(State).add_node("node", node).add_edge(START, "node").add_edge("node", END).compile()


def test_langgraph(app):
    def node(_):
        with app.span("NODE"):
            app.chat().invoke("x")
        return {"text": "y"}

    async def anode(_):
        with app.span("NODE"):
            await app.achat().ainvoke("x")
        return {"text": "y"}

    async def scenario():
        question = {"text": "x"}
        with app.span("SERVER"):
            graph(node).invoke(question)
            list(graph(node).stream(question))
            list(graph(node).stream(question, stream_mode="messages"))
            await graph(anode).ainvoke(question)
            await drain(graph(anode).astream(question))
            await drain(graph(anode).astream(question, stream_mode="messages"))
            await drain(graph(anode).astream_events(question, version="v2"))
            await graph(node).ainvoke(question)

    finish(scenario)
    graph_path = "SERVER > invoke_workflow"
    node_path = f"{graph_path} > NODE"
    expected = [
        *[graph_path] * 8,
        *[node_path] * 8,
        *[f"{node_path} > chat gpt-4o"] * 8,
        *[f"{node_path} > chat gpt-4o > HTTP"] * 8,
    ]
    assert app.paths() == ["SERVER", *expected]


# -- real HTTP instrumentation ---------------------------------------------------------------------------------------


class HttpChat(PlainChat):
    """Asks over `httpx`, in each of the four methods that a provider's class may have; twice if it is refused."""

    url: str

    def _post(self) -> None:
        with httpx.Client() as client:
            while client.post(f"{self.url}/decisions", json={"model": self.model, "questions": []}).is_error:
                pass

    async def _apost(self) -> None:
        async with httpx.AsyncClient() as client:
            while (await client.post(f"{self.url}/decisions", json={"model": self.model, "questions": []})).is_error:
                pass

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self._post()
        return super()._generate(messages)

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        await self._apost()
        return super()._generate(messages)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        self._post()
        yield ChatGenerationChunk(message=AIMessageChunk("a"))
        self._post()
        yield ChatGenerationChunk(message=AIMessageChunk("b"))

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        await self._apost()
        yield ChatGenerationChunk(message=AIMessageChunk("a"))
        await self._apost()
        yield ChatGenerationChunk(message=AIMessageChunk("b"))


@pytest.fixture
def provider(instrumented):
    instrumentor = HTTPXClientInstrumentor()
    instrumentor.instrument(tracer_provider=instrumented.tracer_provider, meter_provider=instrumented.meter_provider)
    with OpenAIServer() as server:
        yield server
    instrumentor.uninstrument()


HTTP_CALLS = {
    "invoke": (1, lambda model: model.invoke("x")),
    "ainvoke": (1, ainvoke),
    "generate": (1, lambda model: model.generate(prompts("x"))),
    "stream": (2, lambda model: list(model.stream("x"))),
    "astream": (2, astream),
    "v3 events": (2, lambda model: list(model.stream_events("x", version="v3"))),
    "v3 async events": (2, v3_events_one_by_one),
}


@pytest.mark.parametrize(("posts", "scenario"), HTTP_CALLS.values(), ids=HTTP_CALLS)
def test_spans_of_httpx_are_nested(app, provider, posts, scenario):
    finish(scenario, HttpChat(url=provider.base_url))
    assert app.paths() == ["chat gpt-4o", *["chat gpt-4o > POST"] * posts]


def test_retries_over_httpx_are_siblings(app, provider):
    provider.refuse = [500, 429]
    finish(ainvoke, HttpChat(url=provider.base_url))
    assert app.paths() == ["chat gpt-4o", *["chat gpt-4o > POST"] * 3]
