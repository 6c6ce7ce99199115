"""What an application does with agents."""

from __future__ import annotations

from typing import Any

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, HumanInTheLoopMiddleware
from langchain.agents.structured_output import ProviderStrategy
from langchain_classic.agents import AgentExecutor, create_tool_calling_agent
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.prebuilt import create_react_agent
from langgraph.types import Command
from model_scenarios import Place, refused
from scenario import AGENT, CALLED, CONVERSATION, MESSAGES, QUESTION, STREAMED, World, scenario, thread
from shaped_servers import HANG
from tool_scenarios import fail, get_time, get_weather


@scenario(
    "automatic tool calling",
    [("invoke_agent weather", ["chat", "chat", "execute_tool get_time", "execute_tool get_weather"])],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _agent(world: World) -> None:
    world.call(create_agent(world.chat(), [get_weather, get_time], name="weather"), MESSAGES)


@scenario(
    "agent without a name",
    [("invoke_agent", ["chat", "chat", "execute_tool get_weather"])],
    given={"execute_tool": CALLED},
)
def _unnamed_agent(world: World) -> None:
    world.call(create_agent(world.chat(), [get_weather]), MESSAGES)


@scenario(
    "agent in a conversation",
    [("invoke_agent weather", ["chat"]), ("invoke_agent weather", ["chat"])],
    given={"invoke_agent": (*AGENT, *CONVERSATION), "chat": CONVERSATION},
)
def _agent_with_memory(world: World) -> None:
    agent = create_agent(world.chat(), [], name="weather", checkpointer=InMemorySaver())
    for _ in range(2):
        world.call(agent, MESSAGES, thread())


@scenario(
    "agent, streamed",
    [("invoke_agent weather", ["chat", "chat", "execute_tool get_weather"])],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED), "chat": STREAMED},
)
def _streamed_agent(world: World) -> None:
    agent = create_agent(world.chat(), [get_weather], name="weather")
    world.stream(agent, MESSAGES, stream_mode="messages")


@scenario(
    "agent that calls an agent",
    [
        (
            "invoke_agent boss",
            [
                "chat",
                "chat",
                ("execute_tool ask_expert", [("invoke_agent expert", ["chat", "chat", "execute_tool get_weather"])]),
            ],
        )
    ],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _nested_agents(world: World) -> None:
    expert = create_agent(world.chat(), [get_weather], name="expert")

    @tool
    def ask_expert(city: str) -> str:
        """Ask somebody who knows."""
        return str(expert.invoke({"messages": [("user", city)]})["messages"][-1].content)

    world.call(create_agent(world.chat(), [ask_expert], name="boss"), MESSAGES)


@scenario(
    "agent of langgraph.prebuilt",
    [("invoke_agent weather", ["chat", "chat", "execute_tool get_weather"])],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _react_agent(world: World) -> None:
    with pytest.warns(DeprecationWarning, match="create_react_agent"):
        agent = create_react_agent(world.chat(), [get_weather], name="weather")
    world.call(agent, MESSAGES)


@scenario(
    "agent executor",
    [("invoke_agent", ["chat", "chat", "execute_tool get_weather"])],
    given={"chat": STREAMED},  # its agent streams whatever the application does
    some={"execute_tool": CALLED},
)
def _agent_executor(world: World) -> None:
    prompt = ChatPromptTemplate([("user", "{input}"), ("placeholder", "{agent_scratchpad}")])
    agent = create_tool_calling_agent(world.chat(), [get_weather], prompt)
    world.call(AgentExecutor(agent=agent, tools=[get_weather]), {"input": QUESTION})


class Hurry(AgentMiddleware[Any, Any, Any]):
    """Adds a node to the agent's graph, and a layer around each call of its model and its tools."""

    def before_model(self, state: Any, runtime: Any) -> None:
        return None

    def wrap_model_call(self, request: Any, handler: Any) -> Any:
        return handler(request)

    async def awrap_model_call(self, request: Any, handler: Any) -> Any:
        return await handler(request)

    def wrap_tool_call(self, request: Any, handler: Any) -> Any:
        return handler(request)

    async def awrap_tool_call(self, request: Any, handler: Any) -> Any:
        return await handler(request)


@scenario(
    "agent with middleware",
    [("invoke_agent weather", ["chat", "chat", "execute_tool get_weather"])],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _agent_with_middleware(world: World) -> None:
    world.call(create_agent(world.chat(), [get_weather], name="weather", middleware=[Hurry()]), MESSAGES)


@scenario(
    "agent that answers in a structure",
    [("invoke_agent weather", ["chat"])],
    given={"invoke_agent": AGENT, "chat": ("gen_ai.output.type",)},
)
def _structured_agent(world: World) -> None:
    agent = create_agent(world.chat(), [], name="weather", response_format=ProviderStrategy(Place))
    assert world.call(agent, MESSAGES)["structured_response"] == Place(city="Rome")


@scenario(
    "agent whose model is refused",
    [("invoke_agent weather", ["chat"])],
    given={"invoke_agent": AGENT},
)
def _agent_error(world: World) -> None:
    world.server.refuse.append(400)
    refused(lambda: world.call(create_agent(world.chat(), [get_weather], name="weather"), MESSAGES))


@scenario(
    "agent whose tool fails",
    [("invoke_agent weather", ["chat", "execute_tool fail"])],
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _agent_tool_error(world: World) -> None:
    refused(lambda: world.call(create_agent(world.chat(), [fail], name="weather"), MESSAGES))


@scenario(
    "agent that is cancelled",
    [("invoke_agent weather", ["chat"])],
    given={"invoke_agent": AGENT},
    modes=("async",),
    billed=False,
)
def _cancelled_agent(world: World) -> None:
    world.cancel(create_agent(world.chat(), [get_weather], name="weather"), {"messages": [("user", HANG)]})


@scenario(
    "agent that asks a human",
    [
        ("invoke_agent weather", ["chat"]),
        ("invoke_agent weather", ["chat", "execute_tool get_weather"]),
    ],
    given={
        "invoke_agent": (*AGENT, *CONVERSATION),
        "execute_tool": (*AGENT, *CALLED, *CONVERSATION),
        "chat": CONVERSATION,
    },
)
def _human_in_the_loop(world: World) -> None:
    human = HumanInTheLoopMiddleware(interrupt_on={"get_weather": True})
    agent = create_agent(world.chat(), [get_weather], name="weather", middleware=[human], checkpointer=InMemorySaver())
    asked = world.call(agent, MESSAGES, thread())
    assert "__interrupt__" in asked
    world.call(agent, Command(resume={"decisions": [{"type": "approve"}]}), thread())


@scenario(
    "concurrent agents",
    [("invoke_agent weather", ["chat", "chat", "execute_tool get_weather"])] * 8,
    given={"invoke_agent": AGENT, "execute_tool": (*AGENT, *CALLED)},
)
def _concurrent_agents(world: World) -> None:
    world.at_once(create_agent(world.chat(), [get_weather], name="weather"), [MESSAGES] * 8)
