"""What a hit was worth in time: against the original call where this process made it, else against its model's means."""

from __future__ import annotations

import pytest
from cache_models import Chat, SyncOnly, usage_of
from langchain_core.caches import InMemoryCache

from langmeter import semconv

SLOW = 0.2


class Slow(SyncOnly):
    """A cache whose look-ups take longer than the model."""

    def lookup(self, prompt, llm_string):
        import time

        time.sleep(SLOW)
        return super().lookup(prompt, llm_string)


def seconds(telemetry, metric):
    return sum(value for _, value in telemetry.metrics().get(metric.name, ()))


def lookup_times(telemetry, status):
    name = semconv.CACHE_LOOKUP_DURATION.name
    return sum(
        point.sum for attributes, point in telemetry.metrics()[name] if attributes[semconv.CACHE_STATUS] == status
    )


def duration(span):
    return (span.end_time - span.start_time) / 1e9


def test_a_hit_saves_the_time_of_its_original_less_the_look_up(instrumented):
    model = Chat(cache=InMemoryCache(), delay=0.05)
    model.invoke("a")
    model.invoke("b")
    model.invoke("a")

    first, _, hit = instrumented.spans()
    saved = hit.attributes[semconv.CACHE_TIME_SAVED]
    assert hit.attributes[semconv.CACHE_TIME_SAVED_FROM] == "original"
    assert saved == pytest.approx(duration(first) - lookup_times(instrumented, "hit"), abs=1e-6)
    assert seconds(instrumented, semconv.CACHE_SAVED_TIME) == pytest.approx(saved, abs=1e-9)
    assert seconds(instrumented, semconv.CACHE_LOST_TIME) == pytest.approx(lookup_times(instrumented, "miss"), abs=1e-8)


def test_an_answer_of_another_process_is_compared_with_the_means_of_its_model(telemetry, instrument):
    cache = InMemoryCache()
    Chat(cache=cache).invoke("a")  # before anybody watched, as if by another process
    instrument(telemetry)
    model = Chat(cache=cache, delay=0.05)
    model.invoke("b")
    model.invoke("a")

    other, hit = telemetry.spans()
    share = usage_of("a")["output_tokens"] / usage_of("b")["output_tokens"]
    expected = duration(other) * share - lookup_times(telemetry, "hit")
    assert hit.attributes[semconv.CACHE_TIME_SAVED] == pytest.approx(expected, abs=1e-6)
    assert hit.attributes[semconv.CACHE_TIME_SAVED_FROM] == "model"


def test_without_any_experience_no_time_is_claimed(telemetry, instrument):
    cache = InMemoryCache()
    Chat(cache=cache).invoke("a")
    instrument(telemetry)
    Chat(cache=cache).invoke("a")

    (hit,) = telemetry.spans()
    assert semconv.CACHE_TIME_SAVED not in hit.attributes
    assert seconds(telemetry, semconv.CACHE_SAVED_TIME) == 0


def test_a_hit_slower_than_the_call_loses_time(telemetry, instrument):
    cache = Slow()
    fast = InMemoryCache()
    instrument(telemetry)
    Chat(cache=fast).invoke("b")  # teaches how quick the model is
    cache.update(*next(iter(fast._cache)), next(iter(fast._cache.values())))
    Chat(cache=cache).invoke("b")

    hit = telemetry.spans()[-1]
    assert hit.attributes[semconv.CACHE_STATUS] == "hit"
    saved = hit.attributes[semconv.CACHE_TIME_SAVED]
    assert saved < 0
    assert seconds(telemetry, semconv.CACHE_SAVED_TIME) == 0
    lost = lookup_times(telemetry, "miss") - saved
    assert seconds(telemetry, semconv.CACHE_LOST_TIME) == pytest.approx(lost, abs=1e-8)
