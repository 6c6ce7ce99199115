"""What a scenario is, and the application that runs it: real LangChain classes against a provider on the loopback."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from langchain_anthropic import ChatAnthropic
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable
    from shaped_servers import ShapedServer

Shape = Literal["openai", "anthropic"]
Tree = str | tuple[str, list["Tree"]]
"""A span's name, with what is below it. `chat`, `text` and `embeddings` stand for the span of the provider's model."""

QUESTION = "What is the weather in Rome?"
MESSAGES = {"messages": [("user", QUESTION)]}
# Attributes that several scenarios give.
STREAMED = ("gen_ai.request.stream", "gen_ai.response.time_to_first_chunk")
CACHED = ("langchain.cache.status",)
AGENT = ("gen_ai.agent.name",)
WORKFLOW = ("gen_ai.workflow.name",)
CONVERSATION = ("gen_ai.conversation.id",)
CALLED = ("gen_ai.tool.call.id",)
NAMES = {
    "openai": {
        "chat": "chat gpt-4o",
        "text": "text_completion gpt-3.5-turbo-instruct",
        "embeddings": "embeddings text-embedding-3-small",
    },
    "anthropic": {"chat": "chat claude-haiku-4-5"},
}


def thread(name: str = "thread-1") -> dict[str, Any]:
    """The configuration of one conversation."""
    return {"configurable": {"thread_id": name}}


class World:
    """One run of a scenario: which provider, and whether the application calls it synchronously."""

    def __init__(self, shape: Shape, server: ShapedServer, *, asynchronous: bool) -> None:
        self.shape = shape
        self.server = server
        self.asynchronous = asynchronous

    def chat(self, **options: Any) -> BaseChatModel:
        if self.shape == "anthropic":
            settings = {"model": "claude-haiku-4-5", "max_tokens": 64, "api_key": "key", "max_retries": 0}
            return ChatAnthropic(**settings | {"base_url": self.server.base_url} | options)
        settings = {"model": "gpt-4o", "api_key": "key", "max_retries": 0, "stream_usage": True}
        return ChatOpenAI(**settings | {"base_url": self.server.base_url} | options)

    def text(self, **options: Any) -> OpenAI:
        settings = {"model": "gpt-3.5-turbo-instruct", "base_url": self.server.base_url, "api_key": "key"}
        return OpenAI(**settings | {"max_retries": 0} | options)

    def embeddings(self, **options: Any) -> OpenAIEmbeddings:
        settings = {"model": "text-embedding-3-small", "base_url": self.server.base_url, "api_key": "key"}
        # Without counting tokens first: that would fetch tiktoken's tables.
        return OpenAIEmbeddings(**settings | {"max_retries": 0, "check_embedding_ctx_length": False} | options)

    def call(self, runnable: Runnable[Any, Any], given: Any, config: Any = None) -> Any:
        if self.asynchronous:
            return asyncio.run(runnable.ainvoke(given, config))
        return runnable.invoke(given, config)

    def stream(self, runnable: Runnable[Any, Any], given: Any, config: Any = None, **options: Any) -> list[Any]:
        if self.asynchronous:
            return asyncio.run(_drained(runnable.astream(given, config, **options)))
        return list(runnable.stream(given, config, **options))

    def batch(self, runnable: Runnable[Any, Any], given: list[Any]) -> list[Any]:
        return asyncio.run(runnable.abatch(given)) if self.asynchronous else runnable.batch(given)

    def embed(self, embeddings: Embeddings, text: str) -> list[float]:
        return asyncio.run(embeddings.aembed_query(text)) if self.asynchronous else embeddings.embed_query(text)

    def embed_all(self, embeddings: Embeddings, texts: list[str]) -> list[list[float]]:
        if self.asynchronous:
            return asyncio.run(embeddings.aembed_documents(texts))
        return embeddings.embed_documents(texts)

    def at_once(self, runnable: Runnable[Any, Any], given: list[Any]) -> None:
        """All of these concurrently: in tasks of one loop, or in threads that were given the context."""
        if self.asynchronous:
            asyncio.run(_together(runnable, given))
            return
        with ThreadPoolExecutor(len(given)) as pool:
            for running in [pool.submit(contextvars.copy_context().run, runnable.invoke, one) for one in given]:
                running.result()

    def leave(self, runnable: Runnable[Any, Any], given: Any) -> None:
        """Read the first item of a stream and close it."""
        if self.asynchronous:
            asyncio.run(_left(runnable, given))
            return
        stream = runnable.stream(given)
        next(stream)
        stream.close()

    def cancel(self, runnable: Runnable[Any, Any], given: Any) -> None:
        """Cancel a call once the provider has been reached; asynchronous only."""
        asyncio.run(self._cancelled(runnable, given))
        self.server.left.set()

    async def _cancelled(self, runnable: Runnable[Any, Any], given: Any) -> None:
        task = asyncio.create_task(runnable.ainvoke(given))
        await asyncio.to_thread(self.server.reached.wait, 10.0)
        task.cancel()
        results = await asyncio.gather(task, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)


async def _drained(stream: Any) -> list[Any]:
    return [item async for item in stream]


async def _together(runnable: Runnable[Any, Any], given: list[Any]) -> None:
    await asyncio.gather(*(runnable.ainvoke(one) for one in given))


async def _left(runnable: Runnable[Any, Any], given: Any) -> None:
    stream = runnable.astream(given)
    await anext(stream)
    await stream.aclose()


class Scenario(NamedTuple):
    """What an application does, and the spans that must come of it."""

    run: Callable[[World], None]
    tree: list[Tree]
    given: Mapping[str, tuple[str, ...]]
    """By operation: attributes of level `asked` that every such span must have."""
    some: Mapping[str, tuple[str, ...]]
    shapes: tuple[Shape, ...]
    modes: tuple[str, ...]
    billed: bool
    """Whether the client waited for every bill."""


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    name: str,
    tree: list[Tree],
    *,
    given: Mapping[str, tuple[str, ...]] | None = None,
    some: Mapping[str, tuple[str, ...]] | None = None,
    shapes: tuple[Shape, ...] = ("openai", "anthropic"),
    modes: tuple[str, ...] = ("sync", "async"),
    billed: bool = True,
) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    """Registers the function below as a scenario."""

    def register(run: Callable[[World], None]) -> Callable[[World], None]:
        assert name not in SCENARIOS
        SCENARIOS[name] = Scenario(run, tree, given or {}, some or {}, shapes, modes, billed)
        return run

    return register
