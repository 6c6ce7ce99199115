"""An agent that looks after orders: a model with tools that it may call until it knows the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool

from langmeter.demo.extras import installed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from langchain.agents.middleware import AgentMiddleware, ToolCallRequest
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from langmeter.demo.clients import Clients
    from langmeter.demo.logbook import Logbook

AGENT = "order_agent"
_INSTRUCTION = "You look after the orders of a bicycle shop. Look things up before you answer, in two sentences."
_MODEL = "gpt-4.1-mini"


@tool
def look_up_order(order_number: str) -> str:
    """State of an order in the shop's books."""
    return f"Order {order_number} was packed yesterday and is waiting at the counter."


@tool
def stock_level(part: Literal["child seat", "rain cape", "mudguard", "bell"]) -> str:
    """How many of a part are in stock."""
    if part == "rain cape":
        raise ConnectionError("the supplier's stock list does not answer")
    return f"There are {len(part)} of the part '{part}' in stock."


@tool
def give_refund(order_number: str, euros: int) -> str:
    """Pay a part of an order back: up to 50 euros."""
    return f"{euros} euros of order {order_number} will be back on the card tomorrow."


def order_agent(
    clients: Clients, logbook: Logbook, more_tools: Sequence[BaseTool] = ()
) -> Runnable[Any, dict[str, Any]]:
    """The agent: takes and returns `{"messages": […]}`.

    Made by `langchain.agents.create_agent`; where the package langchain is not installed, a loop with the same model and
    tools does the work.
    """
    model = clients.chat(_MODEL, temperature=0)
    tools = [look_up_order, *more_tools, stock_level, give_refund]
    if not installed("langchain"):
        return RunnableLambda(_Loop(model, tools, logbook), name=AGENT)
    from langchain.agents import create_agent  # noqa: PLC0415  (an optional package, and a slow import)

    middleware = [_tolerant_middleware(logbook)]
    return create_agent(model, tools, system_prompt=_INSTRUCTION, middleware=middleware, name=AGENT)


def _tolerant_middleware(logbook: Logbook) -> AgentMiddleware[Any, Any]:
    """Tells the model of a tool that could not be reached: it may know another way."""
    from langchain.agents.middleware import AgentMiddleware  # noqa: PLC0415  (an optional package)

    class Tolerant(AgentMiddleware[Any, Any]):
        def wrap_tool_call(self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Any]) -> Any:
            try:
                return _noted(logbook, handler(request))
            except ConnectionError as error:
                return _unreachable(logbook, request.tool_call, error)

        async def awrap_tool_call(
            self, request: ToolCallRequest, handler: Callable[[ToolCallRequest], Awaitable[Any]]
        ) -> Any:
            try:
                return _noted(logbook, await handler(request))
            except ConnectionError as error:
                return _unreachable(logbook, request.tool_call, error)

    return Tolerant()


def _noted(logbook: Logbook, result: Any) -> Any:
    logbook.note("tool", result.name)
    return result


def _unreachable(logbook: Logbook, call: Any, error: ConnectionError) -> ToolMessage:
    logbook.note("tool", call["name"], failed=True)
    return ToolMessage(f"Unreachable: {error}.", tool_call_id=call["id"], name=call["name"], status="error")


class _Loop:
    """The agent without the package langchain: asks the model, does what it wants, asks again."""

    def __init__(self, model: BaseChatModel, tools: Sequence[BaseTool], logbook: Logbook) -> None:
        self._model = model.bind_tools(tools)
        self._logbook = logbook
        self._tools = {each.name: each for each in tools}

    def __call__(self, state: dict[str, Any]) -> dict[str, Any]:
        messages: list[BaseMessage] = [SystemMessage(_INSTRUCTION), *state["messages"]]
        while True:
            answer = self._model.invoke(messages)
            messages.append(answer)
            if not answer.tool_calls:
                return {"messages": messages[1:]}
            messages += [self._result(call) for call in answer.tool_calls]

    def _result(self, call: Any) -> ToolMessage:
        try:
            result: ToolMessage = _noted(self._logbook, self._tools[call["name"]].invoke(call))
        except ConnectionError as error:
            return _unreachable(self._logbook, call, error)
        return result


def asked(question: str) -> dict[str, Any]:
    """The agent's input for one question."""
    return {"messages": [HumanMessage(question)]}
