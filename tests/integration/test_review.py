"""Defects that a review found, each by the way it was reproduced."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import pytest
from cache_models import Chat as CachedChat
from langchain_core.caches import InMemoryCache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatResult

import langmeter

USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
FIRST_CALLS = """
import sys, time, langmeter
from langchain_core.language_models import FakeListChatModel
class Slow(FakeListChatModel):
    def _call(self, *args, **kwargs):
        time.sleep(0.3)
        return "yes"
langmeter.instrument()
Slow(responses=["yes"]).batch(["a", "b", "c", "d"])
"""


class Plain(BaseChatModel):
    inner: object = None
    pause: float = 0.0

    @property
    def _llm_type(self):
        return "plain"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": "gpt-4o", "ls_model_type": "chat"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        time.sleep(self.pause)
        message = self.inner.invoke(messages) if self.inner else AIMessage("yes", usage_metadata=dict(USAGE))
        return ChatResult(generations=[ChatGeneration(message=message)])


def test_every_one_of_the_first_calls_has_a_span():
    """Calls that begin while the providers are being set up end before and after they are there."""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST_CALLS],
        env={"PATH": "", "OTEL_TRACES_EXPORTER": "console", "OTEL_METRICS_EXPORTER": "none"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert finished.stdout.count('"name": "chat') == 4
    assert "ended span" not in finished.stderr


def test_a_handler_alone_bills_the_call_whose_answer_a_hit_has_marked_meanwhile(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    CachedChat(cache=InMemoryCache()).generate([[HumanMessage("a")], [HumanMessage("a")]], callbacks=[handler])
    statuses = [span.attributes.get("langchain.usage.cost.status") for span in telemetry.spans()]
    assert sorted(statuses) == ["cached", "priced"]


def test_a_passed_handler_does_not_change_the_figures_of_track(telemetry):
    handler = langmeter.CallbackHandler(
        tracer_provider=telemetry.tracer_provider, meter_provider=telemetry.meter_provider
    )
    model = CachedChat(cache=InMemoryCache())
    with langmeter.track() as usage:
        for question in ("q", "q", "z"):
            model.invoke(question, {"callbacks": [handler]})
    assert (usage.calls, usage.cache_hits, usage.cache_misses) == (2, 1, 2)
    assert len(telemetry.spans()) == 3


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_a_cache_whose_look_up_is_no_method_of_its_objects_keeps_working(instrumented, kind):
    answers = {}

    def lookup(*args):
        return answers.get(args[-2:])

    def update(*args):
        answers[args[-3:-1]] = args[-1]

    cache = type("Odd", (), {"lookup": kind(lookup), "update": kind(update)})
    from langchain_core.globals import set_llm_cache

    set_llm_cache(cache())
    model = Plain()
    assert model.invoke("a").content == model.invoke("a").content == "yes"
    assert len(instrumented.spans()) == 2


def test_a_property_of_the_users_model_is_not_run(instrumented):
    class Curious(Plain):
        @property
        def client(self):
            raise AssertionError("building a client is the model's own business")

        @property
        def base_url(self):
            raise AssertionError("so is this")

    assert Curious().invoke("a").content == "yes"
    assert "server.address" not in instrumented.spans()[0].attributes


def test_a_model_that_hands_on_the_answer_of_another_is_billed_once(instrumented):
    with langmeter.track() as usage:
        Plain(inner=Plain()).invoke("a")
        asyncio.run(Plain(inner=Plain()).ainvoke("a"))
    assert (usage.calls, usage.input_tokens, usage.unpriced_calls) == (4, 20, 0)


def test_prompts_of_one_generate_are_timed_one_by_one(instrumented):
    Plain(pause=0.1).generate([[HumanMessage(text)] for text in "abc"])
    spans = instrumented.spans()
    seconds = [(span.end_time - span.start_time) / 1e9 for span in spans]
    # Three waits of 0.1 s in a row, not 0.1, 0.2 and 0.3: together they cannot pass what the whole took.
    whole = (max(span.end_time for span in spans) - min(span.start_time for span in spans)) / 1e9
    assert sum(seconds) <= whole


def test_uninstrument_stops_chains_under_way(telemetry, instrument):
    from langchain_core.runnables import RunnableLambda

    instrument(telemetry)

    def body(question):
        langmeter.uninstrument()
        return Plain().invoke(question)

    RunnableLambda(body).invoke("a")
    assert telemetry.spans() == []


def test_a_fork_while_a_block_counts_does_not_hang_the_child():
    code = """
import os, threading, langmeter
from langchain_core.language_models import FakeListChatModel
model = FakeListChatModel(responses=["yes"])
with langmeter.track() as usage:
    model.invoke("a")
    usage._lock.acquire()  # as another thread would hold it that is recording
    child = os.fork()
    if not child:
        model.invoke("b")
        os._exit(0 if usage.calls == 2 else 1)
    usage._lock.release()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    finished = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert finished.stdout.strip() == "0"
