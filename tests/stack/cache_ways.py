"""Real models of the local provider, every way of asking them, and what is seen of it: the parts that cache tests share.

Runs in every Python environment of the stack tests; nothing here needs pytest.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections import Counter
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any, NamedTuple

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.outputs import LLMResult
from langchain_openai import ChatOpenAI, OpenAI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from provider import CHAT_MODEL, TEXT_MODEL, Provider
from questions import QUESTIONS

import langmeter
from langmeter import boundary

OPERATION, EMBEDDINGS = "gen_ai.operation.name", "embeddings"
THREADS = 16


def chat(cache: Any, provider: Provider) -> ChatOpenAI:
    """A real chat model of the local provider."""
    return ChatOpenAI(model=CHAT_MODEL, base_url=provider.base_url, api_key="none", max_retries=0, cache=cache)


def text(cache: Any, provider: Provider) -> OpenAI:
    """A real text model of the local provider; all of them share one HTTP client, whose certificates take long to load."""
    return _text(provider.base_url).model_copy(update={"cache": cache})


@functools.lru_cache(maxsize=1)
def _text(url: str) -> OpenAI:
    return OpenAI(model=TEXT_MODEL, base_url=url, api_key="none", max_retries=0)


def _invoke(model: Any) -> list[Any]:
    return [inside(question, model.invoke) for question in QUESTIONS]


async def _ainvoke(model: Any) -> list[Any]:
    return [await ainside(question, model) for question in QUESTIONS]


def _batch(model: Any) -> list[Any]:
    return model.batch(list(QUESTIONS), {"max_concurrency": THREADS})


async def _abatch(model: Any) -> list[Any]:
    return await model.abatch(list(QUESTIONS))


async def _gather(model: Any) -> list[Any]:
    return await asyncio.gather(*[ainside(question, model) for question in QUESTIONS])


def _generate(model: Any) -> Any:
    return model.generate(_conversations(model))


async def _agenerate(model: Any) -> Any:
    return await model.agenerate(_conversations(model))


def _conversations(model: Any) -> list[Any]:
    return list(QUESTIONS) if isinstance(model, OpenAI) else [[HumanMessage(question)] for question in QUESTIONS]


own_spans = InMemorySpanExporter()
_OWN_PROVIDER = TracerProvider(shutdown_on_exit=False)
_OWN_PROVIDER.add_span_processor(SimpleSpanProcessor(own_spans))
_TRACER = _OWN_PROVIDER.get_tracer("application")


question_asked: ContextVar[str] = ContextVar("question_asked")
"""The question of the call around this code, on whichever thread it runs."""


def inside(question: str, call: Any) -> Any:
    """Inside a span of the application that names the question: the parent of whatever the call makes."""
    question_asked.set(question)
    with _TRACER.start_as_current_span(question):
        return call(question)


async def ainside(question: str, model: Any) -> Any:
    """The same for an asynchronous call of a model."""
    question_asked.set(question)
    with _TRACER.start_as_current_span(question):
        return await model.ainvoke(question)


class Way(NamedTuple):
    """One way of asking all questions; `named` says whether each call has an application span of its own."""

    kind: str
    call: Any
    named: bool = False

    @property
    def is_async(self) -> bool:
        return asyncio.iscoroutinefunction(self.call)


CHAT_WAYS = {
    "invoke": Way("sync", _invoke, named=True),
    "batch": Way("batch", _batch),
    "generate": Way("sync", _generate),
    "ainvoke": Way("async", _ainvoke, named=True),
    "abatch": Way("batch", _abatch),
    "gather": Way("async", _gather, named=True),
    "agenerate": Way("async", _agenerate),
}
TEXT_WAYS = {f"text {name}": CHAT_WAYS[name]._replace(kind="text") for name in ("invoke", "batch", "ainvoke", "abatch")}
WAYS = CHAT_WAYS | TEXT_WAYS


class Watched:
    """Telemetry of one run; empty where langmeter does not watch."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.tracer_provider = TracerProvider(shutdown_on_exit=False)
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self._spans))
        self.meter_provider = MeterProvider([self._reader], shutdown_on_exit=False)

    @contextlib.contextmanager
    def watching(self, *, watch: bool) -> Iterator[None]:
        """Instrumented for the length of the block, unless this is the twin without langmeter."""
        if not watch:
            yield
            return
        boundary.set_strict(True)  # what langmeter would swallow reaches the call, and makes it differ from its twin
        langmeter.instrument(tracer_provider=self.tracer_provider, meter_provider=self.meter_provider)
        try:
            yield
        finally:
            langmeter.uninstrument()

    def spans(self) -> list[Any]:
        """Those of model calls: a semantic cache embeds what it looks up, which has spans of its own."""
        return [span for span in self._spans.get_finished_spans() if span.attributes[OPERATION] != EMBEDDINGS]

    def lookups(self) -> dict[str, int]:
        """Status -> look-ups of caches, from the metric."""
        return {
            key.split()[1]: value for key, value in self.totals().items() if key.startswith("langchain.cache.requests")
        }

    def totals(self) -> dict[str, Any]:
        """Metric name -> sum over its series of model calls; `langchain.cache.requests` by status and type."""
        found: Counter[str] = Counter()
        data = self._reader.get_metrics_data()
        for resource in data.resource_metrics if data is not None else ():
            for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
                for point in metric.data.data_points:
                    if point.attributes.get(OPERATION) == EMBEDDINGS:
                        continue
                    name = metric.name
                    if name == "langchain.cache.requests":
                        status, kind = (point.attributes[f"langchain.cache.{key}"] for key in ("status", "type"))
                        name = f"{name} {status} {kind}"
                    found[name] += point.count if isinstance(point, HistogramDataPoint) else point.value
        return dict(found)


def as_seen(answers: Any) -> Any:
    """Answers as the application reads them, without the ids that LangChain draws anew for every run."""
    if isinstance(answers, LLMResult):
        return [as_seen(generations) for generations in answers.generations]
    if isinstance(answers, list):
        return [as_seen(one) for one in answers]
    if isinstance(answers, BaseMessage):
        usage = {key: value for key, value in answers.usage_metadata.items() if key != "total_cost"}
        return answers.content, usage, answers.response_metadata
    return (
        (as_seen(answers.message) if hasattr(answers, "message") else answers.text)
        if hasattr(answers, "text")
        else answers
    )


def failure(error: BaseException) -> str:
    """An exception as the application sees it."""
    return f"{type(error).__module__}.{type(error).__qualname__}: {error}"
