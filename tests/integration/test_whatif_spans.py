"""Records from real spans: what an instrumented call leaves behind is enough to price it again."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from langchain_core.caches import InMemoryCache
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from models import Chat
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan

from langmeter.events import TokenUsage
from langmeter.whatif import Record, RecordError, read, reprice, what_if

USAGE = {
    "input_tokens": 1_000,
    "output_tokens": 100,
    "total_tokens": 1_100,
    "input_token_details": {"cache_read": 400, "cache_creation": 100},
    "output_token_details": {"reasoning": 30},
}


class Detailed(Chat):
    """Answers with everything that decides a price."""

    usage: Any = USAGE
    answered: str = "gpt-4o-2024-08-06"

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        facts = {"model_name": self.answered, "finish_reason": "stop", "service_tier": "flex"}
        message = AIMessage("yes", usage_metadata=self.usage, response_metadata=facts)
        return ChatResult(generations=[ChatGeneration(message=message)])


class Silent(Chat):
    """Streams without ever saying what was used."""

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for text in ("Why", " not", "?"):
            yield ChatGenerationChunk(message=AIMessageChunk(text))


def forms(span):
    """The same span as each of the things that a user may have at hand."""
    otlp = MessageToDict(encode_spans([span]))
    return {
        "sdk": span,
        "sdk json": json.loads(span.to_json()),
        "otlp json": otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0],
        "otlp document": otlp,
    }


@pytest.mark.parametrize("form", ["sdk", "sdk json", "otlp json", "otlp document"])
def test_a_span_in_any_form_is_the_whole_record(instrumented, form):
    Detailed().invoke("Why?")
    (span,) = instrumented.spans()
    (found,) = read([forms(span)[form]])
    cost = round(span.attributes["langchain.usage.cost.amount"] * 1e12)
    exact = Record(
        "openai",
        "gpt-4o-2024-08-06",
        TokenUsage(1_000, 100, cache_read=400, cache_write=100, reasoning=30),
        span.start_time / 1e9,
        "flex",
        cost,
        "priced",
        span.attributes["langchain.price.version"],
        "gpt-4o",
    )
    # The JSON of the SDK has microseconds.
    assert found == exact._replace(start_time=pytest.approx(exact.start_time, abs=1e-6))
    if form != "otlp document":
        assert Record.from_span(forms(span)[form]) == found


def test_repriced_at_the_time_of_the_call_a_record_costs_what_its_span_says(instrumented):
    chat = Detailed()
    chat.invoke("Why?")
    chat.batch(["Why?", "Why not?"])
    result = reprice(instrumented.spans())
    assert [priced.difference for priced in result.records] == [0, 0, 0]
    assert result.total.calls == 3


def test_hits_other_spans_and_refused_calls_are_no_calls(instrumented):
    langchain_cache = InMemoryCache()
    chat = Detailed(cache=langchain_cache)
    chat.invoke("Why?")
    chat.invoke("Why?")
    with instrumented.tracer_provider.get_tracer("application").start_as_current_span("request"):
        chat.invoke("Why?")
    found = read(instrumented.spans())
    assert ([each.status for each in found], found.passed_over) == (["priced", "cached", "cached"], 1)
    assert what_if(found, model="gpt-4.1").counts._asdict() | {"tier_unmatched": 0} == {
        **dict.fromkeys(what_if(found, model="gpt-4.1").counts._fields, 0),
        "calls": 1,
        "cache_hits": 2,
    }


def test_unpriced_calls_stay_unpriced_until_they_have_a_price(instrumented):
    Detailed(model="acme-1", answered="acme-1").invoke("Why?")
    (found,) = read(instrumented.spans())
    assert (found.status, found.cost, found.usage.total_tokens) == ("unpriced", None, 1_100)
    prices = {"models": [{"match": {"model": "acme-1"}, "price": {"input_mtok": 1, "output_mtok": 1}}]}
    total = reprice([found], prices=prices).total
    assert (total.calls, total.newly_priced, str(total.newly_priced_cost)) == (0, 1, "0.0011")


def test_estimated_tokens_stay_marked(instrumented):
    list(Silent().stream("Why is the sky blue?"))
    (span,) = instrumented.spans()
    (found,) = read([span])
    assert found.estimated
    assert found.usage == TokenUsage(
        span.attributes["langchain.usage.estimated.input_tokens"],
        span.attributes["langchain.usage.estimated.output_tokens"],
    )
    assert Record.from_dict(found.to_dict()) == found
    result = reprice([found])
    assert (result.estimated, result.records[0].cost.status, result.records[0].difference) == (1, "estimated", 0)
    assert what_if([found], model="gpt-4.1").counts.estimated == 1


def test_what_the_provider_reported_before_a_stream_was_left_is_added_to_the_estimate():
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": 25,
        "gen_ai.usage.output_tokens": 1,
        "langchain.usage.estimated.output_tokens": 40,
        "langchain.usage.cost.status": "estimated",
        "langchain.usage.cost.amount": 0.00069,
    }
    found = Record.from_span({"attributes": attributes, "start_time": "2026-11-15T12:00:00Z"})
    assert (found.usage, found.estimated, found.cost) == (TokenUsage(25, 41), True, 690_000_000)


def test_spans_of_other_instrumentation_are_records_without_a_cost():
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1_000,
        "gen_ai.usage.output_tokens": 100,
    }
    span = {"attributes": attributes, "start_time": "2026-11-15T12:00:00Z"}
    agent = {**span, "attributes": {**attributes, "gen_ai.operation.name": "invoke_agent"}}
    found = read([span, agent])
    assert (len(found), found.passed_over, found[0].status) == (1, 1, "unpriced")
    result = what_if(found, model="gpt-4.1")
    assert (result.counts.unrecorded, str(result.unrecorded.no_caching)) == (1, "0.0028")


@pytest.mark.parametrize(
    ("counted", "estimated"),
    [("gen_ai.usage.input_tokens", False), ("langchain.usage.estimated.input_tokens", True)],
    ids=["reported", "estimated"],
)
def test_embeddings_have_an_input_and_no_output(counted, estimated):
    attributes = {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "text-embedding-3-small",
        counted: 1_000_000,
        "langchain.usage.cost.status": "estimated" if estimated else "priced",
        "langchain.usage.cost.amount": 0.02,
    }
    found = Record.from_span({"attributes": attributes, "start_time": "2026-11-15T12:00:00Z"})
    assert (found.usage, found.estimated) == (TokenUsage(1_000_000, 0), estimated)
    assert [each.difference for each in reprice([found]).records] == [0]


OTLP = {"startTimeUnixNano": "1794744000000000000"}


@pytest.mark.parametrize(
    ("span", "message"),
    [
        (
            {"attributes": {}, "start_time": 0},
            "span: is no span of a billed model call: it has neither langchain.usage.cost.status",
        ),
        (
            {"attributes": {"langchain.usage.cost.status": "priced", "langchain.usage.cost.amount": 1}, **OTLP},
            "span: 'gen_ai.request.model' is missing, and so is gen_ai.response.model",
        ),
        ({"attributes": 7, **OTLP}, "span: is no span as the SDK or OTLP/JSON write it (TypeError: "),
        ("span", "span: is no span as the SDK or OTLP/JSON write it (AttributeError: "),
        (
            ReadableSpan(
                "chat",
                attributes={
                    "langchain.usage.cost.status": "unpriced",
                    "gen_ai.request.model": "gpt-4o",
                    "gen_ai.provider.name": "openai",
                },
            ),
            "span: 'start_time' must be unix seconds or ISO 8601 such as 2026-11-22T12:00:00Z, and is missing",
        ),
        (
            {
                "attributes": {"langchain.usage.cost.status": "unpriced", "gen_ai.request.model": "gpt-4o"},
                **OTLP,
            },
            "span: 'gen_ai.provider.name' must be a text that is not empty, and is missing",
        ),
    ],
)
def test_a_span_that_is_no_record_says_what_it_lacks(span, message):
    with pytest.raises(RecordError) as caught:
        Record.from_span(span)
    assert str(caught.value).startswith(message)


def test_broken_spans_lose_nothing_else(instrumented):
    Detailed().invoke("Why?")
    broken = [
        {"attributes": [{"key": "gen_ai.operation.name", "value": "chat"}]},
        {"attributes": [{"key": "langchain.usage.cost.status", "value": {"intValue": "many"}}]},
        {"resourceSpans": [7]},
    ]
    found = read([*broken, *instrumented.spans()], skip_bad=True)
    assert (len(found), found.skipped) == (1, 3)
    assert [problem.where for problem in found.problems] == ["record 1", "record 2", "record 3"]


# -- examples ---------------------------------------------------------------------------------------------------------

EXAMPLES = Path(__file__).parents[2] / "examples"


def run_example(name):
    done = subprocess.run(
        [sys.executable, EXAMPLES / name], capture_output=True, text=True, timeout=120, check=False, cwd=EXAMPLES
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_example_of_what_if_runs():
    first, second, *rest = run_example("what_if.py")
    assert re.fullmatch(r"3 calls on gpt-4o-mini: \$0\.\d+", first)
    assert re.fullmatch(r"on gpt-4\.1: \$0\.\d+ with the same caching, \$0\.\d+ without", second)
    assert [line.partition(":")[0] for line in rest[-3:]] == ["gpt-5-mini", "gpt-4.1", "gpt-4.1-nano"]
    assert rest[-1].endswith("quality 0.8 over 2 runs, adequate: False")


def test_the_example_of_repricing_runs():
    # 2,524 x $2 + 3,177 x $1 + 620 x $8 = $0.013185; 1,000 x $8 + 100 x $40 = $0.012
    assert run_example("reprice.py") == [
        "gpt-4o: $0.01648125 before, $0.013185 by the contract",
        "acme-large-2: no price before, $0.012 by the contract",
        "1 call with a price before and now: difference $-0.00329625",
        "1 call that had no price: $0.012",
    ]
