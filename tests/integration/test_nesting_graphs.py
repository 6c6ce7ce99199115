"""Where the HTTP and database spans of real instrumentation hang in agents and graphs, their checkpoints included."""

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, TypedDict

import httpx
import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, AnyMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, interrupt
from models import USAGE, PlainChat
from nesting_world import async_tool, both, sync_tool
from opentelemetry import context as otel_context
from span_paths import finish

TOOL = "execute_tool look_up"
ROME = {"city": "Rome"}


async def drain(stream: Any) -> None:
    async for _ in stream:
        pass


# -- agents ----------------------------------------------------------------------------------------------------------


class ToolCallingChat(PlainChat):
    """Asks for the tool once, then answers."""

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        self.work()
        answered = any(message.type == "tool" for message in messages)
        calls = [] if answered else [{"name": "look_up", "args": ROME, "id": "call_1"}]
        message = AIMessage(
            "done", tool_calls=calls, usage_metadata=USAGE, response_metadata={"model_name": self.model}
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs) -> ChatResult:
        return self._generate(messages)


AGENT = "invoke_agent helper"
HELLO = {"messages": [("human", "hi")]}
RUN = sorted(
    [
        AGENT,
        *[f"{AGENT} > chat gpt-4o"] * 2,
        *both(f"{AGENT} > chat gpt-4o", 2),
        f"{AGENT} > {TOOL}",
        *both(f"{AGENT} > {TOOL}"),
    ]
)


def helper(world, found, **options):
    return create_agent(ToolCallingChat(work=world.work), [found], name="helper", **options)


async def ainvoke_agent(agent):
    await agent.ainvoke(HELLO)


async def astream_agent(agent):
    await drain(agent.astream(HELLO))


AGENT_CALLS = {
    "invoke": lambda agent: agent.invoke(HELLO),
    "stream": lambda agent: list(agent.stream(HELLO)),
    "stream of updates": lambda agent: list(agent.stream(HELLO, stream_mode=["updates", "messages"])),
    "ainvoke": ainvoke_agent,
    "astream": astream_agent,
}


@pytest.mark.parametrize("call", AGENT_CALLS.values(), ids=AGENT_CALLS)
def test_an_agent(world, call):
    finish(call, helper(world, sync_tool(world)))
    assert world.paths == RUN


def test_an_agent_with_an_async_tool(world):
    finish(ainvoke_agent, helper(world, async_tool(world)))
    assert world.paths == RUN


def test_an_agent_as_a_tool_of_another(world):
    inner = helper(world, sync_tool(world))

    @tool
    def delegate(city: str) -> str:
        """Ask the helper."""
        return str(inner.invoke(HELLO))

    finish(lambda: delegate.invoke(ROME))
    top = "execute_tool delegate"
    assert world.paths == sorted([top, *(f"{top} > {path}" for path in RUN)])


def test_agents_side_by_side_in_tasks(world):
    async def scenario():
        agent = helper(world, async_tool(world))
        await asyncio.gather(*(asyncio.create_task(ainvoke_agent(agent)) for _ in range(4)))

    finish(scenario)
    assert world.paths == sorted(RUN * 4)


def test_a_cancelled_agent(world):
    async def scenario():
        reached = asyncio.Event()

        @tool
        async def look_up(city: str) -> str:
            """Look up a city."""
            await world.awork()
            reached.set()
            await asyncio.Event().wait()
            return city

        task = asyncio.create_task(ainvoke_agent(helper(world, look_up)))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.query()

    finish(scenario)
    assert set(world.paths) == {"SELECT", *RUN}


# -- graphs ----------------------------------------------------------------------------------------------------------

TRIP = "invoke_workflow trip"


class State(TypedDict):
    messages: Annotated[list[AnyMessage], add_messages]


def trip(*nodes, **options):
    graph = StateGraph(State)
    for number, node in enumerate(nodes):
        graph.add_node(f"node {number}", node)
        graph.add_edge(START if number == 0 else f"node {number - 1}", f"node {number}")
    graph.add_edge(f"node {len(nodes) - 1}", END)
    return graph.compile(name="trip", **options)


def node_of(world):
    def node(_):
        world.work()
        return {}

    return node


def anode_of(world):
    async def node(_):
        await world.awork()
        return {}

    return node


@pytest.mark.parametrize("call", AGENT_CALLS.values(), ids=AGENT_CALLS)
def test_the_nodes_of_a_graph(world, call):
    finish(call, trip(node_of(world), node_of(world)))
    assert world.paths == sorted([TRIP, *both(TRIP, 2)])


