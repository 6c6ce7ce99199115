"""Tools, retrievals, agents and workflows: what gets a span, its name, its parent, its numbers, and its end."""

from __future__ import annotations

import asyncio
import gc
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import (
    RunnableBranch,
    RunnableLambda,
    RunnableParallel,
    RunnablePassthrough,
    chain,
)
from langchain_core.tools import ToolException, tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.errors import GraphRecursionError
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import ToolNode
from langgraph.types import Command, interrupt
from models import INPUT_TOKENS, OUTPUT_TOKENS, AsyncChat, Boom, Chat, PlainChat
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

import langmeter
from langmeter import semconv
from langmeter.langchain import instrumentor

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
PROMPT = ChatPromptTemplate.from_template("{question}")
PARSER = StrOutputParser()


class Scripted(PlainChat):
    """A model that plays one round after the other: the names of tools to call, and an answer when they are used up."""

    rounds: list[list[str]] = []
    position: int = 0

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        self.work()
        calls = self.rounds[self.position] if self.position < len(self.rounds) else []
        self.position += 1
        wanted = [{"name": name, "args": {"x": 1}, "id": f"{name}-{self.position}"} for name in calls]
        facts = {"model_name": self.model, "finish_reason": "tool_calls" if calls else "stop"}
        message = AIMessage("so" if not calls else "", tool_calls=wanted, usage_metadata=USAGE, response_metadata=facts)
        return ChatResult(generations=[ChatGeneration(message=message)])


@tool
def double(x: int) -> int:
    """Twice a number."""
    return 2 * x


@tool
def broken(x: int) -> int:
    """Never works."""
    raise Boom("no")


@tool
def careful(x: int) -> int:
    """Says what went wrong."""
    raise ToolException("not today")


careful.handle_tool_error = True


@tool
async def slow(x: int) -> int:
    """Takes its time."""
    await asyncio.sleep(5)
    return x


QUESTION = {"messages": [("user", "how much?")]}


def agent(*rounds: list[str], tools: Any = (double, broken, careful, slow), **options: Any) -> Any:
    return create_agent(Scripted(rounds=list(rounds)), list(tools), **options)


def tree(telemetry: Any) -> list[str]:
    """Every span, indented by depth, in order of starting."""
    spans = {span.context.span_id: span for span in telemetry.spans()}

    def depth(span: Any) -> int:
        above = spans.get(span.parent.span_id) if span.parent is not None else None
        return 0 if above is None else 1 + depth(above)

    ordered = sorted(spans.values(), key=lambda span: span.start_time)
    return ["  " * depth(span) + span.name for span in ordered]


def attributes(telemetry: Any, name: str) -> dict[str, Any]:
    (span,) = (span for span in telemetry.spans() if span.name == name)
    return dict(span.attributes)


def points(telemetry: Any, metric: Any) -> list[tuple[dict[str, Any], int, float]]:
    return [(found, point.count, point.sum) for found, point in telemetry.metrics().get(metric.name, [])]


# -- agents ----------------------------------------------------------------------------------------------------------


def test_an_agent_with_a_tool(instrumented):
    agent(["double"], name="calculator").invoke(QUESTION, {"configurable": {"thread_id": "t-1"}})
    assert tree(instrumented) == [
        "invoke_agent calculator",
        "  chat gpt-4o",
        "  execute_tool double",
        "  chat gpt-4o",
    ]
    assert attributes(instrumented, "invoke_agent calculator") == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "calculator",
        "gen_ai.conversation.id": "t-1",
        "gen_ai.usage.input_tokens": 2 * INPUT_TOKENS,
        "gen_ai.usage.output_tokens": 2 * OUTPUT_TOKENS,
        "gen_ai.response.finish_reasons": ("stop",),
    }
    assert attributes(instrumented, "execute_tool double") == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "double",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Twice a number.",
        "gen_ai.tool.call.id": "double-1",
        "gen_ai.agent.name": "calculator",
        "gen_ai.conversation.id": "t-1",
    }
    assert {span.name: span.kind for span in instrumented.spans()} == {
        "invoke_agent calculator": SpanKind.INTERNAL,
        "execute_tool double": SpanKind.INTERNAL,
        "chat gpt-4o": SpanKind.CLIENT,
    }


