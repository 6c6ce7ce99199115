"""The long-term memory of agents: LangGraph's stores as spans and metrics."""

from __future__ import annotations

import asyncio
import inspect

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.base.batch import AsyncBatchedBaseStore
from langgraph.store.memory import InMemoryStore
from opentelemetry.trace import SpanKind, StatusCode
from test_steps import points, tree

import langmeter
from langmeter import semconv

PLACE = ("users", "1")


class Batched(AsyncBatchedBaseStore):
    """As the stores of PostgreSQL and Redis are: all of it goes through one task."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = InMemoryStore()

    async def abatch(self, ops):
        return await self.inner.abatch(ops)


def use(store) -> list[object]:
    store.put(PLACE, "a", {"text": "likes tea"})
    found = store.get(PLACE, key="a")
    hits = store.search(PLACE, query="tea", limit=5)
    store.delete(PLACE, "a")
    return [found.value, len(hits), store.get(PLACE, "a")]


async def ause(store) -> list[object]:
    await store.aput(PLACE, "a", {"text": "likes tea"})
    found = await store.aget(PLACE, key="a")
    hits = await store.asearch(PLACE, query="tea", limit=5)
    await store.adelete(PLACE, "a")
    return [found.value, len(hits), await store.aget(PLACE, "a")]


async def batched() -> list[object]:
    return await ause(Batched())


async def batched_from_a_thread() -> list[object]:
    return await asyncio.to_thread(use, Batched())


WAYS = {
    "sync": lambda: use(InMemoryStore()),
    "async": lambda: asyncio.run(ause(InMemoryStore())),
    "batched": lambda: asyncio.run(batched()),
    "batched, from a thread": lambda: asyncio.run(batched_from_a_thread()),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_operation_is_a_span(instrumented, way):
    assert WAYS[way]() == [{"text": "likes tea"}, 1, None]
    found = [(span.name, span.kind, dict(span.attributes)) for span in instrumented.spans()]

    def expected(operation, **more):
        return operation, SpanKind.CLIENT, {"gen_ai.operation.name": operation, **more}

    record, count = "gen_ai.memory.record.id", "gen_ai.memory.record.count"
    assert found == [
        expected("upsert_memory", **{record: "a", count: 1}),
        expected("search_memory", **{record: "a", count: 1}),
        expected("search_memory", **{count: 1}),
        expected("delete_memory", **{record: "a", count: 1}),
        expected("search_memory", **{record: "a", count: 0}),
    ]
    assert sorted(
        (series["gen_ai.operation.name"], times)
        for series, times, _ in points(instrumented, semconv.OPERATION_DURATION)
    ) == [
        ("delete_memory", 1),
        ("search_memory", 3),
        ("upsert_memory", 1),
    ]


def test_memory_of_a_graph_belongs_to_the_graph_and_embeds_below_itself(instrumented):
    def remember(state, *, store: BaseStore):
        store.put(PLACE, "a", {"text": "likes tea"})
        return {"messages": []}

    store = InMemoryStore(index={"embed": DeterministicFakeEmbedding(size=4), "dims": 4, "fields": ["text"]})
    builder = StateGraph(MessagesState).add_node("remember", remember).add_edge(START, "remember")
    builder.compile(store=store, name="notes").invoke({"messages": []})
    assert tree(instrumented)[:2] == ["invoke_workflow notes", "  upsert_memory"]
    assert all(line.startswith("    embeddings") for line in tree(instrumented)[2:])


def test_a_store_that_fails(instrumented):
    class Failing(InMemoryStore):
        def batch(self, ops):
            raise ConnectionError("secret host")

    with pytest.raises(ConnectionError):
        Failing().search(PLACE)
    (span,) = instrumented.spans()
    assert (span.status.status_code, span.attributes["error.type"]) == (StatusCode.ERROR, "ConnectionError")
    assert "secret" not in repr(span.to_json())


def test_content_of_memory_is_recorded_only_on_request(telemetry, instrument):
    instrument(telemetry, content="span")
    use(InMemoryStore())
    put, _, search, *_ = (dict(span.attributes) for span in telemetry.spans())
    assert put["gen_ai.memory.records"] == '[{"content":{"text":"likes tea"}}]'
    assert search["gen_ai.memory.query.text"] == "tea"
    assert search["gen_ai.memory.records"] == '[{"content":{"text":"likes tea"},"id":"a"}]'


def test_stores_keep_their_face(instrumented):
    assert inspect.iscoroutinefunction(InMemoryStore.aput)
    assert list(inspect.signature(InMemoryStore.get).parameters)[:3] == ["self", "namespace", "key"]
    langmeter.uninstrument()
    assert not hasattr(BaseStore.put, "__wrapped__")
