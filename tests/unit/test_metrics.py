"""The metrics sink against the real SDK: everything it exports for a call, and who shares what."""

import gc
import json
import subprocess
import sys
import textwrap
import threading
import weakref
from datetime import UTC, datetime
from typing import get_args

import pytest
from opentelemetry.context import Context
from opentelemetry.sdk.metrics import Histogram, MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import DropAggregation, View
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

from langmeter import boundary, semconv
from langmeter.events import (
    AgentTotals,
    CacheLookup,
    Cost,
    CostParts,
    Failure,
    ModelCall,
    ModelRequest,
    ModelResponse,
    PricedCall,
    ReportedUsage,
    Step,
    StepKind,
    StepRequest,
    TokenUsage,
)
from langmeter.pricing.catalog import freshness
from langmeter.settings import Settings
from langmeter.telemetry.metrics import metrics_for
from langmeter.telemetry.step_metrics import step_metrics_for

REQUEST = ModelRequest("chat", "openai", "gpt-5-mini", "api.openai.com", 443)
USAGE = TokenUsage(1_200, 300, cache_read=800, cache_write=100, reasoning=50)
RESPONSE = ModelResponse(ReportedUsage(USAGE), "gpt-5-mini-2026-08-01", service_tier="default")
COST = Cost(
    "priced",
    CostParts(input=3_000_000, cache_read=800_000, cache_write=1_000_000, output=6_000_000),
    prompt_cache_saved=7_200_000,
    prompt_cache_premium=250_000,
)
ASKED = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "server.address": "api.openai.com",
    "server.port": 443,
}
M = {**ASKED, "gen_ai.response.model": "gpt-5-mini-2026-08-01", "openai.response.service_tier": "default"}
CACHE = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "langchain.cache.type": "in_memory",
}
UNKNOWN = {"gen_ai.token.modality": "unknown"}
SUCCESS_TOTALS = {
    "langchain.inference.requests": [(M, 1)],
    "gen_ai.client.inference.usage.input_tokens": [(M | UNKNOWN, 1_200)],
    "gen_ai.client.inference.usage.output_tokens": [(M | UNKNOWN, 300)],
    "gen_ai.client.inference.usage.cache_read.input_tokens": [(M | UNKNOWN, 800)],
    "gen_ai.client.inference.usage.cache_write.input_tokens": [(M | UNKNOWN, 100)],
    "gen_ai.client.inference.usage.reasoning.output_tokens": [(M | UNKNOWN, 50)],
    "langchain.prompt_cache.saved.cost": [(M, 7.2e-6)],
    "langchain.prompt_cache.premium.cost": [(M, 2.5e-7)],
}
SUCCESS_HISTOGRAMS = {
    "gen_ai.client.inference.duration": [(M, (1, 1.5))],
    "gen_ai.client.inference.operation.input_tokens": [(M, (1, 1_200))],
    "gen_ai.client.inference.operation.output_tokens": [(M, (1, 300))],
    "langchain.inference.output_rate": [(M, (1, 200.0))],
}


def spent(status="priced", attributes=M, **dollars):
    pairs = {"langchain.usage.cost.status": status}
    points = [(attributes | pairs | {"langchain.usage.cost.category": name}, usd) for name, usd in dollars.items()]
    return {"langchain.usage.cost": points}


SUCCESS = SUCCESS_TOTALS | SUCCESS_HISTOGRAMS | spent(input=3e-6, cache_read=8e-7, cache_write=1e-6, output=6e-6)


def called(outcome=RESPONSE, request=REQUEST, duration=1.5, **more):
    return ModelCall(request, outcome, 0, duration, **more)


def provider_with(*readers, views=()):
    return MeterProvider(readers, shutdown_on_exit=False, views=views)


def points(reader):
    data = reader.get_metrics_data()
    if data is None:
        return {}
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return {metric.name: metric.data.data_points for metric in metrics}


def exported(reader):
    """Everything a reader gets: metric → (attributes, value) pairs; a histogram's value is its count and its sum."""
    return {
        name: [
            (dict(point.attributes), point.value if hasattr(point, "value") else (point.count, point.sum))
            for point in data_points
        ]
        for name, data_points in points(reader).items()
        if name != semconv.PRICE_AGE.name  # grows by itself, once anything in this process has loaded the prices
    }


def same(actual, expected):
    assert ordered(actual) == ordered(expected)


def ordered(output):
    return {
        name: sorted(((sorted(attributes.items()), value) for attributes, value in found), key=repr)
        for name, found in output.items()
    }