@pytest.mark.parametrize("call", [ainvoke_agent, astream_agent])
def test_the_async_nodes_of_a_graph(world, call):
    finish(call, trip(anode_of(world), anode_of(world)))
    assert world.paths == sorted([TRIP, *both(TRIP, 2)])


def test_a_graph_in_a_graph(world):
    inner = StateGraph(State).add_node("n", node_of(world)).add_edge(START, "n").compile(name="leg")
    finish(lambda: trip(inner).invoke(HELLO))
    leg = f"{TRIP} > invoke_workflow leg"
    assert world.paths == sorted([TRIP, leg, *both(leg)])


def test_a_checkpointer_in_a_database(world):
    """What a graph does between its nodes belongs to the graph."""
    graph = trip(node_of(world), node_of(world), checkpointer=SqliteSaver(world.database))
    finish(lambda: graph.invoke(HELLO, {"configurable": {"thread_id": "1"}}))
    graph.get_state({"configurable": {"thread_id": "1"}})  # outside of any run
    below = [path for path in world.paths if path.startswith(TRIP)]
    assert below.count(f"{TRIP} > POST") == 2
    assert below.count(f"{TRIP} > INSERT") >= 3
    assert set(below) == {TRIP, *both(TRIP), f"{TRIP} > INSERT"}
    assert set(world.paths) - set(below) == {"SELECT"}


class HttpSaver(InMemorySaver):
    """A checkpointer of the asynchronous kind that makes a request for every checkpoint."""

    world: Any = None

    async def aput(self, *arguments):
        async with httpx.AsyncClient() as client:
            await client.put(self.world.url)
        return await super().aput(*arguments)


@pytest.mark.parametrize("call", ["ainvoke", "astream"])
def test_an_async_checkpointer(world, call):
    saver = HttpSaver()
    saver.world = world
    graph = trip(anode_of(world), checkpointer=saver)
    config = {"configurable": {"thread_id": "1"}}

    async def scenario():
        if call == "ainvoke":
            await graph.ainvoke(HELLO, config)
        else:
            await drain(graph.astream(HELLO, config))

    finish(scenario)
    assert set(world.paths) == {TRIP, *both(TRIP), f"{TRIP} > PUT"}
    assert world.paths.count(f"{TRIP} > PUT") >= 3


def test_an_interrupt_and_its_resumption(world):
    def ask(_):
        world.work()
        interrupt("go on?")
        world.query()
        return {}

    graph = trip(ask, checkpointer=InMemorySaver())
    config = {"configurable": {"thread_id": "1"}}
    finish(lambda: graph.invoke(HELLO, config))
    finish(lambda: graph.invoke(Command(resume="yes"), config))
    assert world.paths == sorted([TRIP, TRIP, *both(TRIP, 2), f"{TRIP} > SELECT"])


def test_the_consumer_of_a_graph_is_not_in_it(world):
    async def ascenario():
        async for _ in trip(anode_of(world), anode_of(world)).astream(HELLO):
            with world.span("CONSUMER"):
                world.query()

    def scenario():
        for _ in trip(node_of(world), node_of(world)).stream(HELLO):
            with world.span("CONSUMER"):
                world.query()

    finish(scenario)
    finish(ascenario)
    consumers = ["CONSUMER", "CONSUMER > SELECT"] * 4
    assert world.paths == sorted([TRIP, TRIP, *both(TRIP, 4), *consumers])


def test_a_graph_that_its_consumer_drops(world):
    def scenario():
        stream = trip(node_of(world), node_of(world)).stream(HELLO)
        next(stream)
        stream.close()
        world.query()

    async def ascenario():
        stream = trip(anode_of(world), anode_of(world)).astream(HELLO)
        await anext(stream)
        await stream.aclose()
        world.query()

    finish(scenario)
    finish(ascenario)
    assert {"SELECT", TRIP, *both(TRIP)} == set(world.paths)
    assert world.paths.count("SELECT") == 2


def test_a_graph_driven_from_a_thread_pool(world):
    def scenario():
        done = object()
        with world.span("SERVER"):
            stream = trip(node_of(world), node_of(world)).stream(HELLO)
            with ThreadPoolExecutor(2) as pool:
                while pool.submit(contextvars.copy_context().run, next, stream, done).result() is not done:
                    pass

    finish(scenario)
    top = f"SERVER > {TRIP}"
    assert world.paths == sorted(["SERVER", top, *both(top, 2)])


def test_a_graph_whose_every_step_is_another_task(world):
    async def scenario():
        stream = trip(anode_of(world), anode_of(world)).astream(HELLO)
        while True:
            try:
                await asyncio.create_task(anext(stream))
            except StopAsyncIteration:
                break
            assert otel_context.get_current() == {}

    finish(scenario)
    assert world.paths == sorted([TRIP, *both(TRIP, 2)])
