"""What an application does with graphs, and with the memory that belongs to them."""

from __future__ import annotations

from operator import add
from typing import Annotated, Any, TypedDict

from langchain.agents import create_agent
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore  # noqa: TC002  (langgraph reads the annotation to know what to inject)
from langgraph.store.memory import InMemoryStore
from langgraph.types import Command, interrupt
from model_scenarios import refused
from scenario import AGENT, CALLED, CONVERSATION, MESSAGES, QUESTION, STREAMED, WORKFLOW, World, scenario, thread
from shaped_servers import HANG
from tool_scenarios import get_weather


class State(TypedDict, total=False):
    question: str
    said: Annotated[list[str], add]


def ask(world: World) -> Any:
    """A node that asks the model."""
    chat = world.chat()

    def sync(state: State) -> State:
        return {"said": [str(chat.invoke(state["question"]).content)]}

    async def asynchronous(state: State) -> State:
        return {"said": [str((await chat.ainvoke(state["question"])).content)]}

    return RunnableLambda(sync, asynchronous, name="ask")


def graph_of(name: str | None, *nodes: Any, checkpointer: Any = None) -> Any:
    """A graph whose nodes come one after another."""
    graph = StateGraph(State)
    names = [f"step_{number}" for number in range(len(nodes))]
    for node_name, node in zip(names, nodes, strict=True):
        graph.add_node(node_name, node)
    for before, after in zip([START, *names], [*names, END], strict=True):
        graph.add_edge(before, after)
    return graph.compile(checkpointer=checkpointer, name=name)


@scenario("workflow", [("invoke_workflow triage", ["chat", "chat"])], given={"invoke_workflow": WORKFLOW})
def _workflow(world: World) -> None:
    world.call(graph_of("triage", ask(world), ask(world)), {"question": QUESTION})


@scenario("workflow without a name", [("invoke_workflow", ["chat"])])
def _unnamed_workflow(world: World) -> None:
    world.call(graph_of(None, ask(world)), {"question": QUESTION})


@scenario(
    "workflow in a workflow",
    [("invoke_workflow outer", ["chat", ("invoke_workflow inner", ["chat"])])],
    given={"invoke_workflow": WORKFLOW},
)
def _nested_workflow(world: World) -> None:
    world.call(graph_of("outer", ask(world), graph_of("inner", ask(world))), {"question": QUESTION})


@scenario(
    "workflow with an agent",
    [("invoke_workflow triage", [("invoke_agent weather", ["chat", "chat", "execute_tool get_weather"])])],
    given={"invoke_workflow": WORKFLOW, "invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _workflow_with_agent(world: World) -> None:
    agent = create_agent(world.chat(), [get_weather], name="weather")

    def sync(state: State) -> State:
        return {"said": [agent.invoke(MESSAGES)["messages"][-1].content]}

    async def asynchronous(state: State) -> State:
        return {"said": [(await agent.ainvoke(MESSAGES))["messages"][-1].content]}

    world.call(graph_of("triage", RunnableLambda(sync, asynchronous)), {"question": QUESTION})


def _pause(state: State) -> State:
    return {"said": [interrupt("may I?")]}


@scenario(
    "interrupt",
    [("invoke_workflow approval", ["chat"]), ("invoke_workflow approval", [])],
    given={"invoke_workflow": (*WORKFLOW, *CONVERSATION), "chat": CONVERSATION},
)
def _interrupt(world: World) -> None:
    graph = graph_of("approval", ask(world), _pause, checkpointer=InMemorySaver())
    assert "__interrupt__" in world.call(graph, {"question": QUESTION}, thread())
    assert world.call(graph, Command(resume="yes"), thread())["said"][-1] == "yes"


@scenario(
    "command to the graph above",
    [("invoke_workflow outer", [("invoke_workflow inner", ["chat"]), "chat"])],
    given={"invoke_workflow": WORKFLOW},
    some={"invoke_workflow": ("gen_ai.output.messages",)},  # the inner one hands over and says nothing
)
def _command(world: World) -> None:
    def hand_over(state: State) -> Command[Any]:
        return Command(goto="after", graph=Command.PARENT)

    outer = StateGraph(State)
    outer.add_node("before", graph_of("inner", ask(world), hand_over), destinations=("after",))
    outer.add_node("after", ask(world))
    outer.add_edge(START, "before")
    outer.add_edge("after", END)
    world.call(outer.compile(name="outer"), {"question": QUESTION})


def _break(state: State) -> State:
    raise ValueError(state["question"])


@scenario(
    "workflow, streamed",
    [("invoke_workflow outer", ["chat", ("invoke_workflow inner", ["chat"])])],
    given={"invoke_workflow": WORKFLOW, "chat": STREAMED},
)
def _streamed_workflow(world: World) -> None:
    graph = graph_of("outer", ask(world), graph_of("inner", ask(world)))
    assert world.stream(graph, {"question": QUESTION}, stream_mode=["updates", "messages"], subgraphs=True)


@scenario(
    "workflow that is cancelled",
    [("invoke_workflow triage", ["chat"])],
    given={"invoke_workflow": WORKFLOW},
    modes=("async",),
    billed=False,
)
def _cancelled_workflow(world: World) -> None:
    world.cancel(graph_of("triage", ask(world)), {"question": HANG})


@scenario("workflow that fails", [("invoke_workflow triage", ["chat"])], given={"invoke_workflow": WORKFLOW})
def _workflow_error(world: World) -> None:
    refused(lambda: world.call(graph_of("triage", ask(world), _break), {"question": QUESTION}))


@scenario(
    "workflow whose model is refused", [("invoke_workflow triage", ["chat"])], given={"invoke_workflow": WORKFLOW}
)
def _workflow_model_error(world: World) -> None:
    world.server.refuse.append(400)
    refused(lambda: world.call(graph_of("triage", ask(world)), {"question": QUESTION}))


PLACE = ("users", "1")


@scenario(
    "memory",
    [("invoke_workflow notes", ["upsert_memory", "search_memory", "search_memory", "delete_memory"])],
    given={
        "invoke_workflow": WORKFLOW,
        "upsert_memory": ("gen_ai.memory.record.id",),
        "delete_memory": ("gen_ai.memory.record.id",),
    },
    some={"search_memory": ("gen_ai.memory.record.id",)},
)
def _memory(world: World) -> None:
    def sync(state: State, *, store: BaseStore) -> State:
        store.put(PLACE, "tea", {"text": "likes tea"})
        assert store.get(PLACE, "tea") is not None
        store.search(PLACE, query="tea")
        store.delete(PLACE, "tea")
        return {}

    async def asynchronous(state: State, *, store: BaseStore) -> State:
        await store.aput(PLACE, "tea", {"text": "likes tea"})
        assert await store.aget(PLACE, "tea") is not None
        await store.asearch(PLACE, query="tea")
        await store.adelete(PLACE, "tea")
        return {}

    graph = StateGraph(State).add_node("note", asynchronous if world.asynchronous else sync).add_edge(START, "note")
    world.call(graph.compile(name="notes", store=InMemoryStore()), {"question": QUESTION})