def output_of(*calls, **settings):
    reader = InMemoryMetricReader()
    sink = metrics_for(provider_with(reader), Settings(**settings))
    for priced in calls:
        sink.record(priced, Context())
    return exported(reader)


def test_chat_success_with_all_details():
    same(output_of(PricedCall(called(), COST)), SUCCESS)


def kind_of(data):
    if hasattr(data.data_points[0], "count"):
        return "histogram"
    return "counter" if hasattr(data, "is_monotonic") else "gauge"


def test_every_metric_has_the_unit_description_kind_and_buckets_of_the_registry(monkeypatch):
    monkeypatch.setattr(freshness, "_dates", {})
    freshness.note_fetched("genai-prices", datetime.now(UTC))
    reader = InMemoryMetricReader()
    sink_provider = provider_with(reader)
    sink = metrics_for(sink_provider, Settings(legacy_metrics=True, time_per_output_chunk=True, operation_cost=True))
    hit = CacheLookup("hit", "in_memory", 0.001, USAGE, unreadable=True, expected_duration=1.0, expected_from="model")
    miss = CacheLookup("miss", "in_memory", 0.001)
    sink.record(PricedCall(called(cache=miss), COST), None)
    sink.record(PricedCall(called(time_to_first_chunk=0.5, chunk_gaps=(0.1,), streamed=True), COST), None)
    sink.record(PricedCall(called(), Cost("unpriced", reason="unknown_model")), None)
    sink.record(PricedCall(called(estimated=TokenUsage(7, 3)), COST._replace(status="estimated")), None)
    sink.record(PricedCall(called(cache=hit), Cost("cached", CostParts()), COST), None)
    embeddings = called(request=REQUEST._replace(operation="embeddings"))
    sink.record(PricedCall(embeddings, COST), None)
    for kind in get_args(StepKind):
        totals = AgentTotals(2, 1) if kind == "invoke_agent" else None
        step = Step(StepRequest(kind, "name"), 0, 1.0, totals=totals)
        step_metrics_for(sink_provider, Settings()).record(step, None)
    boundary.set_strict(False)
    boundary.swallow("a test", ValueError())
    metrics = reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics
    boundary.reset_counts()
    found = {
        (
            metric.name,
            kind_of(metric.data),
            metric.unit,
            metric.description,
            tuple(getattr(metric.data.data_points[0], "explicit_bounds", ())),
        )
        for metric in metrics
    }
    assert found == {tuple(metric) for metric in semconv.METRICS}


def test_stream_adds_first_chunk_and_generation_rate():
    call = called(time_to_first_chunk=0.5, chunk_gaps=(0.25, 0.75), streamed=True)
    same(
        output_of(PricedCall(call, COST)),
        SUCCESS
        | {
            "gen_ai.client.inference.time_to_first_chunk": [(M, (1, 0.5))],
            "langchain.inference.generation_rate": [(M, (1, 300.0))],
        },
    )


def test_no_generation_rate_below_a_millisecond_and_no_rate_without_output():
    burst = output_of(PricedCall(called(duration=0.5004, time_to_first_chunk=0.5, streamed=True), None))
    assert "langchain.inference.generation_rate" not in burst
    assert "langchain.inference.output_rate" in burst
    nothing = called(ModelResponse(ReportedUsage(TokenUsage(7, 0))), time_to_first_chunk=0.5, streamed=True)
    same(
        output_of(PricedCall(nothing, None)),
        {
            "langchain.inference.requests": [(ASKED, 1)],
            "gen_ai.client.inference.usage.input_tokens": [(ASKED | UNKNOWN, 7)],
            "gen_ai.client.inference.duration": [(ASKED, (1, 1.5))],
            "gen_ai.client.inference.time_to_first_chunk": [(ASKED, (1, 0.5))],
            "gen_ai.client.inference.operation.input_tokens": [(ASKED, (1, 7))],
            "gen_ai.client.inference.operation.output_tokens": [(ASKED, (1, 0))],
        },
    )


def test_ruling_9_chunk_times_and_cost_histogram_only_when_switched_on():
    call = PricedCall(called(time_to_first_chunk=0.5, chunk_gaps=(0.25, 0.75), streamed=True), COST)
    default = output_of(call)
    switched = output_of(call, time_per_output_chunk=True, operation_cost=True)
    extra = {
        "gen_ai.client.inference.time_per_output_chunk": [(M, (2, 1.0))],
        "langchain.operation.cost": [(M, (1, 1.08e-5))],
    }
    same(switched, default | extra)


