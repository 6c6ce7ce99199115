"""Embeddings: one span, one bill for each outermost call, whatever the class, with the provider's own counts."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import embedding_models as models
import pytest
from embeddings_server import TOKENS, VECTOR, EmbeddingsServer
from langchain.agents import create_agent
from langchain_classic.chains import HypotheticalDocumentEmbedder
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.language_models import FakeListLLM, FakeMessagesListChatModel
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langchain_core.stores import InMemoryByteStore, InMemoryStore
from langchain_core.tools import tool
from langchain_core.vectorstores import InMemoryVectorStore
from langgraph.store.base.embed import ensure_embeddings
from opentelemetry import trace
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import BaseModel

import langmeter

PRICE = 0.02e-6
"""US dollars per token of text-embedding-3-small, as published."""
RECORDED = Path(__file__).parents[2].parent / "shared" / "data" / "recorded" / "openai_v1_embeddings.jsonl"
STORE = "in_memory_byte_store"
EVERY_WAY = ("embed_documents", "embed_query", "aembed_documents", "aembed_query")
_NOT_COMPARED = ("langchain.price.", "server.")

pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.PydanticDeprecationWarning"
)  # Cohere's SDK merges its answers so


@pytest.fixture
def server():
    with EmbeddingsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _prices_are_loaded():
    """The first call of a process might not wait for the table."""
    langmeter.price(provider="openai", model="gpt-4o", usage_metadata={})


def embed(model: Any, way: str, *texts: str) -> Any:
    """Call one of the four methods; a query is the first of the texts."""
    argument: Any = texts[0] if way.endswith("query") else list(texts)
    answer = getattr(model, way)(argument)
    return asyncio.run(answer) if way.startswith("a") else answer


def facts(span: Any) -> dict[str, Any]:
    """The attributes of a span without what the price table and the port of the server decide."""
    return {key: value for key, value in span.attributes.items() if not key.startswith(_NOT_COMPARED)}


def priced(tokens: int, **more: Any) -> dict[str, Any]:
    """The attributes of an answered call of text-embedding-3-small."""
    cost = pytest.approx(tokens * PRICE)
    return {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.response.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": tokens,
        "langchain.usage.cost.amount": cost,
        "langchain.usage.cost.currency": "USD",
        "langchain.usage.cost.input": cost,
        "langchain.usage.cost.output": 0.0,
        "langchain.usage.cost.source": "local",
        "langchain.usage.cost.status": "priced",
        **more,
    }


def hit(**more: Any) -> dict[str, Any]:
    """The attributes of a call that a store answered."""
    return {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.usage.input_tokens": 0,
        "langchain.cache.status": "hit",
        "langchain.cache.type": STORE,
        "langchain.usage.cost.amount": 0.0,
        "langchain.usage.cost.currency": "USD",
        "langchain.usage.cost.source": "local",
        "langchain.usage.cost.status": "cached",
        **more,
    }


def missed(tokens: int) -> dict[str, Any]:
    return priced(tokens, **{"langchain.cache.status": "miss", "langchain.cache.type": STORE})


def lookups(telemetry: Any) -> dict[str, int]:
    """The look-ups counted for embeddings, by status."""
    points = telemetry.metrics().get("langchain.cache.requests", [])
    for attributes, _ in points:
        assert attributes["gen_ai.operation.name"] == "embeddings"
    return {attributes["langchain.cache.status"]: value for attributes, value in points}


# -- one call ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_every_way_of_asking_is_one_span_with_the_tokens_of_the_provider(way, instrumented, server):
    model = models.openai(server.url)
    expected: Any = VECTOR if way.endswith("query") else [VECTOR, VECTOR]
    assert embed(model, way, "one", "two") == expected
    (span,) = instrumented.spans()
    assert (span.name, span.kind, span.status.status_code) == (
        "embeddings text-embedding-3-small",
        SpanKind.CLIENT,
        StatusCode.UNSET,
    )
    assert facts(span) == priced(TOKENS if way.endswith("query") else 2 * TOKENS)
    assert {key: span.attributes[key] for key in server.address} == server.address


def test_the_tokens_of_all_requests_of_a_call_are_summed(instrumented, server):
    model = models.openai(server.url, chunk_size=2, dimensions=2, model_kwargs={"encoding_format": "float"})
    assert model.embed_documents(["a", "b", "c", "d", "e"]) == [VECTOR] * 5
    assert len(server.requests) == 3
    (span,) = instrumented.spans()
    asked = {"gen_ai.embeddings.dimension.count": 2, "gen_ai.request.encoding_formats": ("float",)}
    assert facts(span) == priced(5 * TOKENS, **asked)


def test_parameters_of_the_call_go_before_those_of_the_object(instrumented, server):
    models.openai(server.url, dimensions=2).embed_documents(["a"], model="text-embedding-3-large", dimensions=7)
    (span,) = instrumented.spans()
    assert span.name == "embeddings text-embedding-3-large"
    assert span.attributes["gen_ai.embeddings.dimension.count"] == 7
    assert server.requests[0][1]["dimensions"] == 7


def test_the_metrics_of_a_call(instrumented, server):
    model = models.openai(server.url)
    model.embed_documents(["a", "b"])
    model.embed_query("c")
    metrics = instrumented.metrics()
    labels = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "gen_ai.response.model": "text-embedding-3-small",
        **server.address,
    }
    assert metrics["langchain.embeddings.usage.input_tokens"] == [(labels, 3 * TOKENS)]
    assert [
        (attributes, point.count, point.sum) for attributes, point in metrics["gen_ai.client.embeddings.duration"]
    ] == [(labels, 2, pytest.approx(sum(_seconds(span) for span in instrumented.spans()), rel=0.01))]
    (point,) = metrics["gen_ai.client.embeddings.operation.input_tokens"]
    assert (point[0], point[1].count, point[1].sum) == (labels, 2, 3 * TOKENS)
    (cost,) = metrics["langchain.usage.cost"]
    assert cost == (
        {**labels, "langchain.usage.cost.category": "input", "langchain.usage.cost.status": "priced"},
        pytest.approx(3 * TOKENS * PRICE),
    )
    assert not [name for name in metrics if name.startswith("gen_ai.client.inference")]


def _seconds(span: Any) -> float:
    return (span.end_time - span.start_time) / 1e9


def test_track_counts_embeddings(server):
    """Without `instrument()`, too."""
    with langmeter.track() as usage:
        models.openai(server.url).embed_documents(["a", "b"])
    assert (usage.calls, usage.input_tokens, float(usage.cost_usd)) == (
        1,
        2 * TOKENS,
        pytest.approx(2 * TOKENS * PRICE),
    )


def test_call_pricing_reaches_embeddings(instrumented, server):
    with langmeter.call_pricing(override={"input_mtok": 1}):
        models.openai(server.url).embed_query("a")
    (span,) = instrumented.spans()
    assert span.attributes["langchain.usage.cost.amount"] == pytest.approx(TOKENS * 1e-6)


# -- providers -----------------------------------------------------------------------------------------------------

PROVIDERS = {
    "azure": (models.azure, "azure.ai.openai", "text-embedding-3-large", 0.13e-6),
    "mistral": (models.mistral, "mistral_ai", "mistral-embed", 0.1e-6),
    "cohere": (models.cohere, "cohere", "embed-v4.0", 0.12e-6),
    "ollama": (models.ollama, "ollama", "nomic-embed-text", None),
    "fireworks": (models.fireworks, "fireworks", "nomic-ai/nomic-embed-text-v1.5", None),
    "together": (models.together, "together", "BAAI/bge-base-en-v1.5", None),
    "bedrock": (models.titan, "aws.bedrock", "amazon.titan-embed-text-v2:0", 0.02e-6),
    "cohere on bedrock": (models.cohere_on_bedrock, "aws.bedrock", "cohere.embed-english-v3", None),
    "nvidia": (models.nvidia, "nvidia", "nvidia/nv-embed", None),
    "perplexity": (models.perplexity, "perplexity", "pplx-embed-v1-4b", 0.03e-6),
}


@pytest.mark.parametrize("way", EVERY_WAY)
@pytest.mark.parametrize("name", PROVIDERS)
def test_the_counts_of_each_provider_are_found(name, way, instrumented, server):
    make, provider, model, price = PROVIDERS[name]
    vectors = embed(make(server.url), way, "one", "two")
    assert len(vectors) == 2
    (span,) = instrumented.spans()
    found = facts(span)
    tokens = TOKENS if way.endswith("query") else 2 * TOKENS
    assert span.name == f"embeddings {model}"
    assert found["gen_ai.provider.name"] == provider
    assert found["gen_ai.usage.input_tokens"] == tokens
    assert found.get("langchain.usage.cost.amount") == (None if price is None else pytest.approx(tokens * price))
    assert found["langchain.usage.cost.status"] == ("unpriced" if price is None else "priced")
    assert {key: span.attributes[key] for key in server.address} == server.address
    assert "langchain.usage.estimated.input_tokens" not in found


@pytest.mark.parametrize("make", [models.gemini, models.huggingface])
def test_where_a_provider_tells_nothing_an_estimate_is_marked(make, instrumented, server):
    make(server.url).embed_documents(["a text of some length"] * 4)
    (span,) = instrumented.spans()
    assert span.attributes["langchain.usage.estimated.input_tokens"] == 21
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert "langchain.embeddings.usage.input_tokens" not in instrumented.metrics()


def test_an_estimated_call_has_an_estimated_cost(instrumented, server):
    server.counts = False
    models.openai(server.url).embed_query("a text of some length")
    (span,) = instrumented.spans()
    found = facts(span)
    assert found["langchain.usage.cost.status"] == "estimated"
    assert found["langchain.usage.cost.amount"] == pytest.approx(5 * PRICE)
    assert "gen_ai.usage.input_tokens" not in found


def test_one_request_without_usage_makes_the_sum_unknown(instrumented, server):
    """Half of the tokens would be reported as all of them."""
    counts = iter([True, False])
    server.hold = lambda: setattr(server, "counts", next(counts))
    models.openai(server.url, chunk_size=1).embed_documents(["a text of some length"] * 2)
    (span,) = instrumented.spans()
    assert "gen_ai.usage.input_tokens" not in span.attributes
    assert span.attributes["langchain.usage.cost.status"] == "estimated"


def test_what_a_gateway_charges_is_the_cost(instrumented, server):
    server.extra = {"cost": 0.5}
    models.openai(server.url, chunk_size=1).embed_documents(["a", "b"])
    (span,) = instrumented.spans()
    assert (span.attributes["langchain.usage.cost.amount"], span.attributes["langchain.usage.cost.status"]) == (
        1.0,
        "reported",
    )


def test_what_perplexity_says_it_charged_is_the_cost(instrumented, server):
    server.extra = {"cost": {"currency": "USD", "input_cost": 0.25, "total_cost": 0.25}}
    models.perplexity(server.url).embed_query("a")
    (span,) = instrumented.spans()
    assert (span.attributes["langchain.usage.cost.amount"], span.attributes["langchain.usage.cost.status"]) == (
        0.25,
        "reported",
    )


def test_estimates_can_be_switched_off(telemetry, instrument, server):
    server.counts = False
    instrument(telemetry, estimates=False)
    models.openai(server.url).embed_query("a")
    (span,) = telemetry.spans()
    assert span.attributes["langchain.usage.unpriced.reason"] == "no_usage"
    assert "langchain.usage.estimated.input_tokens" not in span.attributes


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded traffic is not on this machine")
def test_recorded_answers(instrumented, server):
    for line in RECORDED.read_text().splitlines():
        exchange = json.loads(line)
        server.recorded = json.loads(exchange["response_body"])
        asked = exchange["request"]
        model = models.openai(server.url, model=asked["model"])
        vectors = model.embed_documents(asked["input"])
        span = instrumented.spans()[-1]
        assert len(vectors) == len(asked["input"])
        assert span.attributes["gen_ai.usage.input_tokens"] == server.recorded["usage"]["prompt_tokens"]
        assert span.attributes["gen_ai.response.model"] == server.recorded["model"]
        assert span.attributes["langchain.usage.cost.status"] == "priced"


def test_requests_are_the_same_with_and_without(telemetry, instrument, server):
    """No header, no parameter of ours reaches a provider, and the answer is what LangChain makes of it."""

    def ask() -> list[Any]:
        server.requests.clear()
        answers = [
            make(server.url).embed_documents(["a", "b"]) for make in (models.openai, models.cohere, models.titan)
        ]
        volatile = ("Amz-Sdk-Invocation-Id", "X-Amz-Date", "Authorization", "amz-sdk-invocation-id")
        sent = [
            (path, body, {key: value for key, value in headers.items() if key not in volatile})
            for path, body, headers in server.requests
        ]
        return [answers, sent]

    before = ask()
    instrument(telemetry)
    assert ask() == before
    assert len(telemetry.spans()) == 3


# -- classes -------------------------------------------------------------------------------------------------------


def test_a_class_defined_later_is_covered(instrumented):
    class Later(Embeddings):
        model = "unseen"

        def __init__(self):
            self.model_name = "mine"

        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    for way in EVERY_WAY:
        embed(Later(), way, "a")
    assert [span.name for span in instrumented.spans()] == ["embeddings mine"] * 4
    assert {span.attributes["gen_ai.provider.name"] for span in instrumented.spans()} == {"later"}


def test_a_pydantic_class_defined_later_is_covered(instrumented):
    class LaterModel(BaseModel, Embeddings):
        model: str = "mine"

        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

    LaterModel().embed_query("a")
    assert [span.name for span in instrumented.spans()] == ["embeddings mine"]


def test_overrides_at_several_levels_are_one_call(instrumented):
    class Base(Embeddings):
        def embed_documents(self, texts):
            return [self.embed_query(text) for text in texts]

        def embed_query(self, text):
            return VECTOR

        async def aembed_documents(self, texts):
            return await asyncio.gather(*(self.aembed_query(text) for text in texts))

    class Middle(Base):
        def embed_documents(self, texts):
            return super().embed_documents(texts)

    class Top(Middle):
        def embed_documents(self, texts):
            return super().embed_documents(texts)

        async def aembed_query(self, text):
            return await super().aembed_query(text)

    assert embed(Top(), "embed_documents", "a", "b") == [VECTOR, VECTOR]
    assert embed(Top(), "aembed_documents", "a", "b") == [VECTOR, VECTOR]
    assert len(instrumented.spans()) == 2


def test_methods_of_a_mixin_are_covered(instrumented):
    class Mixin:
        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

    class Mixed(Mixin, Embeddings):
        pass

    Mixed().embed_query("a")
    assert len(instrumented.spans()) == 1
    langmeter.uninstrument()
    assert "embed_query" not in vars(Mixed)
    assert Mixed.embed_query is Mixin.embed_query


def test_an_abstract_class_stays_abstract(instrumented):
    class Half(Embeddings):
        def embed_query(self, text):
            return VECTOR

    with pytest.raises(TypeError, match="abstract"):
        Half()


def test_objects_and_imports_from_before_are_covered(telemetry, instrument):
    model = DeterministicFakeEmbedding(size=2)
    store = InMemoryVectorStore(model)
    instrument(telemetry)
    store.add_texts(["a", "b"])
    store.similarity_search("a")
    assert [span.attributes["langchain.usage.estimated.input_tokens"] for span in telemetry.spans()] == [1, 1]


# -- trees ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_what_an_embeddings_class_does_is_nested_under_its_span(way, instrumented):
    tracer = instrumented.tracer_provider.get_tracer("app")

    class Working(Embeddings):
        def embed_documents(self, texts):
            with tracer.start_as_current_span("request"):
                return [VECTOR for _ in texts]

        def embed_query(self, text):
            return self.embed_documents([text])[0]

    with tracer.start_as_current_span("app") as app:
        embed(Working(), way, "a")
        assert trace.get_current_span() is app
    request, call, _ = instrumented.spans()
    assert request.name == "request"
    assert request.parent.span_id == call.context.span_id
    assert call.parent.span_id == app.get_span_context().span_id


def test_concurrent_calls_of_one_object_are_calls_of_their_own(instrumented, server):
    model = models.openai(server.url)

    async def all_at_once():
        return await asyncio.gather(*(model.aembed_query(str(number)) for number in range(8)))

    assert asyncio.run(all_at_once()) == [VECTOR] * 8
    assert [facts(span) for span in instrumented.spans()] == [priced(TOKENS)] * 8


def test_a_runnable_batch_has_one_call_for_each_input(instrumented):
    model = DeterministicFakeEmbedding(size=2)
    RunnableLambda(model.embed_query).batch(["a", "b", "c"])
    calls = [span for span in instrumented.spans() if span.name == "embeddings"]
    assert len(calls) == 3


def test_a_task_that_outlives_its_call_starts_calls_of_its_own(instrumented):
    class Warming(Embeddings):
        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

        async def aembed_query(self, text):
            if text == "first":
                self.task = asyncio.create_task(self.later())
            return VECTOR

        async def later(self):
            await self.over.wait()
            return await self.aembed_query("second")

    async def main():
        model = Warming()
        model.over = asyncio.Event()
        await model.aembed_query("first")
        model.over.set()
        await model.task

    asyncio.run(main())
    assert len(instrumented.spans()) == 2


def test_a_task_that_outlives_a_look_up_is_not_sent_by_it(instrumented, server):
    inner = models.openai(server.url)

    class Warming(InMemoryStore):
        async def amget(self, keys):
            self.task = asyncio.create_task(self.later())
            return await super().amget(keys)

        async def later(self):
            await self.over.wait()
            await inner.aembed_query("b")

    async def main():
        store = Warming()
        store.over = asyncio.Event()
        store.mset([("a", VECTOR)])
        await CacheBackedEmbeddings(inner, store).aembed_documents(["a"])
        store.over.set()
        await store.task

    asyncio.run(main())
    looked_up, own = instrumented.spans()
    assert looked_up.attributes["langchain.cache.status"] == "hit"
    assert facts(own) == priced(TOKENS)


# -- endings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", EVERY_WAY)
def test_a_refused_call_fails_with_its_own_exception_and_costs_nothing(way, instrumented, server):
    import openai

    server.refuse = [401]
    with pytest.raises(openai.AuthenticationError):
        embed(models.openai(server.url), way, "a")
    (span,) = instrumented.spans()
    assert facts(span) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "error.type": "openai.AuthenticationError",
    }
    assert span.status.status_code is StatusCode.ERROR
    (event,) = instrumented.logs()
    assert event.log_record.attributes["exception.type"] == "openai.AuthenticationError"
    ((attributes, point),) = instrumented.metrics()["gen_ai.client.embeddings.duration"]
    assert (attributes["error.type"], point.count) == ("openai.AuthenticationError", 1)


def test_requests_answered_before_a_failure_are_billed(instrumented, server):
    import openai

    answers = iter([[], [500]])
    server.hold = lambda: server.refuse.extend(next(answers))
    with pytest.raises(openai.InternalServerError):
        models.openai(server.url, chunk_size=1).embed_documents(["a", "b"])
    (span,) = instrumented.spans()
    assert facts(span) == priced(TOKENS, **{"error.type": "openai.InternalServerError"})


def test_a_cancelled_call_ends_as_such(instrumented):
    class Hanging(Embeddings):
        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

        async def aembed_query(self, text):
            self.reached.set()
            await asyncio.Event().wait()

    async def main():
        model = Hanging()
        model.reached = asyncio.Event()
        task = asyncio.create_task(model.aembed_query("a"))
        await model.reached.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (span,) = instrumented.spans()
    assert span.attributes["error.type"] == "asyncio.exceptions.CancelledError"
    assert span.status.status_code is StatusCode.ERROR


def test_a_coroutine_that_is_never_awaited_leaves_nothing(instrumented):
    coroutine = DeterministicFakeEmbedding(size=2).aembed_query("a")
    coroutine.close()
    assert instrumented.spans() == []


class Pause:
    def __await__(self):
        yield


def test_a_coroutine_closed_in_a_foreign_context_leaves_no_context(instrumented):
    class Hanging(Embeddings):
        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

        async def aembed_query(self, text):
            await Pause()

    coroutine = Hanging().aembed_query("a")
    thread = threading.Thread(target=lambda: coroutine.send(None))
    thread.start()
    thread.join()
    coroutine.close()
    assert trace.get_current_span() is trace.INVALID_SPAN
    (span,) = instrumented.spans()
    assert "error.type" not in span.attributes  # abandoned: not an error


# -- embeddings that hold others -----------------------------------------------------------------------------------


def stored(inner: Any, **options: Any) -> CacheBackedEmbeddings:
    return CacheBackedEmbeddings.from_bytes_store(
        inner, InMemoryByteStore(), namespace="x", key_encoder="sha256", **options
    )


@pytest.mark.parametrize("way", ["embed_documents", "aembed_documents"])
def test_a_store_that_has_everything_is_a_hit_and_costs_nothing(way, instrumented, server):
    model = stored(models.openai(server.url))
    embed(model, way, "a", "b")
    embed(model, way, "a", "b")
    assert [facts(span) for span in instrumented.spans()] == [missed(2 * TOKENS), hit()]
    assert lookups(instrumented) == {"hit": 1, "miss": 1}
    metrics = instrumented.metrics()
    assert [value for _, value in metrics["langchain.embeddings.usage.input_tokens"]] == [2 * TOKENS]
    assert [point.count for _, point in metrics["gen_ai.client.embeddings.duration"]] == [1]
    assert len(server.requests) == 1


def test_a_store_that_has_a_part_pays_for_the_rest_only(instrumented, server):
    model = stored(models.openai(server.url))
    model.embed_documents(["a"])
    assert model.embed_documents(["a", "b", "c"]) == [VECTOR] * 3
    assert [facts(span) for span in instrumented.spans()] == [missed(TOKENS), missed(2 * TOKENS)]
    assert lookups(instrumented) == {"miss": 2}


def test_the_batches_of_one_call_are_one_look_up(instrumented, server):
    stored(models.openai(server.url), batch_size=1).embed_documents(["a", "b"])
    assert [facts(span) for span in instrumented.spans()] == [missed(TOKENS), priced(TOKENS)]
    assert lookups(instrumented) == {"miss": 1}


@pytest.mark.parametrize("way", ["embed_query", "aembed_query"])
def test_queries_are_looked_up_where_they_are_stored(way, instrumented, server):
    model = stored(models.openai(server.url), query_embedding_cache=True)
    embed(model, way, "a")
    embed(model, way, "a")
    assert [facts(span) for span in instrumented.spans()] == [missed(TOKENS), hit()]


def test_queries_that_are_not_stored_are_no_look_ups(instrumented, server):
    model = stored(models.openai(server.url))
    model.embed_query("a")
    model.embed_query("a")
    assert [facts(span) for span in instrumented.spans()] == [priced(TOKENS)] * 2
    assert lookups(instrumented) == {}


def test_nothing_to_look_up_is_no_call(instrumented, server):
    assert stored(models.openai(server.url)).embed_documents([]) == []
    assert instrumented.spans() == []


def test_a_store_that_fails_is_an_error_of_the_look_up(instrumented, server):
    class Broken(InMemoryStore):
        def mget(self, keys):
            raise OSError("the text was: secret")

    model = CacheBackedEmbeddings(models.openai(server.url), Broken())
    with pytest.raises(OSError, match="secret"):
        model.embed_documents(["a"])
    (span,) = instrumented.spans()
    assert facts(span) == {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        "error.type": "OSError",
        "langchain.cache.status": "error",
        "langchain.cache.type": "broken",
        "langchain.cache.error_type": "OSError",
    }
    assert lookups(instrumented) == {"error": 1}


def test_stores_in_two_tiers(instrumented, server):
    lower = stored(models.openai(server.url))
    model = stored(lower)
    model.embed_documents(["a"])
    model.embed_documents(["a"])
    lower.embed_documents(["a"])
    assert [facts(span) for span in instrumented.spans()] == [missed(TOKENS), hit(), hit()]


def test_a_type_can_be_named(telemetry, instrument, server):
    instrument(telemetry, cache_types={"InMemoryByteStore": "vectors"})
    stored(models.openai(server.url)).embed_documents(["a"])
    (span,) = telemetry.spans()
    assert span.attributes["langchain.cache.type"] == "vectors"


def test_a_wrapper_of_the_application_has_no_call_of_its_own(instrumented, server):
    class Prefixed(Embeddings):
        def __init__(self, inner):
            self.inner = inner

        def embed_documents(self, texts):
            return self.inner.embed_documents([f"passage: {text}" for text in texts])

        def embed_query(self, text):
            return self.inner.embed_query(f"query: {text}")

    for way in EVERY_WAY:
        embed(Prefixed(models.openai(server.url)), way, "a")
    assert [facts(span) for span in instrumented.spans()] == [priced(TOKENS)] * 4


def test_a_wrapper_that_works_itself_has_its_call(instrumented, server):
    class Sometimes(Embeddings):
        def __init__(self, inner):
            self.fallback = inner

        def embed_documents(self, texts):
            return [VECTOR for _ in texts]

        def embed_query(self, text):
            return VECTOR

    Sometimes(models.openai(server.url)).embed_query("a")
    (span,) = instrumented.spans()
    assert span.attributes["langchain.usage.cost.status"] == "estimated"


def test_a_wrapper_that_hides_what_it_calls_is_not_billed(instrumented, server):
    inner = models.openai(server.url)
    ensure_embeddings(lambda texts: inner.embed_documents(sorted(texts))).embed_query("a")
    billed, around = instrumented.spans()
    assert facts(billed) == priced(TOKENS)
    assert billed.parent.span_id == around.context.span_id
    assert not [key for key in around.attributes if "usage" in key]
    assert [point.count for _, point in instrumented.metrics()["gen_ai.client.embeddings.duration"]] == [1]
    assert [value for _, value in instrumented.metrics()["langchain.usage.cost"]] == [pytest.approx(TOKENS * PRICE)]


def test_a_method_made_into_embeddings_is_one_call(instrumented, server):
    ensure_embeddings(models.openai(server.url).embed_documents).embed_query("a")
    assert [facts(span) for span in instrumented.spans()] == [priced(TOKENS)]


def test_hypothetical_documents_are_embedded_once(instrumented, server):
    model = HypotheticalDocumentEmbedder.from_llm(
        FakeListLLM(responses=["a passage"]), models.openai(server.url), custom_prompt=_passage()
    )
    model.embed_query("a")
    calls = [facts(span) for span in instrumented.spans() if span.name.startswith("embeddings")]
    assert calls == [priced(TOKENS)]


def _passage() -> Any:
    from langchain_core.prompts import PromptTemplate

    return PromptTemplate.from_template("answer {question}")


# -- inside an application -----------------------------------------------------------------------------------------


def test_embeddings_hang_below_the_retrieval_that_needs_them(instrumented, server):
    store = InMemoryVectorStore(models.openai(server.url))
    store.add_texts(["a"])
    store.as_retriever().invoke("a")
    asyncio.run(store.as_retriever().ainvoke("a"))
    _, *spans = instrumented.spans()
    calls = [span for span in spans if span.name.startswith("embeddings")]
    retrievals = [span for span in spans if span.name.startswith("retrieval")]
    assert [call.parent.span_id for call in calls] == [retrieval.context.span_id for retrieval in retrievals]
    assert {retrieval.attributes["gen_ai.provider.name"] for retrieval in retrievals} == {"openai"}


def test_embeddings_of_a_tool_are_no_inference_of_its_agent(instrumented, server):
    @tool
    def search(question: str) -> str:
        """Search."""
        return str(models.openai(server.url).embed_query(question))

    class Caller(FakeMessagesListChatModel):
        def bind_tools(self, tools, **kwargs):
            return self

    model = Caller(
        responses=[
            AIMessage("", tool_calls=[{"name": "search", "args": {"question": "a"}, "id": "1"}]),
            AIMessage("done"),
        ]
    )
    create_agent(model, [search]).invoke({"messages": [("user", "a")]})
    spans = {span.name.split()[0]: span for span in instrumented.spans()}
    assert spans["embeddings"].parent.span_id == spans["execute_tool"].context.span_id
    metrics = instrumented.metrics()
    assert [point.sum for _, point in metrics["gen_ai.invoke_agent.inference_calls"]] == [2]
    assert "gen_ai.usage.input_tokens" not in spans["invoke_agent"].attributes


def test_a_span_that_is_not_sampled_is_counted_all_the_same(make_telemetry, instrument, server):
    telemetry = instrument(make_telemetry(ALWAYS_OFF))
    models.openai(server.url).embed_documents(["a", "b"])
    assert telemetry.spans() == []
    assert [value for _, value in telemetry.metrics()["langchain.embeddings.usage.input_tokens"]] == [2 * TOKENS]


def test_the_example_runs():
    example = Path(__file__).parents[2] / "examples" / "embeddings.py"
    ran = subprocess.run([sys.executable, example], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "2 calls, 21 tokens, $0.00000042; 1 hit of the store\n"
