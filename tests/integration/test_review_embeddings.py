"""Embeddings as applications write them: methods with attributes and odd arguments, bases side by side, threads of their own."""

from __future__ import annotations

import functools
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import embedding_models as models
import numpy as np
import pytest
from embeddings_server import TOKENS, VECTOR, EmbeddingsServer
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.stores import InMemoryByteStore
from langchain_openai import OpenAIEmbeddings
from tenacity import retry, stop_after_attempt

import langmeter

PRICE = 0.02e-6
NEIGHBOUR = """
import sys
import google.protobuf
import langmeter
from langchain_core.embeddings import Embeddings
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

class Client:
    __module__ = "google.cloud.aiplatform"

class Mine(Embeddings):
    client = None
    def embed_documents(self, texts):
        return [[1.0] for _ in texts]
    def embed_query(self, text):
        return [1.0]

langmeter.instrument(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
mine = Mine()
mine.client = Client()
mine.embed_query("a")
print("google.genai" in sys.modules)
"""

FORKED = """
import os, signal, sys, threading, time
sys.path.insert(0, sys.argv[1])
import slow_client
import voyageai
import langmeter
from langchain_core.embeddings import Embeddings
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.trace import NoOpTracerProvider

class Mine(Embeddings):
    def __init__(self):
        self.client = voyageai.Voyage()
    def embed_documents(self, texts):
        return [[1.0] for _ in texts]
    def embed_query(self, text):
        return [1.0]

langmeter.instrument(tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider())
thread = threading.Thread(target=Mine().embed_query, args=("a",))
thread.start()
slow_client.entered.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    Mine().embed_query("b")
    os._exit(0)
status = os.waitpid(child, 0)[1]
slow_client.leave.set()
thread.join()
print(status)
"""


@pytest.fixture
def server():
    with EmbeddingsServer() as server:
        yield server


@pytest.fixture(autouse=True)
def _prices_are_loaded():
    """The first call of a process might not wait for the table."""
    langmeter.price(provider="openai", model="gpt-4o", usage_metadata={})


class Odd(Embeddings):
    """Methods that are more than functions, and take what they like."""

    def embed_documents(self, texts: list[str], **more: Any) -> Any:
        return [[1.0] for _ in texts]

    @functools.lru_cache(maxsize=8)  # noqa: B019  (what applications do)
    def embed_query(self, text: str, **more: Any) -> Any:
        return [text, more]


class Retried(Embeddings):
    def embed_documents(self, texts: list[str]) -> Any:
        return [[1.0] for _ in texts]

    @retry(stop=stop_after_attempt(2))
    def embed_query(self, text: str) -> Any:
        return [1.0]


class Mixed:
    def embed_documents(self, texts: list[str]) -> Any:
        return ["mixed"]

    def embed_query(self, text: str) -> Any:
        return "mixed"


class Heir(Mixed, Embeddings):
    pass


class Loud(Mixed):
    def embed_query(self, text: str) -> Any:
        return super().embed_query(text).upper()


class Both(Heir, Loud):
    pass


