"""Where the HTTP and database spans of real instrumentation hang: tools, retrievers, embeddings, chains.

Model calls are in test_context.py, agents and graphs in test_nesting_graphs.py. After every scenario nothing is current and
nothing is open.
"""

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy
from langchain_core.callbacks import Callbacks
from langchain_core.embeddings import Embeddings
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableGenerator, RunnableLambda, RunnableParallel
from langchain_core.runnables.config import ContextThreadPoolExecutor
from langchain_core.tools import tool
from models import AsyncChat
from nesting_world import async_tool, both, sync_tool
from span_paths import finish

TOOL = "execute_tool look_up"
ROME = {"city": "Rome"}

# -- tools -----------------------------------------------------------------------------------------------------------


async def ainvoke_tool(found):
    await found.ainvoke(ROME)


@pytest.mark.parametrize("make", [sync_tool, async_tool])
def test_a_tool_in_async_code(world, make):
    finish(ainvoke_tool, make(world))
    assert world.paths == [TOOL, *both(TOOL)]


def test_a_tool(world):
    finish(lambda: sync_tool(world).invoke(ROME))
    assert world.paths == [TOOL, *both(TOOL)]


def test_tools_in_a_batch(world):
    finish(lambda: sync_tool(world).batch([ROME, ROME]))
    assert world.paths == sorted([TOOL, TOOL, *both(TOOL, 2)])


def test_a_failing_tool(world):
    def fail(_):
        world.work()
        raise ValueError("no such city")

    def scenario():
        with pytest.raises(ValueError, match="no such city"):
            sync_tool(world, fail).invoke(ROME)
        world.work()

    finish(scenario)
    assert world.paths == sorted(["POST", "SELECT", TOOL, *both(TOOL)])


def test_a_tool_that_uses_a_thread_pool(world):
    """Threads see the tool's span where the context is copied into them, and are roots where it is not."""

    def fan_out(_):
        with ThreadPoolExecutor(2) as pool:
            pool.submit(contextvars.copy_context().run, world.work).result()
        with ContextThreadPoolExecutor(2) as pool:
            pool.submit(world.work).result()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(world.query).result()

    finish(lambda: sync_tool(world, fan_out).invoke(ROME))
    assert world.paths == sorted(["SELECT", TOOL, *both(TOOL, 2)])


def test_a_tool_that_hands_its_callbacks_to_a_bare_thread(world):
    """Nothing but LangChain's configuration gets there: the parent is found by its run id."""

    @tool
    def look_up(city: str, callbacks: Callbacks) -> str:
        """Look up a city."""
        model = AsyncChat(work=world.work)
        thread = threading.Thread(target=lambda: model.invoke("x", {"callbacks": callbacks}))
        thread.start()
        thread.join()
        return city

    finish(lambda: look_up.invoke(ROME))
    assert world.paths == sorted([TOOL, f"{TOOL} > chat gpt-4o", *both(f"{TOOL} > chat gpt-4o")])


def test_tasks_that_an_async_tool_starts(world):
    @tool
    async def look_up(city: str) -> str:
        """Look up a city."""
        await asyncio.gather(asyncio.create_task(world.awork()), asyncio.to_thread(world.work))
        return city

    finish(ainvoke_tool, look_up)
    assert world.paths == sorted([TOOL, *both(TOOL, 2)])


def test_a_cancelled_tool(world):
    async def scenario():
        reached = asyncio.Event()

        @tool
        async def look_up(city: str) -> str:
            """Look up a city."""
            await world.awork()
            reached.set()
            await asyncio.Event().wait()
            return city

        task = asyncio.create_task(look_up.ainvoke(ROME))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        world.query()

    finish(scenario)
    assert world.paths == sorted(["SELECT", TOOL, *both(TOOL)])


# -- retrievers and embeddings ---------------------------------------------------------------------------------------


class Search(BaseRetriever):
    world: Any

    def _get_relevant_documents(self, query, *, run_manager):
        self.world.work()
        return []


class AsyncSearch(Search):
    async def _aget_relevant_documents(self, query, *, run_manager):
        await self.world.awork()
        return []


async def ainvoke_text(runnable):
    await runnable.ainvoke("x")


@pytest.mark.parametrize("kind", [Search, AsyncSearch])
def test_a_retriever(world, kind):
    finish(lambda: kind(world=world).invoke("x"))
    finish(ainvoke_text, kind(world=world))
    assert world.paths == sorted([*["retrieval"] * 2, *both("retrieval", 2)])


