"""`CacheAdvisor` over real LangChain calls: what caches did, what they were worth, and what one would have done."""

from __future__ import annotations

import asyncio
import itertools
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from cache_models import (
    CHAT_MODEL,
    TEXT_MODEL,
    AsyncChat,
    Chat,
    ProviderError,
    StreamingChat,
    SyncOnly,
    Text,
    collected,
    picodollars,
    usage_of,
)
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult

import langmeter
from langmeter import worker
from langmeter.caches import CacheAdvisor
from langmeter.events import usd
from langmeter.langchain.caching.ghost import chat_hash
from langmeter.langchain.caching.keys import lookup_key
from langmeter.listeners import listeners


def test_the_report_agrees_with_the_bill(instrumented):
    prompts = [f"p{number}" for number in range(10)]
    with CacheAdvisor() as advisor, langmeter.track() as usage:
        model = Chat(cache=InMemoryCache())
        model.batch(prompts)
        for _ in range(2):
            model.batch(prompts)
        list(StreamingChat(cache=model.cache).stream("p1"))
        Chat().invoke("p1")

    (row,) = advisor.report().response_caches
    saved = usd(2 * sum(picodollars(prompt) for prompt in prompts))
    assert (row.cache_type, row.provider, row.model) == ("in_memory", "openai", CHAT_MODEL)
    assert (row.hits, row.misses, row.errors, row.bypasses) == (20, 10, 0, 1)
    assert row.hit_ratio == pytest.approx(2 / 3)
    assert (row.money.saved_usd, row.money.net_usd, row.money.lookup_cost_usd) == (saved, saved, Decimal(0))
    assert row.money.saved_usd == usage.saved_usd
    assert row.saved_input_tokens == 2 * sum(usage_of(prompt)["input_tokens"] for prompt in prompts)
    assert row.saved_output_tokens == 2 * sum(usage_of(prompt)["output_tokens"] for prompt in prompts)
    assert (row.money.break_even, row.money.verdict) == (0.0, "pays")


def test_time_saved_is_measured_where_this_process_made_the_original(instrumented):
    model = Chat(cache=InMemoryCache(), delay=0.02)
    with CacheAdvisor() as advisor:
        for _ in range(25):
            model.invoke("a")
    (row,) = advisor.report().response_caches
    assert (row.time.basis, row.time.untimed_hits, row.time.verdict, row.verdict) == ("measured", 0, "pays", "pays")
    assert row.time.saved > 24 * 0.015
    assert 0 < row.time.break_even < 0.5


def test_caches_and_models_are_told_apart_and_errors_counted(instrumented):
    class Broken(SyncOnly):
        def lookup(self, prompt, llm_string):
            raise ConnectionError

    with CacheAdvisor() as advisor:
        Chat(cache=InMemoryCache()).invoke("a")
        Chat(cache=InMemoryCache(), model_name="gpt-4o-mini").invoke("a")
        Text(cache=InMemoryCache()).invoke("a")
        with pytest.raises(ConnectionError):
            Chat(cache=Broken()).invoke("a")
    rows = advisor.report().response_caches
    assert [(row.cache_type, row.model, row.misses, row.errors) for row in rows] == [
        ("broken", CHAT_MODEL, 0, 1),
        ("in_memory", TEXT_MODEL, 1, 0),
        ("in_memory", CHAT_MODEL, 1, 0),
        ("in_memory", "gpt-4o-mini", 1, 0),
    ]


def test_it_listens_between_start_and_stop_only(instrumented):
    advisor, model = CacheAdvisor(), Chat(cache=InMemoryCache())
    model.invoke("a")
    assert advisor.start() is advisor
    advisor.start()
    model.invoke("a")
    advisor.stop()
    model.invoke("a")
    assert [(row.hits, row.misses) for row in advisor.report().response_caches] == [(1, 0)]
    assert advisor not in listeners.all


def test_it_hears_of_calls_that_only_track_observes():
    with langmeter.track(), CacheAdvisor() as advisor:
        Chat(cache=InMemoryCache()).invoke("a")
    assert [row.misses for row in advisor.report().response_caches] == [1]