def test_legacy_names_come_in_addition():
    call = PricedCall(called(time_to_first_chunk=0.5, chunk_gaps=(0.25, 0.75), streamed=True), COST)
    failed = PricedCall(called(Failure("error", "TimeoutError", partial=RESPONSE), duration=2.0), COST)
    error = M | {"error.type": "TimeoutError"}
    old = {
        "gen_ai.client.operation.duration": [(M, (1, 1.5)), (error, (1, 2.0))],
        "gen_ai.client.operation.time_to_first_chunk": [(M, (1, 0.5))],
        "gen_ai.client.operation.time_per_output_chunk": [(M, (2, 1.0))],
        "gen_ai.client.token.usage": [
            (M | {"gen_ai.token.type": "input"}, (1, 1_200)),
            (M | {"gen_ai.token.type": "output"}, (1, 300)),
        ],
    }
    same(output_of(call, failed, legacy_metrics=True), output_of(call, failed) | old)


def test_ruling_2_a_failure_counts_as_request_and_duration_with_its_type_and_nothing_else():
    error = ASKED | {"error.type": "openai.RateLimitError"}
    same(
        output_of(PricedCall(called(Failure("error", "openai.RateLimitError")), None)),
        {
            "langchain.inference.requests": [(error, 1)],
            "gen_ai.client.inference.duration": [(error, (1, 1.5))],
        },
    )


def test_a_failure_with_partial_usage_adds_to_counters_but_to_no_token_histogram():
    error = M | {"error.type": "httpx.ReadTimeout"}
    failure = Failure("error", "httpx.ReadTimeout", partial=RESPONSE)
    same(
        output_of(PricedCall(called(failure, time_to_first_chunk=0.5, streamed=True), COST)),
        SUCCESS_TOTALS
        | spent(input=3e-6, cache_read=8e-7, cache_write=1e-6, output=6e-6)
        | {
            "langchain.inference.requests": [(error, 1)],
            "gen_ai.client.inference.duration": [(error, (1, 1.5))],
            "gen_ai.client.inference.time_to_first_chunk": [(M, (1, 0.5))],
        },
    )


def test_a_cancelled_call_has_an_error_type_and_an_abandoned_stream_has_none():
    cancelled = PricedCall(called(Failure("cancelled", "asyncio.CancelledError")), None)
    abandoned = PricedCall(called(Failure("abandoned", "GeneratorExit"), duration=0.5), None)
    error = ASKED | {"error.type": "asyncio.CancelledError"}
    same(
        output_of(cancelled, abandoned),
        {
            "langchain.inference.requests": [(error, 1), (ASKED, 1)],
            "gen_ai.client.inference.duration": [(error, (1, 1.5)), (ASKED, (1, 0.5))],
        },
    )


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, {"unknown": 100}),
        ({"input_audio": 30}, {"audio": 30, "unknown": 70}),
        ({"input_text": 60, "input_image": 40}, {"text": 60, "image": 40}),
        ({"input_text": 0, "input_image": 5, "input_audio": 5}, {"image": 5, "audio": 5, "unknown": 90}),
        ({"input_text": 90, "input_audio": 90}, {"text": 90, "audio": 10}),
    ],
    ids=["no breakdown", "partial", "complete", "with a zero", "contradictory"],
)
def test_modalities_partition_the_total(parts, expected):
    usage = TokenUsage(100, 10, **parts)
    mirrored = TokenUsage(10, 100, **{name.replace("input", "output"): value for name, value in parts.items()})
    for each, direction in ((usage, "input"), (mirrored, "output")):
        output = output_of(PricedCall(called(ModelResponse(ReportedUsage(each))), None))
        found = output[f"gen_ai.client.inference.usage.{direction}_tokens"]
        assert {attributes["gen_ai.token.modality"]: value for attributes, value in found} == expected


def test_only_openai_has_a_service_tier_and_a_port_needs_its_address():
    request = ModelRequest("text_completion", "anthropic", server_port=443)
    bare = {"gen_ai.operation.name": "text_completion", "gen_ai.provider.name": "anthropic"}
    same(
        output_of(PricedCall(called(ModelResponse(service_tier="priority"), request), None)),
        {
            "langchain.inference.requests": [(bare, 1)],
            "gen_ai.client.inference.duration": [(bare, (1, 1.5))],
        },
    )