def test_the_numbers_of_an_agent_are_those_of_its_calls(instrumented):
    agent(["double", "double"], ["double"], name="calculator").invoke(QUESTION)
    named = {"gen_ai.agent.name": "calculator"}
    assert points(instrumented, semconv.AGENT_INFERENCE_CALLS) == [(named, 1, 3)]
    assert points(instrumented, semconv.AGENT_TOOL_CALLS) == [(named, 1, 3)]
    ((found, count, seconds),) = points(instrumented, semconv.AGENT_DURATION)
    (span,) = (span for span in instrumented.spans() if span.name == "invoke_agent calculator")
    assert (found, count) == (named, 1)
    assert seconds == pytest.approx((span.end_time - span.start_time) / 1e9, rel=1e-6)
    tool_series = {"gen_ai.tool.name": "double", "gen_ai.tool.type": "function", **named}
    assert [series[:2] for series in points(instrumented, semconv.TOOL_DURATION)] == [(tool_series, 3)]
    total = sum(value for _, value in instrumented.metrics()[semconv.INFERENCE_INPUT_TOKENS.name])
    assert span.attributes["gen_ai.usage.input_tokens"] == total == 3 * INPUT_TOKENS


def test_an_agent_inside_an_agent_counts_for_itself(instrumented):
    inner = agent(["double"], name="inner")

    @tool
    def ask_inner(x: int) -> str:
        """Asks another agent."""
        return inner.invoke(QUESTION)["messages"][-1].content

    agent(["ask_inner"], tools=[ask_inner], name="outer").invoke(QUESTION)
    assert tree(instrumented) == [
        "invoke_agent outer",
        "  chat gpt-4o",
        "  execute_tool ask_inner",
        "    invoke_agent inner",
        "      chat gpt-4o",
        "      execute_tool double",
        "      chat gpt-4o",
        "  chat gpt-4o",
    ]
    calls = {
        found["gen_ai.agent.name"]: total for found, _, total in points(instrumented, semconv.AGENT_INFERENCE_CALLS)
    }
    assert calls == {"outer": 2, "inner": 2}
    for name in ("outer", "inner"):
        assert attributes(instrumented, f"invoke_agent {name}")["gen_ai.usage.input_tokens"] == 2 * INPUT_TOKENS
    assert attributes(instrumented, "execute_tool double")["gen_ai.agent.name"] == "inner"
    assert attributes(instrumented, "execute_tool ask_inner")["gen_ai.agent.name"] == "outer"


def test_an_agent_without_a_name(instrumented):
    agent().invoke(QUESTION)
    assert tree(instrumented) == ["invoke_agent", "  chat gpt-4o"]
    assert points(instrumented, semconv.AGENT_INFERENCE_CALLS) == [({}, 1, 1)]


def test_middleware_and_structured_output_make_no_spans_of_their_own(instrumented):
    class Answer(BaseModel):
        x: int

    limited = agent(["double"], name="limited", middleware=[ModelCallLimitMiddleware(run_limit=5)])
    limited.invoke(QUESTION)
    assert tree(instrumented) == ["invoke_agent limited", "  chat gpt-4o", "  execute_tool double", "  chat gpt-4o"]


def test_an_agent_as_a_node_of_a_graph(instrumented):
    builder = StateGraph(MessagesState).add_node("worker", agent(["double"], name="worker"))
    builder.add_edge(START, "worker").compile(name="office").invoke(QUESTION)
    assert tree(instrumented) == [
        "invoke_workflow office",
        "  invoke_agent worker",
        "    chat gpt-4o",
        "    execute_tool double",
        "    chat gpt-4o",
    ]


def test_a_hand_made_react_graph_is_an_agent(instrumented):
    model = Scripted(rounds=[["double"]])
    builder = StateGraph(MessagesState)
    builder.add_node("agent", lambda state: {"messages": [model.invoke(state["messages"])]})
    builder.add_node("tools", ToolNode([double]))
    builder.add_edge(START, "agent").add_edge("tools", "agent")
    builder.add_conditional_edges("agent", lambda state: "tools" if state["messages"][-1].tool_calls else END)
    builder.compile(name="react").invoke(QUESTION)
    assert tree(instrumented) == ["invoke_agent react", "  chat gpt-4o", "  execute_tool double", "  chat gpt-4o"]


