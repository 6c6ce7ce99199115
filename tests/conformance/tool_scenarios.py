"""What an application does with tools and retrievers."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import ToolException, tool
from langchain_core.vectorstores import InMemoryVectorStore
from model_scenarios import refused
from scenario import CALLED, QUESTION, World, scenario


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"Sunny in {city}."


@tool
def get_time(city: str) -> str:
    """The time in a city."""
    return f"Noon in {city}."


@tool
def fail(city: str) -> str:
    """A tool that does not work."""
    raise ValueError(f"no weather for {city}")


def _fail_softly(city: str) -> str:
    raise ToolException(f"no weather for {city}")


soft = get_weather.model_copy(update={"func": _fail_softly, "handle_tool_error": True})


class Shelf(BaseRetriever):
    """Finds the same two documents whatever it is asked."""

    broken: bool = False

    def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
        if self.broken:
            raise LookupError(query)
        return [Document("Rome is sunny.", id="doc-1"), Document("Paris is not.", id="doc-2")]


@scenario("tool calling", ["chat", "execute_tool get_weather", "chat"], given={"execute_tool": CALLED})
def _tool_calling(world: World) -> None:
    chat, question = world.chat().bind_tools([get_weather]), HumanMessage(QUESTION)
    asked = world.call(chat, [question])
    result = world.call(get_weather, asked.tool_calls[0])
    world.call(chat, [question, asked, result])


@scenario("tool that fails", ["execute_tool fail"])
def _tool_error(world: World) -> None:
    refused(lambda: world.call(fail, {"city": "Rome"}))


@scenario("tool that handles its failure", ["execute_tool get_weather"])
def _handled_tool_error(world: World) -> None:
    world.call(soft, {"city": "Rome"})


@scenario("tool that is cancelled", ["execute_tool wait"], modes=("async",))
def _cancelled_tool(world: World) -> None:
    @tool
    async def wait(city: str) -> str:
        """Wait for ever."""
        world.server.reached.set()
        await asyncio.Event().wait()
        return city

    world.cancel(wait, {"city": "Rome"})


@scenario("retrieval that is cancelled", ["retrieval"], modes=("async",))
def _cancelled_retrieval(world: World) -> None:
    class Waiting(Shelf):
        async def _aget_relevant_documents(self, query: str, **_: Any) -> list[Document]:
            world.server.reached.set()
            await asyncio.Event().wait()
            return []

    world.cancel(Waiting(), QUESTION)


@scenario("retrieval", ["retrieval"])
def _retrieval(world: World) -> None:
    world.call(Shelf(), QUESTION)


@scenario("retrieval that fails", ["retrieval"])
def _retrieval_error(world: World) -> None:
    refused(lambda: world.call(Shelf(broken=True), QUESTION))


@scenario("retrieval in a conversation", ["retrieval"])
def _retrieval_in_a_conversation(world: World) -> None:
    world.call(Shelf(), QUESTION, {"metadata": {"session_id": "s-1"}})


@scenario("tool in a conversation", ["execute_tool get_weather"], given={"execute_tool": ("gen_ai.conversation.id",)})
def _tool_in_a_conversation(world: World) -> None:
    world.call(get_weather, {"city": "Rome"}, {"metadata": {"session_id": "s-1"}})


@scenario(
    "retrieval from a vector store",
    ["embeddings", ("retrieval", ["embeddings"])],
    given={"retrieval": ("gen_ai.provider.name", "gen_ai.request.model")},
    shapes=("openai",),
)
def _vector_store(world: World) -> None:
    store = InMemoryVectorStore(world.embeddings())
    store.add_texts(["Rome is sunny.", "Paris is not."])
    world.call(store.as_retriever(search_kwargs={"k": 1}), QUESTION)