class Claude(Chat):
    """Reports what it did in the provider's prompt cache: a prompt says which."""

    model_name: str = "claude-opus-5-5"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "anthropic", "ls_model_name": self.model_name, "ls_model_type": "chat"}

    def _answer(self, prompt):
        details = {prompt.split()[0]: 20_000}
        usage = {"input_tokens": 20_000, "output_tokens": 0, "total_tokens": 20_000, "input_token_details": details}
        message = AIMessage("x", usage_metadata=usage, response_metadata={"model_name": self.model_name})
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.mark.parametrize(
    ("written", "net", "reads"),
    [("ephemeral_5m_input_tokens", "0.132", 1), ("ephemeral_1h_input_tokens", "0.072", 2)],
)
def test_the_prompt_cache_is_reported_apart(instrumented, written, net, reads):
    """The 20,000-token prefix on Opus, written once and read twice."""
    with CacheAdvisor() as advisor:
        for prompt in (written, "cache_read", "cache_read again"):
            Claude().invoke(prompt)
    report = advisor.report()
    (row,) = report.prompt_caches
    assert report.response_caches == ()
    assert (row.provider, row.model, row.calls) == ("anthropic", "claude-opus-5-5", 3)
    assert (row.read_tokens, row.write_tokens) == (40_000, 20_000)
    assert row.write_1h_tokens == (20_000 if "1h" in written else 0)
    assert (row.net_usd, row.break_even_reads, row.reads_per_write) == (Decimal(net), reads, 2.0)
    assert (row.wasted_write_tokens_at_least, row.wasted_write_tokens_at_most, row.pending_write_tokens) == (0, 0, 0)


# -- ghost mode -------------------------------------------------------------------------------------------------------------


def _ghost(advisor, model=CHAT_MODEL):
    (row,) = (row for row in advisor.report().ghost if row.model == model)
    return row


def test_a_ghost_measures_the_hits_before_anyone_installs_a_cache(instrumented):
    model = StreamingChat()
    with CacheAdvisor(ghost=True) as advisor:
        model.invoke("a")
        list(model.stream("a"))
        asyncio.run(model.ainvoke("a"))
        asyncio.run(collected(model.astream("b")))
        model.batch(["a", "b", "c"])
        with pytest.raises(ProviderError):
            model.invoke("fail")
        with pytest.raises(ProviderError):
            model.invoke("fail")

    row = _ghost(advisor)
    assert (row.calls, row.not_looked_at) == (9, 0)
    minute, *_, unlimited = row.lifetimes
    assert (minute.hits, unlimited.hits, unlimited.unpriced_hits) == (4, 4, 0)
    assert unlimited.hit_ratio == pytest.approx(4 / 9)
    # Two more calls with `a`, one in the batch, and `b` there.
    assert unlimited.saved_usd == usd(3 * picodollars("a") + picodollars("b"))
    assert unlimited.saved_input_tokens == 3 * usage_of("a")["input_tokens"] + usage_of("b")["input_tokens"]
    assert advisor.report().response_caches == ()


def test_a_ghost_looks_at_text_models_too(instrumented):
    model = Text()
    with CacheAdvisor(ghost=True) as advisor:
        model.invoke("a")
        model.invoke("a")
        model.invoke("a", stop=["x"])
    assert [figures.hits for figures in _ghost(advisor, TEXT_MODEL).lifetimes] == [1, 1, 1, 1]


def test_a_ghost_beside_a_cache_looks_at_what_the_cache_left(instrumented):
    cache = InMemoryCache()
    with CacheAdvisor(ghost=True) as advisor:
        for _ in range(2):
            StreamingChat(cache=cache).invoke("a")
            list(StreamingChat(cache=cache).stream("a"))
    row = _ghost(advisor)
    assert (row.calls, row.lifetimes[3].hits) == (3, 2)  # both streams; the second `invoke` was an actual hit


def test_nothing_makes_keys_while_no_ghost_is_about(instrumented, monkeypatch):
    def made(*_):
        raise AssertionError("a key was made")

    monkeypatch.setattr("langmeter.langchain.caching.ghost._hash", made)
    with CacheAdvisor() as advisor:
        Chat().invoke("a")
    assert worker.drain(30)
    assert advisor.report().ghost is None