# -- ways of running an agent ----------------------------------------------------------------------------------------


def stream(graph: Any) -> None:
    assert list(graph.stream(QUESTION))


def stream_messages(graph: Any) -> None:
    assert list(graph.stream(QUESTION, stream_mode=["messages", "updates", "custom", "values"], subgraphs=True))


async def ainvoke(graph: Any) -> None:
    await graph.ainvoke(QUESTION)


async def astream(graph: Any) -> None:
    assert [part async for part in graph.astream(QUESTION, stream_mode=["messages", "updates"])]


async def astream_events(graph: Any) -> None:
    assert [part async for part in graph.astream_events(QUESTION, version="v2")]


def batch(graph: Any) -> None:
    graph.batch([QUESTION])


async def abatch(graph: Any) -> None:
    await graph.abatch([QUESTION])


def checkpointed(graph: Any) -> None:
    graph.checkpointer = InMemorySaver()
    graph.invoke(QUESTION, {"configurable": {"thread_id": "1"}})


WAYS = (stream, stream_messages, ainvoke, astream, astream_events, batch, abatch, checkpointed)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_running_an_agent_gives_the_same_tree(instrumented, way):
    graph = agent(["double"], name="calculator")
    asyncio.run(way(graph)) if asyncio.iscoroutinefunction(way) else way(graph)
    assert tree(instrumented) == [
        "invoke_agent calculator",
        "  chat gpt-4o",
        "  execute_tool double",
        "  chat gpt-4o",
    ]
    assert {span.status.status_code for span in instrumented.spans()} == {StatusCode.UNSET}


def test_a_stream_that_is_dropped_leaves_nothing_open(instrumented):
    events = agent(["double"], name="calculator").stream(QUESTION)
    next(events)
    events.close()
    assert instrumentor.open_runs() == 0
    (root,) = (span for span in instrumented.spans() if span.parent is None)
    assert (root.name, root.status.status_code) == ("invoke_agent calculator", StatusCode.UNSET)


# -- graphs ----------------------------------------------------------------------------------------------------------


class State(TypedDict):
    text: Annotated[str, lambda old, new: new]


def graph(*nodes: Any, name: str | None = None, **options: Any) -> Any:
    builder = StateGraph(State)
    previous = START
    for number, node in enumerate(nodes):
        builder.add_node(f"node-{number}", node)
        builder.add_edge(previous, f"node-{number}")
        previous = f"node-{number}"
    return builder.compile(name=name, **options)


def test_a_graph_is_a_workflow_and_its_nodes_are_not(instrumented):
    model = PlainChat()
    graph(lambda _: {"text": model.invoke("x").content}, lambda _: {"text": "y"}, name="flow").invoke({"text": ""})
    assert tree(instrumented) == ["invoke_workflow flow", "  chat gpt-4o"]
    assert attributes(instrumented, "invoke_workflow flow") == {
        "gen_ai.operation.name": "invoke_workflow",
        "gen_ai.workflow.name": "flow",
    }
    assert [series[:2] for series in points(instrumented, semconv.WORKFLOW_DURATION)] == [
        ({"gen_ai.workflow.name": "flow"}, 1)
    ]


def test_an_unnamed_graph_has_no_name_and_a_run_name_names_it(instrumented):
    unnamed = graph(lambda _: {"text": "y"})
    unnamed.invoke({"text": ""})
    unnamed.invoke({"text": ""}, {"run_name": "tonight"})
    assert tree(instrumented) == ["invoke_workflow", "invoke_workflow tonight"]


