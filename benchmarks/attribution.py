"""What attribution costs: reading it where a run starts, and the block itself.

Processor time of interleaved rounds in one process: the median, and the best, which other programs disturb least.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

from langmeter.attribution_scope import attribution, propagation
from langmeter.langchain.attribution import NOTHING, Attribution
from langmeter.settings import Settings
from langmeter.telemetry.distinct_values import DistinctValues

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 20_000
ROUNDS = 15
KEYS = {"tenant": "acme", "feature": "search", "environment": "prod"}
METADATA = {
    "ls_provider": "openai",
    "ls_model_name": "gpt-5-mini",
    "ls_model_type": "chat",
    "ls_temperature": 1.0,
    "thread_id": "4f1c",
    **KEYS,
}


def microseconds(work: Callable[[], object]) -> float:
    started = time.thread_time_ns()
    for _ in range(CALLS):
        work()
    return (time.thread_time_ns() - started) / CALLS / 1_000


def inside(block: attribution, work: Callable[[], object]) -> Callable[[], float]:
    def measure() -> float:
        with block:
            return microseconds(work)

    return measure


def cases() -> dict[str, Callable[[], float]]:
    plain = Attribution(Settings())
    listed = Attribution(Settings(attribution_keys=tuple(KEYS), metric_attribution_keys=("tenant",)))
    block, values, numbers = attribution(**KEYS), DistinctValues(), iter(range(10**9))
    assert plain.read(METADATA) is NOTHING
    assert dict(listed.read(METADATA).span) == KEYS
    assert listed.read(METADATA).metric == (("tenant", "acme"),)

    def enter() -> None:
        with block:
            pass

    def make_and_read() -> None:
        with attribution(tenant=next(numbers), feature="search"):
            listed.read(None)

    def carry() -> float:
        propagation.on = True
        try:
            return microseconds(enter)
        finally:
            propagation.on = False

    return {
        "read: nothing is attributed": lambda: microseconds(lambda: plain.read(METADATA)),
        "read: three keys of a block": inside(block, lambda: plain.read(METADATA)),
        "read: three keys of metadata, one on metrics": lambda: microseconds(lambda: listed.read(METADATA)),
        "read: three keys of a block and of metadata": inside(block, lambda: listed.read(METADATA)),
        "a new value for metrics once the key is full": lambda: microseconds(
            lambda: values.admitted("tenant", str(next(numbers)), 200)
        ),
        "block: entered and left": lambda: microseconds(enter),
        "block: made, entered, read once, left, a new tenant each time": lambda: microseconds(make_and_read),
        "block: entered and left, with baggage": carry,
    }


def main() -> None:
    work = cases()
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name, measure in work.items():
            times[name].append(measure())
    print(f"{'':<64}{'median µs':>10}{'best µs':>10}")
    for name, measured in times.items():
        print(f"{name:<64}{statistics.median(measured):>10.2f}{min(measured):>10.2f}")


if __name__ == "__main__":
    main()
