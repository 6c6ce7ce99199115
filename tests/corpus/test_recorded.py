"""Every recorded exchange, replayed through the real LangChain class: our numbers are the provider's own.

The recordings are used from where they are. Where LangChain's own converter loses a number, the case is named in `_LOSSES`
and we are held to what LangChain reports.
"""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.trace import StatusCode
from provider_answers import Answer, Usage, answer

from langmeter import semconv
from langmeter.demo.replay import Exchange, Replay, ReplayServer, Unsupported, load, replay_of

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "data" / "recorded"
EXCHANGES = load(RECORDINGS) if RECORDINGS.is_dir() else ()

pytestmark = [
    pytest.mark.skipif(not EXCHANGES, reason=f"no recordings: {RECORDINGS} is absent"),
    # Clients warn about retired models and LangChain about renamed options; both are the application's affair.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]

SPAN_TOKENS = (
    semconv.USAGE_INPUT_TOKENS,
    semconv.USAGE_OUTPUT_TOKENS,
    semconv.USAGE_CACHE_READ,
    semconv.USAGE_CACHE_WRITE,
    semconv.USAGE_REASONING,
)
COUNTED_TOKENS = tuple(
    metric.name
    for metric in (
        semconv.INFERENCE_INPUT_TOKENS,
        semconv.INFERENCE_OUTPUT_TOKENS,
        semconv.INFERENCE_CACHE_READ_TOKENS,
        semconv.INFERENCE_CACHE_WRITE_TOKENS,
        semconv.INFERENCE_REASONING_TOKENS,
    )
)
TOKENS_PER_CALL = (semconv.INFERENCE_INPUT_TOKENS_PER_CALL.name, semconv.INFERENCE_OUTPUT_TOKENS_PER_CALL.name)
FINISH_REASONS = {
    "stop": {"stop", "end_turn", "stop_sequence", "STOP", "COMPLETE", "eos"},
    "length": {"length", "max_tokens", "max_output_tokens", "MAX_TOKENS", "model_length"},
    "tool_call": {"tool_calls", "tool_use", "function_call", "TOOL_CALL"},
    "content_filter": {"content_filter", "refusal", "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST"},
    "error": {"error", "ERROR", "MALFORMED_FUNCTION_CALL"},
}


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with ReplayServer(EXCHANGES) as server:
        yield server


@functools.lru_cache(maxsize=4)
def _replay(server: ReplayServer, exchange_id: str) -> Replay:
    # Building a client costs more than the call; the sync and the async test of an exchange share one.
    exchange = next(exchange for exchange in server.exchanges if exchange.id == exchange_id)
    return replay_of(exchange, server.base_url)


class Outcome(NamedTuple):
    result: Any = None
    error: Exception | None = None


def _outcome(replay: Replay, mode: str) -> Outcome:
    try:
        return Outcome(replay.run() if mode == "sync" else asyncio.run(replay.arun()))
    except Exception as error:
        return Outcome(error=error)


# -- what LangChain itself reports -------------------------------------------------------------------------------------


def _reported(result: Any) -> Usage | None:
    """The usage on LangChain's own message, read here as its documentation says."""
    raw = getattr(result, "usage_metadata", None) or getattr(result, "response_metadata", {}).get("token_count")
    if not raw:
        return None
    read, written = raw.get("input_token_details") or {}, raw.get("output_token_details") or {}
    by_age = [read[key] for key in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens") if read.get(key)]
    return Usage(
        int(raw["input_tokens"]),
        int(raw["output_tokens"]),
        _of_any_tier(read, "cache_read"),
        _of_any_tier(read, "cache_creation") or sum(by_age) or read.get("cache_creation"),
        _of_any_tier(written, "reasoning"),
    )


def _of_any_tier(details: dict[str, int], name: str) -> int | None:
    return next(
        (details[key] for key in (name, f"priority_{name}", f"flex_{name}") if details.get(key) is not None), None
    )


class Loss(NamedTuple):
    """A place where LangChain's converter says something else than the provider."""

    description: str
    applies: Callable[[Exchange, Usage], bool]


def _delta_lacks_input(exchange: Exchange, _usage: Usage) -> bool:
    if exchange.provider != "anthropic" or not exchange.streaming:
        return False
    events = [json.loads(line[5:]) for line in exchange.response_body.splitlines() if line.startswith("data:")]
    start = next((event["message"]["usage"] for event in events if event["type"] == "message_start"), {})
    delta = next((event["usage"] for event in events if event["type"] == "message_delta"), {})
    return any("input_tokens" in key and key not in delta for key in start)


_LOSSES = (
    Loss(
        "Anthropic stream: the last usage event repeats no input counts, LangChain reads no other", _delta_lacks_input
    ),
    Loss(
        "Mistral: cached tokens are dropped",
        lambda exchange, usage: exchange.provider == "mistral_ai" and usage.cached is not None,
    ),
    Loss(
        "Cohere: plain calls report used instead of billed tokens",
        lambda exchange, _: exchange.provider == "cohere" and not exchange.streaming,
    ),
    Loss(
        "Cohere: streams drop the cached tokens",
        lambda exchange, usage: exchange.provider == "cohere" and exchange.streaming and usage.cached is not None,
    ),
    Loss(
        "Gemini: 0 cached tokens where the provider said nothing",
        lambda exchange, usage: exchange.provider.startswith("gcp.") and usage.cached is None,
    ),
    Loss(
        "OpenAI text models: streams drop the usage",
        lambda exchange, _: exchange.streaming and exchange.endpoint.endswith("v1/completions"),
    ),
)


class Expected(NamedTuple):
    usage: Usage | None
    loss: str | None = None


def _expected_usage(exchange: Exchange, said: Answer, outcome: Outcome) -> Expected:
    if outcome.error is not None or said.usage is None:
        return Expected(None)
    plain_text = not hasattr(outcome.result, "response_metadata")
    if plain_text and not exchange.streaming:
        return Expected(said.usage)
    reported = _reported(outcome.result)
    if reported == said.usage:
        return Expected(reported)
    losses = [loss.description for loss in _LOSSES if loss.applies(exchange, said.usage)]
    assert losses, f"LangChain reports {reported}, the provider {said.usage}: name the case in _LOSSES"
    return Expected(reported, losses[0])


# -- the test ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "exchange", EXCHANGES, ids=[f"{exchange.provider}{exchange.endpoint}-{exchange.id}" for exchange in EXCHANGES]
)
def test_numbers_are_the_providers_own(exchange, mode, server, instrumented, corpus_summary):
    api = f"{exchange.provider} {exchange.endpoint} {'stream' if exchange.streaming else 'plain'}, {mode}"
    try:
        replay = _replay(server, exchange.id)
    except Unsupported as reason:
        corpus_summary[f"{api}: not supported ({reason})"] += 1
        pytest.skip(str(reason))
    outcome = _outcome(replay, mode)
    said = answer(exchange)
    expected = _expected_usage(exchange, said, outcome)
    _count(corpus_summary, api, outcome, expected)

    spans = instrumented.spans()
    assert len(spans) == (len(replay.prompt) if _several_prompts(replay) else 1)
    _check_span_tokens(spans, expected.usage)
    _check_metric_tokens(instrumented.metrics(), expected.usage, len(spans))
    _check_outcome(spans[0], outcome, instrumented.metrics(), len(spans))
    if outcome.error is None:
        _check_answer(spans, exchange, said, outcome.result)


def _count(summary: Counter[str], api: str, outcome: Outcome, expected: Expected) -> None:
    if outcome.error is not None:
        found = f"checked, failed in the class ({type(outcome.error).__name__})"
    elif expected.loss is not None:
        found = f"checked, held to what LangChain reports ({expected.loss})"
    else:
        found = f"checked, {'usage equal' if expected.usage else 'no usage reported'}"
    summary[f"{api}: {found}"] += 1


def _several_prompts(replay: Replay) -> bool:
    return isinstance(replay.prompt, list) and isinstance(replay.prompt[0], str)


def _check_span_tokens(spans: list[Any], usage: Usage | None) -> None:
    found = [
        {key: value for key, value in span.attributes.items() if key.startswith("gen_ai.usage.")} for span in spans
    ]
    wanted = dict(zip(SPAN_TOKENS, usage or (), strict=False))
    known = {key: value for key, value in wanted.items() if value is not None}
    # The modalities of input and output are parts of what is compared here.
    whole = [{key: value for key, value in tokens.items() if key in SPAN_TOKENS} for tokens in found]
    if usage is None:
        assert found == [{}] * len(spans)
    else:  # the usage of a batch stands on its first prompt
        assert [tokens for tokens in whole if tokens] == [known]


def _check_metric_tokens(metrics: dict[str, Any], usage: Usage | None, calls: int) -> None:
    counted = {name: sum(value for _, value in metrics[name]) for name in COUNTED_TOKENS if metrics.get(name)}
    # A total that never moved may or may not be exported: both read 0.
    assert {name: total for name, total in counted.items() if total} == {
        name: total for name, total in zip(COUNTED_TOKENS, usage or (), strict=False) if total
    }
    per_call = {name: _histogram(metrics, name) for name in TOKENS_PER_CALL}
    assert per_call == {
        name: (0 if usage is None else 1, 0 if usage is None else usage[position])
        for position, name in enumerate(TOKENS_PER_CALL)
    }
    if usage is None:
        assert counted == {}


def _histogram(metrics: dict[str, Any], name: str) -> tuple[int, float]:
    points = [point for _, point in metrics.get(name, ())]
    assert all(isinstance(point, HistogramDataPoint) for point in points)
    return sum(point.count for point in points), sum(point.sum for point in points)


def _check_outcome(span: Any, outcome: Outcome, metrics: dict[str, Any], calls: int) -> None:
    error_type = _qualified_name(outcome.error)
    assert (span.status.status_code is StatusCode.ERROR) == (error_type is not None)
    assert span.attributes.get(semconv.ERROR_TYPE) == error_type
    requests = [(attributes.get(semconv.ERROR_TYPE), value) for attributes, value in metrics[semconv.REQUESTS.name]]
    assert requests == [(error_type, calls)]
    assert _histogram(metrics, semconv.INFERENCE_DURATION.name)[0] == calls


def _qualified_name(error: Exception | None) -> str | None:
    if error is None:
        return None
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _check_answer(spans: list[Any], exchange: Exchange, said: Answer, result: Any) -> None:
    metadata = getattr(result, "response_metadata", {})
    for span in spans:
        assert span.attributes.get(semconv.PROVIDER_NAME) in _provider_names(exchange)
        assert span.attributes.get(semconv.RESPONSE_MODEL) == _kept_model(exchange, said, result)
    reasons = [reason for span in spans for reason in span.attributes.get(semconv.RESPONSE_FINISH_REASONS, ())]
    assert reasons == [_normalised(reason) for reason in said.finish_reasons]
    # LangChain keeps the provider's id for some APIs only: then ours is that one, and no other is made up.
    found = spans[0].attributes.get(semconv.RESPONSE_ID)
    if metadata.get("id") is not None or getattr(result, "id", None) == said.id:
        assert found == said.id
    else:
        assert found in {None, said.id}


def _provider_names(exchange: Exchange) -> set[str]:
    if exchange.provider.startswith("gcp."):
        return {"gcp.gemini", "gcp.gen_ai"}
    return {exchange.provider, "openai"} if exchange.provider == "together_ai" else {exchange.provider}


def _kept_model(exchange: Exchange, said: Answer, result: Any) -> str | None:
    is_text = not hasattr(result, "response_metadata")
    if exchange.streaming:
        return None if is_text else said.model  # streamed text carries no metadata
    if is_text or exchange.provider in {"groq", "mistral_ai"}:
        return exchange.request["model"]  # these classes repeat the requested name
    return said.model


def _normalised(reason: str) -> str:
    return next((name for name, spellings in FINISH_REASONS.items() if reason in spellings), reason.lower())