def test_sub_graphs_of_the_application_are_workflows_too(instrumented):
    inner = graph(lambda _: {"text": PlainChat().invoke("x").content}, name="inner")
    graph(inner, name="outer").invoke({"text": ""})
    assert tree(instrumented) == ["invoke_workflow outer", "  invoke_workflow inner", "    chat gpt-4o"]


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_an_interrupt_and_its_resumption_are_no_errors(instrumented, mode):
    def ask(state):
        return {"text": interrupt("sure?")}

    waiting = graph(ask, name="approval", checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "42"}}

    async def run() -> None:
        await waiting.ainvoke({"text": ""}, config)
        await waiting.ainvoke(Command(resume="yes"), config)

    if mode == "async":
        asyncio.run(run())
    else:
        waiting.invoke({"text": ""}, config)
        assert waiting.invoke(Command(resume="yes"), config) == {"text": "yes"}
    assert tree(instrumented) == ["invoke_workflow approval"] * 2
    assert [(span.status.status_code, span.attributes.get("error.type")) for span in instrumented.spans()] == [
        (StatusCode.UNSET, None)
    ] * 2
    assert {span.attributes["gen_ai.conversation.id"] for span in instrumented.spans()} == {"42"}
    assert instrumented.logs() == []


def test_an_interrupt_inside_a_tool_is_no_error(instrumented):
    @tool
    def refund(x: int) -> str:
        """Pays back."""
        return str(interrupt("sure?"))

    clerk = agent(["refund"], tools=[refund], name="clerk", checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "42"}}
    clerk.invoke(QUESTION, config)
    clerk.invoke(Command(resume="yes"), config)
    assert tree(instrumented) == [
        "invoke_agent clerk",
        "  chat gpt-4o",
        "  execute_tool refund",
        "invoke_agent clerk",
        "  execute_tool refund",
        "  chat gpt-4o",
    ]
    assert {span.status.status_code for span in instrumented.spans()} == {StatusCode.UNSET}
    assert instrumented.logs() == []


def test_a_command_to_the_parent_graph_is_no_error(instrumented):
    inner = graph(lambda _: Command(graph=Command.PARENT, goto="after", update={"text": "z"}), name="inner")
    builder = StateGraph(State).add_node("inner", inner).add_node("after", lambda _: {"text": "done"})
    builder.add_edge(START, "inner").compile(name="outer").invoke({"text": ""})
    assert {span.name: span.status.status_code for span in instrumented.spans()} == {
        "invoke_workflow inner": StatusCode.UNSET,
        "invoke_workflow outer": StatusCode.UNSET,
    }


def test_a_graph_that_never_ends_fails(instrumented):
    builder = StateGraph(State).add_node("again", lambda _: {"text": "y"})
    builder.add_edge(START, "again").add_edge("again", "again")
    with pytest.raises(GraphRecursionError):
        builder.compile(name="loop").invoke({"text": ""}, {"recursion_limit": 3})
    (span,) = instrumented.spans()
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "langgraph.errors.GraphRecursionError"
    assert [dict(record.log_record.attributes)["exception.type"] for record in instrumented.logs()] == [
        "langgraph.errors.GraphRecursionError"
    ]


# -- failures --------------------------------------------------------------------------------------------------------


def test_an_exception_is_logged_once_where_it_came_up(instrumented):
    failing = graph(lambda _: {"text": PlainChat(fails_on="x").invoke("x").content}, name="flow")
    with pytest.raises(Boom):
        graph(failing, name="around").invoke({"text": ""})
    assert {
        span.name: (span.status.status_code, span.attributes["error.type"]) for span in instrumented.spans()
    } == dict.fromkeys(
        ("chat gpt-4o", "invoke_workflow flow", "invoke_workflow around"), (StatusCode.ERROR, "models.Boom")
    )
    (record,) = instrumented.logs()
    (chat,) = (span for span in instrumented.spans() if span.name == "chat gpt-4o")
    assert record.log_record.event_name == "gen_ai.client.operation.exception"
    assert record.log_record.span_id == chat.context.span_id


def test_a_tool_that_fails(instrumented):
    with pytest.raises(Boom):
        agent(["broken"], name="unlucky").invoke(QUESTION)
    (span,) = (span for span in instrumented.spans() if span.name == "execute_tool broken")
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "models.Boom")
    expected = {
        "gen_ai.tool.name": "broken",
        "gen_ai.tool.type": "function",
        "gen_ai.agent.name": "unlucky",
        "error.type": "models.Boom",
    }
    assert [series[:2] for series in points(instrumented, semconv.TOOL_DURATION)] == [(expected, 1)]
    assert points(instrumented, semconv.AGENT_TOOL_CALLS) == [({"gen_ai.agent.name": "unlucky"}, 1, 1)]
    assert len(instrumented.logs()) == 1


