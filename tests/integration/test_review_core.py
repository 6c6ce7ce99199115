"""Steps in unusual places: no span that nobody asked for, none missing, one trace, and every failure told once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
from typing import Any

import pytest
from langchain_core.chat_history import InMemoryChatMessageHistory
from langchain_core.runnables import ConfigurableField, RunnableGenerator, RunnableLambda
from langchain_core.runnables.history import RunnableWithMessageHistory
from models import AsyncChat, Boom, PlainChat
from opentelemetry.trace import StatusCode
from test_steps import PARSER, PROMPT, Library, Scripted, State, double, graph, points, tree

from langmeter import semconv
from langmeter.langchain import instrumentor

SINGLE = PROMPT | PlainChat()
QUESTION = {"question": "x"}


# -- batches of retries and fallbacks --------------------------------------------------------------------------------

WRAPPED = {
    "sequence": SINGLE,
    "retry": SINGLE.with_retry(),
    "fallbacks": SINGLE.with_fallbacks([SINGLE]),
    "model with fallbacks": PROMPT | PlainChat().with_fallbacks([PlainChat()]),
}


@pytest.mark.parametrize("what", WRAPPED)
def test_a_batch_inside_a_node_makes_no_workflows(instrumented, what):
    async def node(_: Any) -> Any:
        await WRAPPED[what].abatch([QUESTION, QUESTION])
        return {"text": "done"}

    asyncio.run(graph(node, name="flow").ainvoke({"text": ""}))
    assert tree(instrumented) == ["invoke_workflow flow", "  chat gpt-4o", "  chat gpt-4o"]
    assert [found for found, *_ in points(instrumented, semconv.WORKFLOW_DURATION)] == [
        {"gen_ai.workflow.name": "flow"}
    ]


@pytest.mark.parametrize("way", ["invoke", "batch", "ainvoke", "abatch"])
@pytest.mark.parametrize("what", WRAPPED)
def test_a_name_makes_a_workflow_in_every_way(instrumented, what, way):
    named = WRAPPED[what].with_config(run_name="digest")
    ways = {
        "invoke": lambda: named.invoke(QUESTION),
        "batch": lambda: named.batch([QUESTION]),
        "ainvoke": lambda: asyncio.run(named.ainvoke(QUESTION)),
        "abatch": lambda: asyncio.run(named.abatch([QUESTION])),
    }
    ways[way]()
    assert tree(instrumented) == ["invoke_workflow digest", "  chat gpt-4o"]


# -- names that LangChain chose, and models that run instead of one another ------------------------------------------


def with_history(runnable: Any) -> Any:
    histories: dict[str, Any] = {}
    return RunnableWithMessageHistory(
        runnable, lambda session_id: histories.setdefault(session_id, InMemoryChatMessageHistory())
    )


SESSION = {"configurable": {"session_id": "1"}}


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory", "ignore:The class `InMemoryChatMessageHistory`")
def test_a_model_with_a_history_is_no_workflow(instrumented):
    with_history(PlainChat()).invoke([("user", "x")], SESSION)
    assert tree(instrumented) == ["chat gpt-4o"]


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory", "ignore:The class `InMemoryChatMessageHistory`")
def test_several_models_with_a_history_are_one_trace_without_a_name(instrumented):
    with_history(PlainChat() | PARSER | PlainChat()).invoke([("user", "x")], SESSION)
    assert tree(instrumented) == ["invoke_workflow", "  chat gpt-4o", "  chat gpt-4o"]


def test_a_generator_is_no_workflow(instrumented):
    def shout(parts: Any) -> Any:
        for part in parts:
            yield part.upper()

    assert RunnableGenerator(shout).invoke("x") == "X"
    assert instrumented.spans() == []


def test_alternatives_are_no_workflow(instrumented):
    model = PlainChat().configurable_alternatives(ConfigurableField(id="model"), other=PlainChat(model="gpt-4o-mini"))
    (PROMPT | model).invoke(QUESTION)
    assert tree(instrumented) == ["chat gpt-4o"]


def test_an_agent_executor_that_is_stepped_through(instrumented):
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
    from langchain_core.prompts import ChatPromptTemplate

    prompt = ChatPromptTemplate.from_messages([("user", "{question}"), ("placeholder", "{agent_scratchpad}")])
    inner = create_tool_calling_agent(Scripted(rounds=[["double"]]), [double], prompt)
    assert list(AgentExecutor(agent=inner, tools=[double]).iter(QUESTION))
    assert tree(instrumented) == ["invoke_agent", "  chat gpt-4o", "  execute_tool double", "  chat gpt-4o"]


# -- what a retriever stores is read, what it computes is not ---------------------------------------------------------


class Remote(Library):
    """Connects when it is asked for its index, as several retrievers do."""

    asked: list[str] = []

    @property
    def index(self) -> Any:
        self.asked.append("index")
        raise ConnectionError

    @property
    def collection_name(self) -> str:
        self.asked.append("collection_name")
        return "novels"


def test_a_retriever_is_not_asked_for_what_it_would_have_to_fetch(instrumented):
    remote = Remote()
    remote.invoke("x")
    assert remote.asked == []
    assert tree(instrumented) == ["retrieval"]


# -- threads that only the configuration reached ----------------------------------------------------------------------


def in_a_bare_thread(work: Any) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


INSIDE = {
    "model": lambda config: PlainChat().invoke("x", config),
    "retriever": lambda config: Library().invoke("x", config),
    "chain": lambda config: RunnableLambda(lambda _: PlainChat().invoke("x")).invoke("x", config),
}


@pytest.mark.parametrize("what", INSIDE)
def test_a_bare_thread_of_a_chain_without_a_span_stays_in_the_trace(instrumented, what):
    def body(text: str, config: Any) -> str:
        in_a_bare_thread(lambda: INSIDE[what](config))
        return text

    with instrumented.tracer_provider.get_tracer("server").start_as_current_span("request"):
        (RunnableLambda(lambda text: text) | RunnableLambda(body)).invoke("x")
    assert tree(instrumented) == ["request", "  retrieval" if what == "retriever" else "  chat gpt-4o"]


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_of_its_own_is_told_though_one_like_it_was_told_before(instrumented):
    """An exception may get the address of an earlier one of its type that has been freed."""

    def node(_: State) -> State:
        for _attempt in range(3):
            with pytest.raises(Boom):
                PlainChat(fails_on="x").invoke("x")
        raise Boom

    def handled(_: State) -> State:
        for _attempt in range(3):
            with contextlib.suppress(Boom):  # and freed, unlike above
                PlainChat(fails_on="x").invoke("x")
        raise Boom

    for body in (node, handled):
        with pytest.raises(Boom):
            graph(body, name="flow").invoke({"text": ""})
    (first, second) = (span.context.span_id for span in instrumented.spans() if span.name == "invoke_workflow flow")
    told = [record.log_record.span_id for record in instrumented.logs()]
    assert (len(told), told.count(first), told.count(second)) == (8, 1, 1)


# -- streams that are left ---------------------------------------------------------------------------------------------


async def answered(_: State) -> State:
    await asyncio.sleep(0)
    return {"text": "x"}


LEFT = {
    "graph": lambda: graph(answered, answered, name="flow").astream({"text": ""}),
    "model": lambda: AsyncChat().astream("x"),
    "chain": lambda: (PROMPT | AsyncChat() | PARSER).astream(QUESTION),
}


@pytest.mark.parametrize("what", LEFT)
def test_a_loop_that_ends_closes_a_stream_without_a_word(instrumented, what):
    complaints: list[Any] = []
    kept: list[Any] = []

    async def application() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        kept.append(LEFT[what]())
        await anext(kept[-1])

    for _ in range(5):  # the loop closes generators in the order of a set
        asyncio.run(application())
    assert complaints == []
    assert instrumentor.open_runs() == 0
    assert len([span for span in instrumented.spans() if span.parent is None]) == 5


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", LEFT)
def test_a_stream_that_is_collected_in_a_cycle_is_closed(instrumented, what):
    async def application() -> None:
        cycle: list[Any] = [LEFT[what]()]
        cycle.append(cycle)
        await anext(cycle[0])
        del cycle
        gc.collect()
        for _ in range(10):
            await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(application())
    assert instrumentor.open_runs() == 0
    (root,) = (span for span in instrumented.spans() if span.parent is None)
    assert root.status.status_code is StatusCode.UNSET