def test_attribution_is_on_every_metric_of_the_call():
    request = REQUEST._replace(metric_attribution=(("tenant", "acme"), ("feature", "search")))
    output = output_of(
        PricedCall(called(request=request, cache=CacheLookup("miss", "in_memory", 0.25)), COST),
        PricedCall(called(request=request, cache=CacheLookup("hit", "in_memory", 0.25, USAGE)), None, COST),
    )
    tags = {"langchain.attribution.tenant": "acme", "langchain.attribution.feature": "search"}
    assert {name for name, found in output.items() if not tags.items() <= found[0][0].items()} == {
        "langchain.cache.lookup.duration"
    }


def test_attribution_keeps_otherwise_equal_calls_and_look_ups_apart():
    output = output_of(
        *(
            PricedCall(
                called(request=REQUEST._replace(metric_attribution=(("tenant", tenant),)), cache=CacheLookup("miss")),
                COST,
            )
            for tenant in ("acme", "acme", "other")
        )
    )
    for name in ("langchain.inference.requests", "langchain.cache.requests"):
        assert {attributes["langchain.attribution.tenant"]: value for attributes, value in output[name]} == {
            "acme": 2,
            "other": 1,
        }


def test_a_hit_counts_for_the_cache_and_never_as_inference():
    lookup = CacheLookup("hit", "in_memory", 0.25, USAGE)
    same(
        output_of(PricedCall(called(cache=lookup, time_to_first_chunk=0.1), Cost("cached", CostParts()), COST)),
        {
            "langchain.cache.requests": [(CACHE | {"langchain.cache.status": "hit"}, 1)],
            "langchain.cache.lookup.duration": [
                ({"langchain.cache.status": "hit", "langchain.cache.type": "in_memory"}, (1, 0.25))
            ],
            "langchain.cache.saved.input_tokens": [(CACHE, 1_200)],
            "langchain.cache.saved.output_tokens": [(CACHE, 300)],
            "langchain.cache.saved.cost": [(CACHE, 1.08e-5)],
        },
    )


def test_a_hit_without_stored_usage_saves_nothing_that_is_known():
    lookup = CacheLookup("hit")
    without_type = {name: value for name, value in CACHE.items() if name != "langchain.cache.type"}
    same(
        output_of(PricedCall(called(cache=lookup), None, Cost("unpriced", reason="no_usage"))),
        {"langchain.cache.requests": [(without_type | {"langchain.cache.status": "hit"}, 1)]},
    )


@pytest.mark.parametrize("status", ["miss", "error", "bypass"])
def test_ruling_8_other_look_ups_are_ordinary_calls_with_their_status(status):
    lookup = CacheLookup(status, "in_memory", None if status == "bypass" else 0.25)
    expected = SUCCESS | {"langchain.cache.requests": [(CACHE | {"langchain.cache.status": status}, 1)]}
    if status != "bypass":
        expected["langchain.cache.lost.time"] = [(CACHE, 0.25)]
        times = ({"langchain.cache.status": status, "langchain.cache.type": "in_memory"}, (1, 0.25))
        expected["langchain.cache.lookup.duration"] = [times]
    same(output_of(PricedCall(called(cache=lookup), COST)), expected)


def test_unpriced_calls_are_counted_with_their_reason_and_add_no_money():
    known = PricedCall(called(), Cost("unpriced", reason="unknown_model"))
    unknown = PricedCall(called(RESPONSE._replace(usage=ReportedUsage())), Cost("unpriced", reason="no_usage"))
    output = output_of(known, unknown, operation_cost=True)
    reason = "langchain.usage.unpriced.reason"
    same(
        {name: output[name] for name in output if "unpriced" in name or "cost" in name},
        {
            "langchain.usage.unpriced.requests": [(M | {reason: "unknown_model"}, 1), (M | {reason: "no_usage"}, 1)],
            "langchain.usage.unpriced.tokens": [(M | {reason: "unknown_model"}, 1_500)],
        },
    )


@pytest.mark.parametrize("status", ["reported", "partial", "estimated", "allocated"])
def test_money_that_was_spent_is_counted_under_its_status(status):
    cost = Cost(status, CostParts(output=2_000_000, other=10**12))
    output = output_of(PricedCall(called(), cost))
    same({"langchain.usage.cost": output["langchain.usage.cost"]}, spent(status, output=2e-6, other=1.0))