def test_a_failure_that_a_tool_handles_itself_is_none(instrumented):
    agent(["careful"], name="calm").invoke(QUESTION)
    assert {span.status.status_code for span in instrumented.spans()} == {StatusCode.UNSET}
    assert instrumented.logs() == []


async def cancelled(work: Any) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


class Library(BaseRetriever):
    pause: float = 0.0
    failure: Any = None

    def _get_relevant_documents(self, query, *, run_manager):
        if self.failure is not None:
            raise self.failure
        return [Document("a")]

    async def _aget_relevant_documents(self, query, *, run_manager):
        await asyncio.sleep(self.pause)
        return self._get_relevant_documents(query, run_manager=run_manager)


CANCELLED = {
    "tool": (lambda: slow.ainvoke({"x": 1}), ["execute_tool slow"]),
    "retriever": (lambda: Library(pause=5).ainvoke("x"), ["retrieval"]),
    "agent": (lambda: agent(["slow"], name="patient").ainvoke(QUESTION), ["invoke_agent patient", "execute_tool slow"]),
}


@pytest.mark.parametrize("what", CANCELLED)
def test_what_is_cancelled_ends(instrumented, what):
    work, names = CANCELLED[what]
    asyncio.run(cancelled(work()))
    gc.collect()
    found = {span.name: span for span in instrumented.spans()}
    assert instrumentor.open_runs() == 0
    for name in names:
        assert found[name].status.status_code is StatusCode.ERROR
        assert found[name].attributes["error.type"] == "asyncio.exceptions.CancelledError"


# -- retrievals ------------------------------------------------------------------------------------------------------


def vector_retriever(**search: Any) -> Any:
    store = InMemoryVectorStore.from_texts(["a", "b"], DeterministicFakeEmbedding(size=4))
    return store.as_retriever(search_kwargs=search)


def test_a_retrieval(instrumented):
    vector_retriever(k=2).invoke("x")
    (span,) = (span for span in instrumented.spans() if span.name.startswith("retrieval"))
    found = dict(span.attributes)
    assert found.pop("gen_ai.operation.name") == "retrieval"
    assert found.pop("gen_ai.retrieval.top_k") == 2
    assert (span.name, span.kind) == ("retrieval", SpanKind.CLIENT)
    ((series, count, _),) = points(instrumented, semconv.OPERATION_DURATION)
    assert (series["gen_ai.operation.name"], count) == ("retrieval", 1)


class Shelf:
    collection_name = "novels"


class Named(Library):
    vectorstore: Any = Shelf()
    k: int = 7


def test_a_retrieval_names_what_it_searches(instrumented):
    Named().invoke("x")
    assert attributes(instrumented, "retrieval novels") == {
        "gen_ai.operation.name": "retrieval",
        "gen_ai.data_source.id": "novels",
        "gen_ai.retrieval.top_k": 7,
    }
    assert [series for series, *_ in points(instrumented, semconv.OPERATION_DURATION)] == [
        {"gen_ai.operation.name": "retrieval"}
    ]


def test_a_retrieval_that_fails(instrumented):
    with pytest.raises(Boom):
        Library(failure=Boom()).invoke("x")
    (span,) = instrumented.spans()
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "models.Boom")


# -- chains ----------------------------------------------------------------------------------------------------------


@chain
def application(question: str) -> str:
    return PlainChat().invoke(question).content


class Answer(BaseModel):
    text: str


class Structured(PlainChat):
    def with_structured_output(self, schema, **kwargs):
        return self | RunnableLambda(lambda message: Answer(text=message.content))


NO_WORKFLOWS = {
    "sequence with one model": PROMPT | PlainChat() | PARSER,
    "lambda": RunnableLambda(lambda _: PlainChat().invoke("x").content),
    "decorated function": application,
    "retry": PlainChat().with_retry(),
    "retried sequence": (PROMPT | PlainChat()).with_retry(),
    "fallback": (PROMPT | PlainChat()).with_fallbacks([PROMPT | PlainChat()]),
    "structured output": Structured().with_structured_output(Answer),
    "passthrough": RunnablePassthrough.assign(answer=PROMPT | PlainChat()),
    "binding": (PROMPT | PlainChat()).bind(stop=["x"]),
}