class Numbers(Embeddings):
    """Embeddings that ask over HTTP."""

    def __init__(self, world):
        self.model = "text-embedding-3-small"
        self._world = world

    def embed_documents(self, texts):
        self._world.work()
        return [[0.0] for _ in texts]

    def embed_query(self, text):
        self._world.work()
        return [0.0]


class AsyncNumbers(Numbers):
    async def aembed_documents(self, texts):
        await self._world.awork()
        return [[0.0] for _ in texts]

    async def aembed_query(self, text):
        await self._world.awork()
        return [0.0]


@pytest.mark.parametrize("kind", [Numbers, AsyncNumbers])
def test_embeddings(world, kind):
    def scenario():
        kind(world).embed_documents(["x", "y"])
        kind(world).embed_query("x")

    async def ascenario():
        await kind(world).aembed_documents(["x", "y"])
        await kind(world).aembed_query("x")

    finish(scenario)
    finish(ascenario)
    call = "embeddings text-embedding-3-small"
    assert world.paths == sorted([*[call] * 4, *both(call, 4)])


def test_embeddings_of_a_retriever(world):
    class VectorSearch(Search):
        def _get_relevant_documents(self, query, *, run_manager):
            Numbers(self.world).embed_query(query)
            self.world.query()
            return []

    finish(lambda: VectorSearch(world=world).invoke("x"))
    call = "retrieval > embeddings text-embedding-3-small"
    assert world.paths == sorted(["retrieval", "retrieval > SELECT", call, *both(call)])


def test_sqlalchemy(world):
    """An engine talks to the same instrumented module."""
    engine = sqlalchemy.create_engine("sqlite://", poolclass=sqlalchemy.StaticPool)

    class TableSearch(Search):
        def _get_relevant_documents(self, query, *, run_manager):
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 2"))
            return []

    finish(lambda: TableSearch(world=world).invoke("x"))
    engine.dispose()
    assert "retrieval > SELECT" in world.paths
    assert {path.partition(" > ")[0] for path in world.paths} == {"retrieval"}


# -- chains ----------------------------------------------------------------------------------------------------------

PIPELINE = "invoke_workflow pipeline"


def pipeline(body):
    return RunnableLambda(body).with_config(run_name="pipeline")


def test_the_body_of_a_chain(world):
    def body(_):
        world.work()

    async def abody(_):
        await world.awork()

    def generate(items):
        for item in items:
            world.work()
            yield item

    finish(lambda: pipeline(body).invoke("x"))
    finish(lambda: list(pipeline(body).stream("x")))
    finish(ainvoke_text, pipeline(abody))
    finish(ainvoke_text, pipeline(body))
    finish(lambda: list(RunnableGenerator(generate).with_config(run_name="pipeline").stream("x")))
    assert world.paths == sorted([*[PIPELINE] * 5, *both(PIPELINE, 5)])


def test_a_chain_that_hands_its_config_to_a_bare_thread(world):
    def body(_, config):
        model = AsyncChat(work=world.work)
        thread = threading.Thread(target=lambda: model.invoke("x", config))
        thread.start()
        thread.join()

    finish(lambda: pipeline(body).invoke("x"))
    call = f"{PIPELINE} > chat gpt-4o"
    assert world.paths == sorted([PIPELINE, call, *both(call)])


def test_parallel_branches_of_a_chain(world):
    branches = RunnableParallel(a=sync_tool(world), b=RunnableLambda(lambda _: Search(world=world).invoke("x")))
    abranches = RunnableParallel(a=async_tool(world), b=RunnableLambda(lambda _: "x") | AsyncSearch(world=world))

    async def ascenario():
        await abranches.with_config(run_name="pipeline").ainvoke(ROME)

    finish(lambda: branches.with_config(run_name="pipeline").invoke(ROME))
    finish(ascenario)
    found, search = f"{PIPELINE} > {TOOL}", f"{PIPELINE} > retrieval"
    assert world.paths == sorted([PIPELINE, found, search, *both(found), *both(search)] * 2)


def test_a_batch_of_chains(world):
    async def ascenario():
        await pipeline(lambda _: world.work()).abatch(["x", "y"])

    finish(lambda: pipeline(lambda _: world.work()).batch(["x", "y", "z"]))
    finish(ascenario)
    assert world.paths == sorted([*[PIPELINE] * 5, *both(PIPELINE, 5)])


def test_a_span_of_the_application_between_two_steps(world):
    def body(_):
        with world.span("BUSINESS"):
            sync_tool(world).invoke(ROME)

    finish(lambda: pipeline(body).invoke("x"))
    found = f"{PIPELINE} > BUSINESS > {TOOL}"
    assert world.paths == sorted([PIPELINE, f"{PIPELINE} > BUSINESS", found, *both(found)])