def test_a_free_call_is_not_an_unpriced_one():
    output = output_of(PricedCall(called(), Cost("priced", CostParts())))
    same({"langchain.usage.cost": output["langchain.usage.cost"]}, spent(input=0.0))
    assert "langchain.usage.unpriced.requests" not in output


def test_without_a_cost_no_money_is_counted_and_nothing_is_unpriced():
    output = output_of(PricedCall(called(RESPONSE._replace(usage=ReportedUsage(), usage_counted_elsewhere=True)), None))
    assert set(output) == {"langchain.inference.requests", "gen_ai.client.inference.duration"}


def test_ruling_6_saving_and_premium_of_the_prompt_cache_are_two_counters_that_never_fall():
    reader = InMemoryMetricReader()
    sink = metrics_for(provider_with(reader), Settings())
    seen = []
    for saved, premium in ((10**12, 0), (0, 3 * 10**12), (10**12, 0)):
        cost = COST._replace(prompt_cache_saved=saved, prompt_cache_premium=premium)
        sink.record(PricedCall(called(), cost), None)
        output = exported(reader)
        seen.append(
            tuple(output.get(f"langchain.prompt_cache.{name}.cost", [(M, 0)])[0][1] for name in ("saved", "premium"))
        )
    assert seen == [(1.0, 0), (1.0, 3.0), (2.0, 3.0)]


def test_ruling_11_a_million_calls_of_one_picodollar_are_exact_in_the_export():
    reader = InMemoryMetricReader()
    sink = metrics_for(
        provider_with(reader, views=[View(instrument_type=Histogram, aggregation=DropAggregation())]), Settings()
    )
    cost = Cost("priced", CostParts(input=1))
    sink.record(PricedCall(called(), cost), None)
    totals = sink._instruments.totals
    cell = totals.cell(semconv.COST, spent(input=0)["langchain.usage.cost"][0][0])
    for _ in range(10**6 - 1):
        totals.add([(cell, 1)])
    same({"langchain.usage.cost": exported(reader)["langchain.usage.cost"]}, spent(input=1e-6))


def test_swallowed_exceptions_are_exported_by_stage():
    reader = InMemoryMetricReader()
    metrics_for(provider_with(reader), Settings())
    boundary.reset_counts()
    boundary.set_strict(False)
    for stage in ("extract", "extract", "span"):
        boundary.swallow(stage, ValueError())
    stage = "langchain.instrumentation.stage"
    same(
        exported(reader),
        {"langchain.instrumentation.errors": [({stage: "extract"}, 2), ({stage: "span"}, 1)]},
    )
    boundary.reset_counts()


def test_histograms_get_the_span_of_the_call_as_exemplar():
    reader = InMemoryMetricReader()
    sink = metrics_for(provider_with(reader), Settings())
    span = TracerProvider(shutdown_on_exit=False).get_tracer("test").start_span("chat")
    sink.record(PricedCall(called(), COST), set_span_in_context(span, Context()))
    (point,) = points(reader)["gen_ai.client.inference.duration"]
    assert [exemplar.span_id for exemplar in point.exemplars] == [span.get_span_context().span_id]


def test_ruling_1_a_thousand_sinks_share_and_settings_decide_only_what_is_recorded():
    reader = InMemoryMetricReader()
    provider = provider_with(reader)
    sinks = [metrics_for(provider, Settings(legacy_metrics=number % 2 == 1)) for number in range(1_000)]
    for sink in sinks:
        sink.record(PricedCall(called(), COST), None)
    output = exported(reader)
    assert output["langchain.inference.requests"] == [(M, 1_000)]
    assert output["gen_ai.client.inference.duration"] == [(M, (1_000, 1_500.0))]
    assert output["gen_ai.client.operation.duration"] == [(M, (500, 750.0))]


def test_ruling_1_switching_off_and_on_again_keeps_the_totals():
    reader = InMemoryMetricReader()
    provider = provider_with(reader)
    for cycle in range(1, 4):
        sink = metrics_for(provider, Settings())
        sink.record(PricedCall(called(), COST), None)
        del sink
        gc.collect()
        assert exported(reader)["langchain.inference.requests"] == [(M, cycle)]


def test_ruling_1_two_readers_see_the_same_totals():
    first, second = InMemoryMetricReader(), InMemoryMetricReader()
    sink = metrics_for(provider_with(first, second), Settings())
    for _ in range(3):
        sink.record(PricedCall(called(), COST), None)
        assert exported(first) == exported(second)
    assert exported(second)["langchain.inference.requests"] == [(M, 3)]