@pytest.mark.parametrize("name", NO_WORKFLOWS)
def test_no_false_workflows(instrumented, name):
    takes_text = name in ("structured output", "decorated function", "retry")
    NO_WORKFLOWS[name].invoke("x" if takes_text else {"question": "x"})
    assert tree(instrumented) == ["chat gpt-4o"]


@pytest.mark.parametrize("runnable", [PROMPT, PARSER, RunnableLambda(str), PROMPT | RunnableLambda(str)])
def test_no_span_where_no_model_is(instrumented, runnable):
    runnable.invoke({"question": "x"} if runnable is not PARSER else "x")
    assert instrumented.spans() == []


TWO_MODELS = PROMPT | PlainChat() | PARSER | PlainChat()
WORKFLOWS = {
    "two models": TWO_MODELS,
    "branches": PROMPT | RunnableParallel(a=PlainChat(), b=PlainChat()),
    "retrieval and model": {"question": RunnableLambda(str) | Library()} | PROMPT | PlainChat(),
    "either model": RunnableBranch((lambda _: True, PROMPT | PlainChat()), PROMPT | PlainChat()),
}


@pytest.mark.parametrize("name", WORKFLOWS)
def test_an_outermost_chain_that_coordinates_is_a_workflow(instrumented, name):
    WORKFLOWS[name].invoke({"question": "x"})
    root, *inside = tree(instrumented)
    assert root == "invoke_workflow"
    assert all(line.startswith("  ") and not line.strip().startswith("invoke") for line in inside)
    assert attributes(instrumented, "invoke_workflow") == {"gen_ai.operation.name": "invoke_workflow"}


def test_only_the_outermost_chain_is_a_workflow(instrumented):
    (RunnableLambda(lambda question: {"question": question}) | TWO_MODELS | TWO_MODELS_AGAIN).invoke("x")
    assert tree(instrumented) == ["invoke_workflow", *["  chat gpt-4o"] * 4]


TWO_MODELS_AGAIN = RunnableLambda(lambda message: {"question": message.content}) | TWO_MODELS


def test_a_chain_with_a_name_is_a_workflow_of_that_name(instrumented):
    named = PROMPT | PlainChat()
    named.invoke({"question": "x"}, {"run_name": "summary"})
    named.with_config(run_name="digest").invoke({"question": "x"})
    application.invoke("x", {"run_name": "main"})
    assert tree(instrumented) == [
        "invoke_workflow summary",
        "  chat gpt-4o",
        "invoke_workflow digest",
        "  chat gpt-4o",
        "invoke_workflow main",
        "  chat gpt-4o",
    ]


CHAIN_WAYS = {
    "invoke": lambda chain: chain.invoke({"question": "x"}),
    "stream": lambda chain: list(chain.stream({"question": "x"})),
    "batch": lambda chain: chain.batch([{"question": "x"}]),
    "ainvoke": lambda chain: asyncio.run(chain.ainvoke({"question": "x"})),
    "abatch": lambda chain: asyncio.run(chain.abatch([{"question": "x"}])),
    "astream": lambda chain: asyncio.run(drained(chain.astream({"question": "x"}))),
}


async def drained(items: Any) -> list[Any]:
    return [item async for item in items]


@pytest.mark.parametrize("way", CHAIN_WAYS)
def test_a_chain_is_the_same_workflow_in_every_way(instrumented, way):
    CHAIN_WAYS[way](PROMPT | Chat() | PARSER | AsyncChat())
    assert tree(instrumented) == ["invoke_workflow", "  chat gpt-4o", "  chat gpt-4o"]
    assert len({span.context.trace_id for span in instrumented.spans()}) == 1


# -- doors -----------------------------------------------------------------------------------------------------------