@pytest.mark.parametrize(("ghost", "sees"), [(None, True), (True, True), (False, False)])
def test_the_setting_turns_ghost_mode_on_unless_the_advisor_says_no(telemetry, instrument, ghost, sees):
    instrument(telemetry, cache_ghost=True)
    with CacheAdvisor(ghost=ghost) as advisor:
        Chat().invoke("a")
    assert (advisor.report().ghost is not None) is sees


def test_equal_calls_under_way_at_once_are_no_hits_of_one_another(instrumented):
    model = AsyncChat(delay=0.02)

    async def together():
        await asyncio.gather(*[model.ainvoke("a") for _ in range(5)])

    with CacheAdvisor(ghost=True) as advisor:
        asyncio.run(together())
        model.invoke("a")
    assert [figures.hits for figures in _ghost(advisor).lifetimes] == [1, 1, 1, 1]


class Partner(StreamingChat):
    """A serialisable model, as partner packages have them."""

    temperature: float = 0.0

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return True


class Plain(StreamingChat):
    temperature: float = 0.0

    @property
    def _identifying_params(self):
        return {"model_name": self.model_name, "temperature": self.temperature}


_PROMPTS = [
    [HumanMessage("a")],
    [HumanMessage("a", id="1")],
    [HumanMessage("a", name="n")],
    [HumanMessage("b")],
    [SystemMessage("a")],
    [SystemMessage("s"), HumanMessage("a")],
    [HumanMessage([{"type": "text", "text": "a"}])],
    [HumanMessage("\ud800")],
    [HumanMessage("a"), HumanMessage("a")],
    [HumanMessage("a", additional_kwargs={"k": 1})],
    [AIMessage("a")],
    [AIMessageChunk("a")],
    [AIMessage("a", tool_calls=[{"name": "t", "args": {"x": 1}, "id": "1"}])],
    [AIMessage("a", tool_calls=[{"name": "t", "args": {"x": 2}, "id": "1"}])],
    [AIMessage("a", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})],
    [ToolMessage("a", tool_call_id="1")],
    [ToolMessage("a", tool_call_id="2")],
    [ToolMessage("a", tool_call_id="2", artifact=object)],
]
_ARGUMENTS = [{}, {"stop": ["x"]}, {"tools": [{"name": "t"}]}, {"tools": [{"name": "u"}]}, {"temperature": 1}]


def test_hashes_are_equal_exactly_where_langchains_keys_are():
    """What the start callback is given, against the key that LangChain itself makes, over every pair of calls."""
    seen = []
    models = [
        kind(temperature=temperature, name=name)
        for kind in (Partner, Plain)
        for temperature in (0, 1)
        for name in (None, "n")
    ]
    models += [Partner(temperature=0.0), Plain(temperature=0.0)]
    for model, messages, arguments in itertools.product(models, _PROMPTS, _ARGUMENTS):
        given = dict(arguments)
        stop = given.pop("stop", None)
        parameters = model._get_invocation_params(stop=stop, **given)
        key = lookup_key(model, [message.model_copy(update={"id": None}) for message in messages], stop, given)
        seen.append((key, chat_hash(model._serialized, messages, parameters)))
    by_key = dict(seen)
    assert all(by_key[key] == hashed for key, hashed in seen)
    assert len(by_key) == len(set(by_key.values()))
    assert len(by_key) < len(seen)


# -- examples ---------------------------------------------------------------------------------------------------------------

_EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        # 20 questions, 3 of them different.
        ("cache_advice.py", [r"in_memory +openai/gpt-4o-mini +17 +20 +85\.00%", r"gpt-4o-mini +no limit +20 +1[67] "]),
        ("cached_stream.py", [r"second: 1; same text: True", r"1 call made, 1 hit, \$0\.0"]),
        ("adaptive_cache.py", [r"2\d look-ups, 0 hits, (3\d|40) skipped; asks: False"]),
    ],
)
def test_the_examples_run(name, says):
    result = subprocess.run(
        [sys.executable, _EXAMPLES / name], capture_output=True, text=True, timeout=120, check=False, encoding="utf-8"
    )
    assert (result.returncode, result.stderr) == (0, "")
    for pattern in says:
        assert re.search(pattern, result.stdout), result.stdout