class Hashing(Embeddings):
    """Asks OpenAI's client from threads of its own."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def embed_documents(self, texts: list[str]) -> Any:
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(self.embed_query, texts))

    def embed_query(self, text: str) -> Any:
        return self.client.create(model="text-embedding-3-small", input=text).data[0].embedding


class InPieces(Embeddings):
    """A wrapper that asks the embeddings it holds from threads of its own."""

    def __init__(self, inner: Embeddings) -> None:
        self.inner = inner

    def embed_documents(self, texts: list[str]) -> Any:
        with ThreadPoolExecutor(2) as pool:
            pieces = pool.map(self.inner.embed_documents, [[text] for text in texts])
            return [vector for piece in pieces for vector in piece]

    def embed_query(self, text: str) -> Any:
        return self.inner.embed_query(text)


class WithSecond(OpenAIEmbeddings):
    """Does the work itself as long as it can."""

    second: Any = None

    def embed_query(self, text: str, **kwargs: Any) -> Any:
        try:
            return super().embed_query(text, **kwargs)
        except Exception:
            return self.second.embed_query(text)


def with_second(url: str) -> WithSecond:
    return WithSecond(
        api_key="none",
        base_url=f"{url}/v1",
        model="text-embedding-3-small",
        max_retries=0,
        check_embedding_ctx_length=False,
        second=DeterministicFakeEmbedding(size=2),
    )


def billed(telemetry: Any) -> list[tuple[str, Any]]:
    """What was paid, by status of the cost."""
    points = telemetry.metrics().get("langchain.usage.cost", [])
    return sorted((attributes["langchain.usage.cost.status"], value) for attributes, value in points)


def test_arguments_may_have_any_name(instrumented):
    given = {"instance": 1, "method": 2, "wrapped": 3, "args": 4}
    assert Odd().embed_query("a", **given) == ["a", given]
    assert Odd.embed_documents(self=Odd(), texts=["a"]) == [[1.0]]


def test_a_method_keeps_the_attributes_of_its_decorator(instrumented):
    Odd.embed_query.cache_clear()
    model = Odd()
    model.embed_query("a")
    model.embed_query("a")
    assert model.embed_query.cache_info().hits == 1
    Retried().embed_query("a")
    assert Retried.embed_query.statistics["attempt_number"] == 1
    assert not hasattr(Retried.embed_query, "cache_info")


def test_a_method_of_a_class_pickles_by_name(instrumented):
    loaded = pickle.loads(pickle.dumps(functools.partial(Retried.embed_documents, Retried())))  # noqa: S301  (our own)
    assert loaded(["a"]) == [[1.0]]
    inherited = pickle.loads(pickle.dumps(Heir.embed_query))  # noqa: S301
    assert inherited(Heir(), "a") == "mixed"


def test_a_base_between_an_heir_and_its_mixin_is_not_skipped(instrumented):
    class Later(Heir, Loud):
        pass

    assert [Both().embed_query("a"), Later().embed_query("a"), Heir().embed_query("a")] == ["MIXED", "MIXED", "mixed"]
    assert Both().embed_documents(["a"]) == ["mixed"]
    assert len(instrumented.spans()) == 4
    langmeter.uninstrument()
    assert "embed_query" not in {**vars(Heir), **vars(Later)}


def test_what_is_changed_in_a_mixin_is_in_force(instrumented, monkeypatch):
    monkeypatch.setattr(Mixed, "embed_query", lambda self, text: "changed")
    assert Heir().embed_query("a") == "changed"


def test_texts_that_have_no_truth_value_are_a_hit(instrumented, server):
    model = CacheBackedEmbeddings.from_bytes_store(
        models.openai(server.url), InMemoryByteStore(), namespace="a", key_encoder="blake2b"
    )
    for _ in range(2):
        assert model.embed_documents(np.array(["a", "b"])) == [VECTOR, VECTOR]
    assert [span.attributes["langchain.cache.status"] for span in instrumented.spans()] == ["miss", "hit"]


def test_without_texts_nothing_is_counted(telemetry, instrument, server):
    instrument(telemetry, estimates=False)
    with langmeter.track() as usage:
        assert models.openai(server.url).embed_documents([]) == []
    assert server.requests == []
    assert (usage.calls, usage.unpriced_calls) == (0, 0)
    assert [span.name for span in telemetry.spans()] == ["embeddings text-embedding-3-small"]
    assert "langchain.inference.requests" not in telemetry.metrics()


@pytest.mark.parametrize("make", [InPieces, lambda inner: Hashing(inner.client)], ids=["wrapper", "itself"])
def test_what_is_shared_out_among_threads_is_billed_once(make, instrumented, server):
    model = make(models.openai(server.url))
    with langmeter.track() as usage:
        assert model.embed_documents([f"text {number}" for number in range(3)]) == [VECTOR] * 3
    assert (usage.calls, usage.input_tokens) == (3, 3 * TOKENS)
    requests = instrumented.metrics()["langchain.inference.requests"]
    assert [value for _, value in requests] == [3]
    assert len({span.context.trace_id for span in instrumented.spans()}) == (3 if make is InPieces else 1)
    if make is InPieces:
        assert billed(instrumented) == [("priced", pytest.approx(3 * TOKENS * PRICE))]


def test_threads_of_the_application_have_calls_of_their_own(instrumented, server):
    """One object, one list of texts, many threads: no call is taken for a part of another."""
    model, texts = models.openai(server.url), ["one", "two"]
    server.counts = False
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: model.embed_documents(texts), range(8)))
    estimated = [span.attributes["langchain.usage.estimated.input_tokens"] for span in instrumented.spans()]
    assert estimated == estimated[:1] * 8


def test_embeddings_with_a_second_choice_are_billed_as_what_they_are(instrumented, server):
    model = with_second(server.url)
    assert model.embed_query("a") == VECTOR
    (span,) = instrumented.spans()
    assert span.name == "embeddings text-embedding-3-small"
    assert billed(instrumented) == [("priced", pytest.approx(TOKENS * PRICE))]
    server.refuse = [500]
    assert len(model.embed_query("a")) == 2
    assert billed(instrumented) == [("priced", pytest.approx(TOKENS * PRICE))]


def test_a_neighbour_in_a_namespace_loads_no_client():
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", NEIGHBOUR], capture_output=True, check=True, timeout=60
    )
    assert printed.stdout.decode().strip() == "False"


def test_a_process_forked_while_a_client_is_loaded_goes_on(tmp_path):
    files = {
        "slow_client.py": "import threading\nentered, leave = threading.Event(), threading.Event()\n",
        "voyageai/__init__.py": "class Voyage:\n    pass\n",
        "voyageai/client.py": "import slow_client\nslow_client.entered.set()\nslow_client.leave.wait(60)\n",
    }
    (tmp_path / "voyageai").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    printed = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED, str(tmp_path)], capture_output=True, check=True, timeout=90
    )
    assert printed.stdout.decode().strip() == "0"
