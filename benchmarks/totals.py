"""What counting costs: the totals of one call, a whole `Metrics.record`, and a collection of 1,000 attribute sets.

Processor time of interleaved rounds in one process: the median, and the best, which other programs disturb least.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from opentelemetry.context import Context
from opentelemetry.metrics import NoOpMeterProvider, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langmeter.events import (
    Cost,
    CostParts,
    ModelCall,
    ModelRequest,
    ModelResponse,
    PricedCall,
    ReportedUsage,
    TokenUsage,
)
from langmeter.semconv import REQUESTS
from langmeter.settings import Settings
from langmeter.telemetry.increments import of_call
from langmeter.telemetry.instruments import instruments_for
from langmeter.telemetry.metrics import metrics_for

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 2_000
ROUNDS = 15
SETS = 1_000
COLLECTION_TARGET = 20.0  # milliseconds


def call(model: str = "gpt-5-mini", *, streamed: bool = False) -> PricedCall:
    usage = TokenUsage(1_200, 300, cache_read=800, cache_write=100, reasoning=50)
    cost = Cost("priced", CostParts(3_000, 800, 1_000, 6_000), prompt_cache_saved=7_200, prompt_cache_premium=250)
    return PricedCall(
        ModelCall(
            ModelRequest("chat", "openai", model, "api.openai.com", 443),
            ModelResponse(ReportedUsage(usage), f"{model}-2026-08-01", service_tier="default"),
            0,
            1.5,
            time_to_first_chunk=0.2 if streamed else None,
            streamed=streamed,
        ),
        cost,
    )


def points(reader: InMemoryMetricReader) -> int:
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    return sum(len(metric.data.data_points) for metric in metrics)


def microseconds(work: Callable[[], object]) -> float:
    started = time.thread_time_ns()
    for _ in range(CALLS):
        work()
    return (time.thread_time_ns() - started) / CALLS / 1_000


def cases() -> dict[str, Callable[[], object]]:
    settings = Settings()
    provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    sink, silent = metrics_for(provider, settings), metrics_for(NoOpMeterProvider(), settings)
    shared = instruments_for(provider, settings.max_attribute_sets)
    priced, streamed, context = call(), call(streamed=True), Context()
    sink.record(priced, context)
    series = next(iter(shared.calls._by_kind.values()))
    usage, cost = priced.call.usage, priced.cost
    increments = of_call(series.cells, usage, cost)
    counters = [provider.get_meter("floor").create_counter(f"counter_{number}") for number in range(len(increments))]
    attributes = series.attributes

    def synchronous() -> None:
        for counter, (_, amount) in zip(counters, increments, strict=True):
            counter.add(amount, attributes, context)

    count = len(increments)
    return {
        f"{count} synchronous SDK counters (what totals replace)": synchronous,
        f"{count} totals: addition alone": lambda: shared.totals.add(increments),
        f"{count} totals: which ones and how much, then addition": lambda: shared.totals.add(
            of_call(series.cells, usage, cost)
        ),
        "Metrics.record without histograms (API's no-op provider)": lambda: silent.record(priced, context),
        "Metrics.record, 4 histograms": lambda: sink.record(priced, context),
        "Metrics.record, stream, 6 histograms": lambda: sink.record(streamed, context),
    }


def collection_times(reader: InMemoryMetricReader) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.thread_time()
        reader.collect()
        times.append((time.thread_time() - started) * 1_000)
    return min(times)


def collections() -> tuple[float, float]:
    """Milliseconds of collecting one counter of 1,000 sets, and of the SDK alone given 1,000 ready observations."""
    sets = [
        {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": f"model-{number}"}
        for number in range(SETS)
    ]
    reader, floor = InMemoryMetricReader(), InMemoryMetricReader()
    provider, bare = (MeterProvider([each], shutdown_on_exit=False) for each in (reader, floor))
    totals = instruments_for(provider, 1_500).totals
    totals.add([(totals.cell(REQUESTS, attributes), 1) for attributes in sets])
    ready = [Observation(1, attributes) for attributes in sets]
    bare.get_meter("floor").create_observable_counter("ready", [lambda _: ready])
    assert points(reader) == points(floor) == SETS
    return collection_times(reader), collection_times(floor)


def main() -> None:
    work = cases()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, function in work.items():
            times[name].append(microseconds(function))
    print(f"{'one call':<62}{'median µs':>10}{'best µs':>10}")
    for name, values in times.items():
        print(f"{name:<62}{statistics.median(values):>10.2f}{min(values):>10.2f}")
    ours, floor = collections()
    print(
        f"\ncollecting {SETS:,} attribute sets: {ours:.1f} ms (target {COLLECTION_TARGET:.0f}), SDK alone {floor:.1f} ms"
    )


if __name__ == "__main__":
    main()