def test_a_passed_handler_sees_the_same_tree(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    builder = StateGraph(MessagesState).add_node("worker", agent(["double"], name="worker"))
    builder.add_edge(START, "worker").compile(name="office").invoke(QUESTION, {"callbacks": [handler]})
    assert tree(telemetry) == [
        "invoke_workflow office",
        "  invoke_agent worker",
        "    chat gpt-4o",
        "    execute_tool double",
        "    chat gpt-4o",
    ]
    assert points(telemetry, semconv.AGENT_INFERENCE_CALLS) == [({"gen_ai.agent.name": "worker"}, 1, 2)]


def test_installed_and_passed_together_count_once(instrumented):
    handler = langmeter.CallbackHandler(
        tracer_provider=instrumented.tracer_provider, meter_provider=instrumented.meter_provider
    )
    agent(["double"], name="calculator").invoke(QUESTION, {"callbacks": [handler]})
    assert len(instrumented.spans()) == 4
    assert points(instrumented, semconv.AGENT_TOOL_CALLS) == [({"gen_ai.agent.name": "calculator"}, 1, 1)]


def test_metrics_do_not_depend_on_sampling(make_telemetry, instrument):
    telemetry = instrument(make_telemetry(ALWAYS_OFF))
    agent(["double"], name="calculator").invoke(QUESTION)
    named = {"gen_ai.agent.name": "calculator"}
    assert telemetry.spans() == []
    assert points(telemetry, semconv.AGENT_INFERENCE_CALLS) == [(named, 1, 2)]
    assert points(telemetry, semconv.AGENT_TOOL_CALLS) == [(named, 1, 1)]
    assert telemetry.metrics()[semconv.REQUESTS.name][0][1] == 2


def test_a_graph_is_itself_again_after_uninstrument(instrumented):
    langmeter.uninstrument()
    agent(["double"]).invoke(QUESTION)
    assert instrumented.spans() == []
    assert not hasattr(type(agent()).stream, "__wrapped__")


def test_a_tracer_that_fails_costs_the_application_nothing(telemetry):
    class Failing(TracerProvider):
        def get_tracer(self, *args, **kwargs):
            made = super().get_tracer(*args, **kwargs)
            made.start_span = self._fail
            return made

        def _fail(self, *args, **kwargs):
            raise Boom("no spans today")

    langmeter.boundary.set_strict(False)
    langmeter.instrument(tracer_provider=Failing(), meter_provider=telemetry.meter_provider)
    try:
        answer = agent(["double"], name="calculator").invoke(QUESTION)
    finally:
        langmeter.uninstrument()
    assert answer["messages"][-1].content == "so"
    assert instrumentor.open_runs() == 0


# -- older agents, and graphs written as functions -------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:create_react_agent has been moved")
def test_the_react_agent_of_langgraph(instrumented):
    from langgraph.prebuilt import create_react_agent

    create_react_agent(Scripted(rounds=[["double"]]), [double], name="react").invoke(QUESTION)
    assert tree(instrumented) == ["invoke_agent react", "  chat gpt-4o", "  execute_tool double", "  chat gpt-4o"]


@pytest.mark.parametrize("run_name", [None, "support"])
def test_the_agent_executor(instrumented, run_name):
    from langchain_classic.agents import AgentExecutor, create_tool_calling_agent

    prompt = ChatPromptTemplate.from_messages([("user", "{question}"), ("placeholder", "{agent_scratchpad}")])
    inner = create_tool_calling_agent(Scripted(rounds=[["double"]]), [double], prompt)
    config = {"run_name": run_name} if run_name else {}
    AgentExecutor(agent=inner, tools=[double]).invoke({"question": "how much?"}, config)
    root = f"invoke_agent {run_name}" if run_name else "invoke_agent"
    assert tree(instrumented) == [root, "  chat gpt-4o", "  execute_tool double", "  chat gpt-4o"]
    assert points(instrumented, semconv.AGENT_INFERENCE_CALLS)[0][1:] == (1, 2)


def test_a_graph_written_as_a_function(instrumented):
    from langgraph.func import entrypoint, task

    @task
    def ask(question):
        return PlainChat().invoke(question).content

    @entrypoint()
    def story(question):
        return ask(question).result()

    assert story.invoke("x") == "re: x"
    assert tree(instrumented) == ["invoke_workflow story", "  chat gpt-4o"]
