"""A thousand calls of every kind at once: each is attributed to itself, and every total is the sum of the parts."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pytest
from cache_models import (
    CHAT_PRICE,
    TEXT_PRICE,
    AsyncChat,
    AsyncText,
    Chat,
    ProviderError,
    SlowCache,
    StreamingChat,
    SyncOnly,
    Text,
    picodollars,
    statuses,
    total,
    usage_of,
)
from langchain_core.caches import InMemoryCache
from langchain_core.messages import HumanMessage

import langmeter
from langmeter.events import usd
from langmeter.langchain import instrumentor

CALLS = 1_000
KINDS = (
    "chat",
    "text",
    "stream",
    "chat fail",
    "text fail",
    "stream fail",
    "chat hit",
    "text hit",
    "chat miss",
    "text miss",
)


class Job(NamedTuple):
    """One call of the plan; the prompt says everything about its outcome."""

    kind: str
    prompt: str

    @property
    def failing(self) -> bool:
        return self.kind.endswith("fail")

    @property
    def status(self) -> str | None:
        """What the cache does; the streaming model has one configured and cannot use it."""
        if self.kind.startswith("stream"):
            return "bypass"
        return {"hit": "hit", "miss": "miss"}.get(self.kind.partition(" ")[2])

    @property
    def price(self) -> tuple[int, int]:
        return TEXT_PRICE if self.kind.startswith("text") else CHAT_PRICE


def _plan() -> list[Job]:
    """Half of the calls are hits, the others of every other kind; all prompts differ."""
    others = [kind for kind in KINDS if not kind.endswith("hit")]
    kinds = [("chat hit", "text hit")[number % 2] for number in range(CALLS // 2)]
    kinds += [others[number % len(others)] for number in range(CALLS - len(kinds))]
    random.Random(4).shuffle(kinds)
    return [Job(kind, f"{kind} {number}") for number, kind in enumerate(kinds)]


class Models:
    """The models of one run, their caches warmed with the prompts that are to be hits."""

    def __init__(self, plan: list[Job]) -> None:
        chats, texts = SlowCache(), SlowCache()
        self.plain = {"chat": AsyncChat(delay=0.002), "text": AsyncText(delay=0.002)}
        self.cached = {"chat": AsyncChat(delay=0.002, cache=chats), "text": AsyncText(delay=0.002, cache=texts)}
        self.streaming = StreamingChat(delay=0.001, cache=chats)
        warm = {"chat": Chat(cache=chats), "text": Text(cache=texts)}
        # The class of a model is no part of its cache key: these two fill the caches of the others.
        assert warm["chat"]._get_llm_string() == self.cached["chat"]._get_llm_string()
        for job in plan:
            if job.status == "hit":
                warm[job.kind.partition(" ")[0]].invoke(job.prompt)

    def of(self, job: Job):
        models = self.plain if job.status is None else self.cached
        return models[job.kind.partition(" ")[0]]

    def call(self, job: Job) -> None:
        if job.status == "bypass":
            list(self.streaming.stream(job.prompt))
        else:
            self.of(job).invoke(job.prompt)

    async def acall(self, job: Job) -> None:
        if job.status == "bypass":
            assert len([chunk async for chunk in self.streaming.astream(job.prompt)]) >= 3
        else:
            await self.of(job).ainvoke(job.prompt)


def _expected(job: Job) -> tuple[object, ...]:
    """What the span of a call must say: operation, cache, tokens, cost status, amount, error."""
    operation = "text_completion" if job.kind.startswith("text") else "chat"
    usage = usage_of(job.prompt)
    if job.failing:
        # A stream that breaks was paid for in part, which can only be estimated; a refused call costs nothing.
        estimated = "estimated" if job.kind == "stream fail" else None
        return operation, job.status, None, None, estimated, None, "cache_models.ProviderError"
    if job.status == "hit":
        return operation, "hit", 0, 0, "cached", 0.0, None
    amount = float(usd(picodollars(job.prompt, job.price)))
    return operation, job.status, usage["input_tokens"], usage["output_tokens"], "priced", amount, None


def _seen(span) -> tuple[object, ...]:
    # What an estimate amounts to depends on the calls that came before it, and so on the threads.
    estimated = span.attributes.get("langchain.usage.cost.status") == "estimated"
    return tuple(
        None if estimated and name.endswith("amount") else span.attributes.get(name)
        for name in (
            "gen_ai.operation.name",
            "langchain.cache.status",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "langchain.usage.cost.status",
            "langchain.usage.cost.amount",
            "error.type",
        )
    )


def _check_spans(telemetry, plan: list[Job]) -> None:
    spans = telemetry.spans()
    own = {span.context.span_id: span.name for span in spans if span.instrumentation_scope.name == "application"}
    calls = [span for span in spans if span.instrumentation_scope.name == "langmeter"]
    assert (len(own), len(calls)) == (CALLS, CALLS)
    assert {own[span.parent.span_id]: _seen(span) for span in calls} == {job.prompt: _expected(job) for job in plan}


def _check_totals(telemetry, usage, plan: list[Job]) -> None:
    """Spans, metrics and `track()` against the ledger: to the token and to the pico-dollar."""
    paid = [job for job in plan if not job.failing and job.status != "hit"]
    # What a text model's hit saved is lost with its `llm_output`.
    saved = [job for job in plan if job.kind == "chat hit"]
    spent = sum(picodollars(job.prompt, job.price) for job in paid)
    spared = sum(picodollars(job.prompt) for job in saved)
    input_tokens = sum(usage_of(job.prompt)["input_tokens"] for job in paid)
    output_tokens = sum(usage_of(job.prompt)["output_tokens"] for job in paid)
    count = Counter(job.status for job in plan)
    made = CALLS - count["hit"]
    broken = sum(job.kind == "stream fail" for job in plan)

    reported = usage.cost_usd - usage.estimated_usd
    figures = (usage.calls, usage.input_tokens, usage.output_tokens, reported, usage.saved_usd)
    assert figures == (made, input_tokens, output_tokens, usd(spent), usd(spared))
    looked_up = (usage.cache_hits, usage.cache_misses, usage.cache_bypasses, usage.cache_errors)
    assert looked_up == (count["hit"], count["miss"], count["bypass"], 0)
    assert (usage.errors, usage.estimated_calls) == (sum(job.failing for job in plan), broken)
    assert usage.unpriced_calls == 0

    metrics = telemetry.metrics()
    assert total(metrics, "langchain.inference.requests") == made
    assert total(metrics, "gen_ai.client.inference.duration") == made
    assert total(metrics, "gen_ai.client.inference.usage.input_tokens") == input_tokens
    assert total(metrics, "gen_ai.client.inference.usage.output_tokens") == output_tokens
    assert round(total(metrics, "langchain.usage.cost", langchain__usage__cost__status="priced") * 1e12) == spent
    estimated = total(metrics, "langchain.usage.cost", langchain__usage__cost__status="estimated")
    assert usd(round(estimated * 1e12)) == usage.estimated_usd > 0
    assert round(total(metrics, "langchain.cache.saved.cost") * 1e12) == spared
    assert total(metrics, "langchain.usage.unpriced.requests") == 0
    for status in ("hit", "miss", "bypass"):
        assert total(metrics, "langchain.cache.requests", langchain__cache__status=status) == count[status]
    assert {name for name in metrics if "errors" in name} == set()


@pytest.fixture
def plan():
    return _plan()


@pytest.fixture
def models(plan):
    """Warmed before instrumentation, so that the telemetry holds the plan and nothing else."""
    return Models(plan)


def test_a_thousand_mixed_calls_on_fifty_threads(models, plan, telemetry, instrument):
    instrument(telemetry)
    tracer = telemetry.tracer_provider.get_tracer("application")

    def run(job: Job) -> bool:
        with tracer.start_as_current_span(job.prompt):
            try:
                models.call(job)
            except ProviderError:
                return True
        return False

    with langmeter.track() as usage, ThreadPoolExecutor(50) as pool:
        futures = [pool.submit(contextvars.copy_context().run, run, job) for job in plan]
        failed = [future.result() for future in futures]

    assert failed == [job.failing for job in plan]
    assert instrumentor.open_runs() == 0
    _check_spans(telemetry, plan)
    _check_totals(telemetry, usage, plan)


def test_a_thousand_mixed_calls_gathered(models, plan, telemetry, instrument):
    instrument(telemetry)
    tracer = telemetry.tracer_provider.get_tracer("application")

    async def run(job: Job) -> bool:
        with tracer.start_as_current_span(job.prompt):
            try:
                await models.acall(job)
            except ProviderError:
                return True
        return False

    async def everything() -> list[bool]:
        return await asyncio.gather(*[run(job) for job in plan])

    with langmeter.track() as usage:
        failed = asyncio.run(everything())

    assert failed == [job.failing for job in plan]
    assert instrumentor.open_runs() == 0
    _check_spans(telemetry, plan)
    _check_totals(telemetry, usage, plan)


PROMPTS = [f"p{number}" for number in range(200)]
WAYS = ("batch", "abatch", "gather", "generate", "agenerate")


def _run(model: AsyncChat, way: str) -> None:
    messages = [[HumanMessage(prompt)] for prompt in PROMPTS]

    async def gather() -> None:
        await asyncio.gather(*[model.ainvoke(prompt) for prompt in PROMPTS])

    if way == "batch":
        model.batch(PROMPTS, {"max_concurrency": 16})
    elif way == "abatch":
        asyncio.run(model.abatch(PROMPTS))
    elif way == "gather":
        asyncio.run(gather())
    elif way == "generate":
        model.generate(messages)
    else:
        asyncio.run(model.agenerate(messages))


@pytest.mark.parametrize("cache_class", [InMemoryCache, SyncOnly, SlowCache])
@pytest.mark.parametrize("way", WAYS)
def test_two_hundred_prompts_half_of_them_warm(telemetry, instrument, way, cache_class):
    """The answer's id names its prompt, on hits and misses alike; the status must be that prompt's."""
    cache = cache_class()
    warm = set(random.Random(WAYS.index(way)).sample(PROMPTS, len(PROMPTS) // 2))
    Chat(cache=cache).batch(sorted(warm))
    instrument(telemetry)
    _run(AsyncChat(cache=cache, delay=0.001), way)

    spans = telemetry.spans()
    seen = {span.attributes["gen_ai.response.id"]: _seen(span)[1:4] for span in spans}
    tokens = {prompt: tuple(usage_of(prompt).values())[:2] for prompt in PROMPTS}
    assert len(spans) == len(PROMPTS)
    assert seen == {
        f"answer to {prompt}": ("hit", 0, 0) if prompt in warm else ("miss", *tokens[prompt]) for prompt in PROMPTS
    }
    saved = total(telemetry.metrics(), "langchain.cache.saved.input_tokens")
    assert saved == sum(tokens[prompt][0] for prompt in warm)


@pytest.mark.parametrize("way", ["generate", "agenerate", "batch", "abatch"])
def test_two_hundred_prompts_of_a_text_model_half_of_them_warm(telemetry, instrument, way):
    model = AsyncText(cache=SlowCache())
    warm = set(random.Random(9).sample(PROMPTS, len(PROMPTS) // 2))
    model.batch(sorted(warm))
    instrument(telemetry)
    run = getattr(model, way)(PROMPTS)
    if asyncio.iscoroutine(run):
        asyncio.run(run)

    spans = telemetry.spans()
    assert Counter(statuses(spans)) == {"hit": 100, "miss": 100}
    spent = sum(span.attributes.get("gen_ai.usage.input_tokens", 0) for span in spans)
    assert spent == sum(usage_of(prompt)["input_tokens"] for prompt in PROMPTS if prompt not in warm)
