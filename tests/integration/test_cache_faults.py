"""Faults that a cache keeps to itself: a server that is gone, an entry that cannot be loaded."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest
from cache_models import Chat, SyncOnly, Text
from langchain_core.caches import InMemoryCache
from langchain_core.outputs import Generation

import langmeter
from langmeter import semconv

BLOB = '{"lc": 1, "type": "constructor", "id": ["my", "Message"], "kwargs": {}}'


class Answers(SyncOnly):
    """Finds the same text for every prompt."""

    def __init__(self, text):
        super().__init__()
        self.text = text

    def lookup(self, prompt, llm_string):
        return [Generation(text=self.text)]


def call(model, way):
    return model.invoke("a") if way == "invoke" else asyncio.run(model.ainvoke("a"))


def counted(telemetry, metric):
    return [(attributes, value) for attributes, value in telemetry.metrics().get(metric.name, ()) if value]


@pytest.fixture
def nobody():
    """A port of this machine where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("kind", [Chat, Text])
def test_an_outage_that_the_cache_only_logs_is_an_error_and_the_call_is_billed(instrumented, nobody, kind, way):
    redis = pytest.importorskip("redis", reason="redis is in the extra `redis`")
    community = pytest.importorskip("langchain_community.cache", reason="langchain-community is not installed")
    cache = community.RedisCache(redis.Redis(port=nobody))
    with langmeter.track() as usage:
        call(kind(cache=cache), way)

    (span,) = instrumented.spans()
    assert span.attributes[semconv.CACHE_STATUS] == "error"
    assert span.attributes[semconv.CACHE_LOOKUP_ERROR] == "redis.exceptions.ConnectionError"
    assert semconv.ERROR_TYPE not in span.attributes  # the call itself went well
    ((attributes, count),) = counted(instrumented, semconv.CACHE_REQUESTS)
    assert (attributes[semconv.CACHE_STATUS], attributes[semconv.ERROR_TYPE], count) == (
        "error",
        "redis.exceptions.ConnectionError",
        1,
    )
    assert (usage.calls, usage.cache_errors, usage.errors) == (1, 1, 0)
    assert usage.cost_usd > 0


def test_the_failed_model_call_after_a_quiet_outage_is_not_free(instrumented, nobody):
    """The provider was asked: only a cache that raises keeps a call from being made."""
    redis = pytest.importorskip("redis", reason="redis is in the extra `redis`")
    community = pytest.importorskip("langchain_community.cache", reason="langchain-community is not installed")
    with langmeter.track() as usage, pytest.raises(TimeoutError):
        Late(cache=community.RedisCache(redis.Redis(port=nobody))).invoke("a")
    assert (usage.calls, usage.errors, usage.cache_errors) == (1, 1, 1)
    assert usage.estimated_calls + usage.unpriced_calls == 1


class Late(Chat):
    """A model that takes too long."""

    def _generate(self, *args, **kwargs):
        raise TimeoutError


def test_the_log_is_left_as_it_was(telemetry, instrument, nobody, caplog):
    redis = pytest.importorskip("redis", reason="redis is in the extra `redis`")
    community = pytest.importorskip("langchain_community.cache", reason="langchain-community is not installed")
    before = list(community.logger.filters)
    instrument(telemetry)
    Chat(cache=community.RedisCache(redis.Redis(port=nobody))).invoke("a")
    assert [record.levelname for record in caplog.records if record.name == community.logger.name] == ["ERROR"] * 2
    langmeter.uninstrument()
    assert community.logger.filters == before


class Complaining(SyncOnly):
    """Says that it is slow, as an error, whatever happens; and that a server is gone, if it is."""

    gone = False

    def lookup(self, prompt, llm_string):
        try:
            if self.gone:
                raise ConnectionError
        except ConnectionError:
            self._say()
            return None
        self._say()
        return super().lookup(prompt, llm_string)

    def _say(self):
        logging.getLogger(__name__).error("not as it should be")


@pytest.mark.parametrize(("gone", "status", "error"), [(False, "miss", None), (True, "error", "ConnectionError")])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_what_the_application_handles_around_the_call_is_no_failure_of_the_cache(
    instrumented, way, gone, status, error
):
    """An application that falls back to another model calls it while it handles the error of the first."""
    cache = Complaining()
    cache.gone = gone
    try:
        raise KeyError("the first model is gone")
    except KeyError:
        call(Chat(cache=cache), way)

    (span,) = instrumented.spans()
    assert (span.attributes[semconv.CACHE_STATUS], span.attributes.get(semconv.CACHE_LOOKUP_ERROR)) == (status, error)


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_an_entry_that_could_not_be_loaded_is_a_hit_that_says_so(instrumented, way):
    """langchain-community's SQLAlchemy and Redis caches hand out the stored text then."""
    assert call(Chat(cache=Answers(BLOB)), way).content == BLOB
    (hit,) = instrumented.spans()
    assert (hit.attributes[semconv.CACHE_STATUS], hit.attributes[semconv.CACHE_UNREADABLE]) == ("hit", True)
    ((_, count),) = counted(instrumented, semconv.CACHE_UNREADABLE_ENTRIES)
    assert count == 1
    assert counted(instrumented, semconv.CACHE_SAVED_COST) == []


def test_a_text_that_is_json_and_a_message_that_quotes_an_entry_are_no_faults(instrumented):
    Chat(cache=Answers('{"lc": "yes", "type": 1}')).invoke("a")
    shared = InMemoryCache()
    Quoting(cache=shared).invoke("a")
    Quoting(cache=shared).invoke("a")
    spans = instrumented.spans()
    assert [span.attributes[semconv.CACHE_STATUS] for span in spans] == ["hit", "miss", "hit"]
    assert not any(semconv.CACHE_UNREADABLE in span.attributes for span in spans)


class Quoting(Chat):
    """A model that answers with the text of an entry."""

    def _generate(self, *args, **kwargs):
        result = super()._generate(*args, **kwargs)
        result.generations[0].message.content = BLOB
        return result
