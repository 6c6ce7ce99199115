"""What a hit was worth in time: against the original call where this process made it, else against its model's means."""

from __future__ import annotations

import time
from typing import Any

import pytest
from cache_models import Chat, StreamingChat, SyncOnly, usage_of
from langchain_core.caches import InMemoryCache
from langchain_core.outputs import ChatGeneration, ChatResult

from langmeter import semconv
from langmeter.caches import cached_stream

SLOW = 0.2


class Slow(SyncOnly):
    """A cache whose look-ups take longer than the model."""

    def lookup(self, prompt, llm_string):
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
    lookups = [span.attributes[semconv.CACHE_STATUS] for span in instrumented.spans()]
    assert lookups == ["miss", "miss", "hit"]
    # The look-up of the original, which missed, is no part of what the model took; nor are both of them of the second's.
    missed = lookup_times(instrumented, "miss")
    whole = duration(first) - lookup_times(instrumented, "hit")
    assert whole - missed - 1e-6 <= saved <= whole
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
    expected = (duration(other) - lookup_times(telemetry, "miss")) * share - lookup_times(telemetry, "hit")
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


@pytest.mark.parametrize("source", ["original", "model"])
@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_look_up_that_missed_is_no_time_of_the_model(instrumented, way, source):
    """Else a cache slower than its model would seem to save what it costs."""
    cache = Slow()
    model = cached_stream(StreamingChat(cache=cache) if way == "stream" else Chat(cache=cache))
    ask = model.invoke if way == "invoke" else lambda prompt: list(model.stream(prompt))
    ask("a")
    ((prompt, llm_string),) = cache.entries
    cache.entries[prompt.replace('"a"', '"b"'), llm_string] = Chat()._answer("b").generations
    ask("a" if source == "original" else "b")

    first, hit = instrumented.spans()
    share = usage_of("b")["output_tokens"] / usage_of("a")["output_tokens"] if source == "model" else 1
    asked = lookup_times(instrumented, "miss")
    if way == "stream":  # the wait for the first chunk does not grow with the answer
        waited = first.attributes[semconv.RESPONSE_TIME_TO_FIRST_CHUNK]
        model_time = waited - asked + (duration(first) - waited) * share
    else:
        model_time = (duration(first) - asked) * share
    assert hit.attributes[semconv.CACHE_TIME_SAVED_FROM] == source
    saved = hit.attributes[semconv.CACHE_TIME_SAVED]
    assert saved == pytest.approx(model_time - lookup_times(instrumented, "hit"), abs=1e-6)


class Router(Chat):
    """Thinks for a while and hands on what another model answers."""

    model_name: str = "router"
    inner: Any = None

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        time.sleep(SLOW)
        return ChatResult(generations=[ChatGeneration(message=self.inner.invoke(messages))])


def test_a_model_that_hands_on_an_answer_takes_its_own_time_for_it(instrumented):
    inner = Chat(cache=SyncOnly())
    router = Router(inner=inner, cache=InMemoryCache())
    router.invoke("a")
    inner.invoke("a")
    router.invoke("a")

    answered, routed, *hits = instrumented.spans()
    saved = [hit.attributes[semconv.CACHE_TIME_SAVED] for hit in hits]
    assert saved[0] < duration(answered)
    assert duration(routed) - SLOW / 2 < saved[1] < duration(routed)


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