def test_ruling_1_a_provider_and_its_totals_can_be_collected():
    provider = provider_with(InMemoryMetricReader())
    sink = metrics_for(provider, Settings())
    sink.record(PricedCall(called(), COST), None)
    gone = [weakref.ref(provider), weakref.ref(sink._instruments)]
    del provider, sink
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_ruling_5_readers_disagree_on_start_times_and_agree_on_totals():
    early, late = InMemoryMetricReader(), InMemoryMetricReader()
    sink = metrics_for(provider_with(early, late), Settings())
    sink.record(PricedCall(called(), COST), None)
    points(early)
    sink.record(PricedCall(called(), COST), None)
    (one,), (other,) = (points(reader)["langchain.inference.requests"] for reader in (early, late))
    assert one.start_time_unix_nano != other.start_time_unix_nano
    assert one.value == other.value == 2


def test_eight_threads_of_calls_are_counted_exactly():
    reader = InMemoryMetricReader()
    views = [View(instrument_type=Histogram, aggregation=DropAggregation())]
    sink = metrics_for(provider_with(reader, views=views), Settings())
    abandoned = Failure("abandoned", "GeneratorExit", partial=RESPONSE)  # all counters, one histogram: quick
    calls = [
        PricedCall(
            called(abandoned, request=REQUEST._replace(model=f"model-{number}"), cache=CacheLookup("miss")), COST
        )
        for number in range(7)
    ]

    def work():
        for number in range(5_000):
            sink.record(calls[number % 7], None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        reader.collect()
        thread.join()
    output = exported(reader)
    sums = {name: sum(value for _, value in found) for name, found in output.items()}
    assert sums.pop("langchain.usage.cost") == pytest.approx(40_000 * 1.08e-5, rel=1e-12)
    assert sums.pop("langchain.prompt_cache.saved.cost") == pytest.approx(40_000 * 7.2e-6, rel=1e-12)
    assert sums.pop("langchain.prompt_cache.premium.cost") == pytest.approx(40_000 * 2.5e-7, rel=1e-12)
    assert sums == {
        "langchain.inference.requests": 40_000,
        "langchain.cache.requests": 40_000,
        "gen_ai.client.inference.usage.input_tokens": 40_000 * 1_200,
        "gen_ai.client.inference.usage.output_tokens": 40_000 * 300,
        "gen_ai.client.inference.usage.cache_read.input_tokens": 40_000 * 800,
        "gen_ai.client.inference.usage.cache_write.input_tokens": 40_000 * 100,
        "gen_ai.client.inference.usage.reasoning.output_tokens": 40_000 * 50,
    }


def test_ruling_4_never_more_than_1500_sets_of_anything_and_exact_totals():
    reader = InMemoryMetricReader()
    sink = metrics_for(provider_with(reader), Settings())
    for number in range(2_500):
        tags = (("tenant", f"tenant-{number}"),)
        request = REQUEST._replace(model=f"model-{number % 10}", attribution=tags)
        sink.record(PricedCall(called(request=request, cache=CacheLookup("miss", "sqlite", 0.5)), COST), None)
    output = exported(reader)
    assert max(len(found) for found in output.values()) <= 1_500
    requests = output["langchain.inference.requests"]
    assert sum(value for _, value in requests) == 2_500
    by_model = {}
    for attributes, value in requests:
        by_model[attributes["gen_ai.request.model"]] = by_model.get(attributes["gen_ai.request.model"], 0) + value
    assert by_model == {f"model-{number}": 250 for number in range(10)}
    cost = sum(value for _, value in output["langchain.usage.cost"])
    assert cost == pytest.approx(2_500 * 1.08e-5, rel=1e-12)
    assert sum(value[0] for _, value in output["gen_ai.client.inference.duration"]) == 2_500
    kinds = len(sink._instruments.calls._by_kind), len(sink._instruments.calls._by_set)
    assert max(kinds) <= 1_500, "what is remembered about kinds of calls must be bounded too"


def test_delta_temporality_and_views_that_filter_attributes_give_the_same_sums():
    plain = InMemoryMetricReader()
    delta = InMemoryMetricReader(preferred_temporality={ObservableCounter: AggregationTemporality.DELTA})
    narrow = InMemoryMetricReader()
    full = provider_with(plain, delta)
    filtered = provider_with(narrow, views=[View(instrument_name="*", attribute_keys={"gen_ai.provider.name"})])
    sinks = [metrics_for(full, Settings()), metrics_for(filtered, Settings())]
    deltas = {}
    for number in range(6):
        request = REQUEST._replace(model=f"model-{number % 3}")
        for sink in sinks:
            sink.record(PricedCall(called(request=request), COST), None)
        for name, found in exported(delta).items():
            if name not in SUCCESS_HISTOGRAMS:
                deltas[name] = deltas.get(name, 0) + sum(value for _, value in found)
    totals = {
        name: sum(value for _, value in found)
        for name, found in exported(plain).items()
        if name not in SUCCESS_HISTOGRAMS
    }
    assert set(totals) == set(SUCCESS_TOTALS) | {"langchain.usage.cost"}
    assert deltas == pytest.approx(totals, rel=1e-12)
    one = {name: found for name, found in exported(narrow).items() if name in totals}
    assert {name: attributes for name, ((attributes, _),) in one.items()} == {
        name: {"gen_ai.provider.name": "openai"} for name in totals
    }
    assert {name: value for name, ((_, value),) in one.items()} == pytest.approx(totals, rel=1e-12)


# -- what needs a process of its own: the global provider can be set once, and forks -----------------------------------

PREAMBLE = """
import json, logging, os, sys
from opentelemetry import metrics
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.metrics import MeterProvider, ObservableCounter
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from langmeter import boundary
from langmeter.events import Cost, CostParts, ModelCall, ModelRequest, ModelResponse, PricedCall, ReportedUsage, TokenUsage
from langmeter.pricing.catalog import freshness
from langmeter.settings import Settings
from langmeter.telemetry.metrics import metrics_for
from langmeter.telemetry.step_metrics import step_metrics_for

DELTA = {ObservableCounter: AggregationTemporality.DELTA}

def call(sink, model="a", times=1):
    usage = ReportedUsage(TokenUsage(10, 0))
    request = ModelRequest("chat", "openai", model)
    for _ in range(times):
        sink.record(PricedCall(ModelCall(request, ModelResponse(usage), 0, 1.0), Cost("priced", CostParts(10**12))), None)

def read(reader, name="langchain.inference.requests"):
    data = reader.get_metrics_data()
    found = [] if data is None else [m for m in data.resource_metrics[0].scope_metrics[0].metrics if m.name == name]
    return {p.attributes.get("gen_ai.request.model", "all"): p.value for m in found for p in m.data.data_points}

def provider_with(*readers, views=()):
    return MeterProvider(readers, resource=Resource.create({}), shutdown_on_exit=False, views=views)

def in_child(work):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, json.dumps(work()).encode())
        os._exit(0)
    os.wait()
    return json.loads(os.read(reading, 65536))

def show(*values):
    print(json.dumps(values))
"""


def run(script):
    """What a fresh interpreter shows, and its log."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PREAMBLE + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_ruling_1_instruments_of_the_proxy_bind_later_and_keep_their_totals():
    script = """
        before = metrics_for(None, Settings())
        call(before, times=2)
        reader = InMemoryMetricReader()
        metrics.set_meter_provider(provider_with(reader))
        first = read(reader)
        call(before)
        after = metrics_for(None, Settings())
        explicit = metrics_for(metrics.get_meter_provider(), Settings())
        call(after), call(explicit)
        show(first, read(reader), read(reader, "langchain.usage.cost"))
    """
    assert run(script) == ([{"a": 2}, {"a": 5}, {"a": 5.0}], "")


def test_ruling_1_a_provider_that_becomes_global_after_it_got_instruments_speaks_for_the_proxy_too():
    script = """
        unbound = metrics_for(None, Settings())
        reader = InMemoryMetricReader()
        provider = provider_with(reader)
        explicit = metrics_for(provider, Settings())
        call(unbound, times=2), call(explicit, times=3), call(unbound, "b")
        apart = read(reader)
        metrics.set_meter_provider(provider)
        together = read(reader)
        call(unbound), call(explicit), call(metrics_for(None, Settings()))
        show(apart, together, read(reader))
    """
    assert run(script) == ([{"a": 3}, {"a": 5, "b": 1}, {"a": 8, "b": 1}], "")


def test_ruling_3_cumulative_totals_start_afresh_in_a_forked_child():
    script = """
        reader = InMemoryMetricReader()
        sink = metrics_for(provider_with(reader), Settings())
        boundary.swallow("span", ValueError())
        call(sink, times=100), call(sink, "b", 7)
        read(reader)
        call(sink, times=10)
        def child():
            nothing = read(reader), read(reader, "langchain.instrumentation.errors")
            call(sink, times=5)
            boundary.swallow("span", ValueError())
            return *nothing, read(reader), read(reader, "langchain.instrumentation.errors")
        seen = in_child(child)
        call(sink)
        show(seen, read(reader), read(reader, "langchain.instrumentation.errors"))
    """
    shown, log = run(script)
    assert shown == [[{}, {}, {"a": 5}, {"all": 1}], {"a": 111, "b": 7}, {"all": 1}]
    assert log.count("before this process was forked") == 1


def test_ruling_3_deltas_after_a_fork_are_neither_negative_nor_repeated():
    script = """
        reader = InMemoryMetricReader(preferred_temporality=DELTA)
        sink = metrics_for(provider_with(reader), Settings())
        call(sink, times=100), call(sink, "b", 7)
        read(reader)
        call(sink, times=10), call(sink, "c", 3)
        def child():
            first = read(reader)
            call(sink, times=5), call(sink, "c")
            return first, read(reader), read(reader)
        seen = in_child(child)
        call(sink)
        show(seen, read(reader))
    """
    child = [{"a": 0, "b": 0}, {"a": 5, "b": 0, "c": 1}, {"a": 0, "b": 0, "c": 0}]
    assert run(script)[0] == [child, {"a": 11, "b": 0, "c": 3}]


def test_ruling_3_deltas_of_swallowed_exceptions_after_a_fork_are_right_too():
    script = """
        reader = InMemoryMetricReader(preferred_temporality=DELTA)
        sink = metrics_for(provider_with(reader), Settings())
        errors = "langchain.instrumentation.errors"
        boundary.swallow("span", ValueError()), boundary.swallow("span", ValueError())
        seen = read(reader, errors)
        boundary.swallow("span", ValueError())
        def child():
            boundary.swallow("span", ValueError())
            return read(reader, errors), read(reader, errors)
        show(seen, in_child(child), read(reader, errors))
    """
    assert run(script)[0] == [{"all": 2}, [{"all": 1}, {"all": 0}], {"all": 1}]


def test_ruling_3_deltas_through_a_view_that_joins_sets_stay_right_after_a_fork():
    script = """
        reader = InMemoryMetricReader(preferred_temporality=DELTA)
        views = [View(instrument_name="*", attribute_keys={"gen_ai.provider.name"})]
        sink = metrics_for(provider_with(reader, views=views), Settings())
        call(sink, times=100), call(sink, "b", 7)
        read(reader)
        call(sink, times=10)
        def child():
            call(sink, times=5)
            return read(reader), read(reader)
        show(in_child(child), read(reader))
    """
    assert run(script)[0] == [[{"all": 5}, {"all": 0}], {"all": 10}]


def test_ruling_3_a_provider_that_does_not_show_its_readers_is_treated_as_delta_over_generations():
    script = """
        class Opaque(metrics.MeterProvider):
            def __init__(self, provider):
                self.hidden = provider
            def get_meter(self, name, version=None, schema_url=None, attributes=None):
                return self.hidden.get_meter(name, version, schema_url, attributes)
        reader = InMemoryMetricReader(preferred_temporality=DELTA)
        provider = Opaque(provider_with(reader))
        sink = metrics_for(provider, Settings())
        call(sink, times=100)
        read(reader)
        def grandchild():
            call(sink, times=2)
            return read(reader)
        def child():
            call(sink, times=5)
            return read(reader), in_child(grandchild)
        show(in_child(child))
    """
    assert run(script)[0] == [[{"a": 5}, {"a": 2}]]


def test_ruling_3_after_a_fork_of_the_proxy_the_child_binds_and_counts_its_own():
    script = """
        sink = metrics_for(None, Settings())
        call(sink, times=3)
        reader = InMemoryMetricReader()
        def child():
            metrics.set_meter_provider(provider_with(reader))
            nothing = read(reader)
            call(sink, times=2)
            return nothing, read(reader)
        show(in_child(child))
    """
    assert run(script)[0] == [[{}, {"a": 2}]]


def test_nothing_is_logged_about_a_fork_when_no_call_was_made_before_it():
    script = """
        reader = InMemoryMetricReader()
        sink = metrics_for(provider_with(reader), Settings())
        def child():
            call(sink)
            return read(reader)
        show(in_child(child))
    """
    assert run(script) == ([{"a": 1}], "")
