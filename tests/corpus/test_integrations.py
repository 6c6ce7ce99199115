"""One answer per integration, tier and mode through the integration's own converter: we read what the provider billed.

Those that cannot share an environment with the others are in `test_integrations_apart`. databricks-langchain, langchain-ibm
and langchain-azure-ai stay out: the first brings hundreds of megabytes, the others hold packages of everybody else back. What
is known of their figures is in the unit tests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import partner_answers as answers
import partner_models as models
import pytest
from partner_server import AWS_EVENTS, EVENTS, JSON, JSON_LINES, Answer, LocalProvider, ask

from langmeter.events import ReportedUsage, TokenUsage
from langmeter.pricing.names import price_provider

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from langchain_core.language_models import BaseLanguageModel

pytestmark = [
    # Clients warn about retired models and LangChain about renamed options; both are the application's affair.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


class Call(NamedTuple):
    model: Callable[[str], BaseLanguageModel[Any]]
    body: bytes
    usage: ReportedUsage
    provider: str
    """As the price table names it."""
    content_type: str = JSON
    headers: dict[str, str] = {}
    outside_total: int = 0
    """Billed tokens that the integration's own total leaves out."""


def standard(*counts: int | None, **parts: int) -> ReportedUsage:
    return ReportedUsage(TokenUsage(*counts, **parts))


def at_tier(tier: str | None, usage: ReportedUsage) -> ReportedUsage:
    return usage._replace(tier=tier, tier_is_final=True)


OPENAI = standard(2_000, 300, 1_024, reasoning=192, input_audio=0, output_audio=0)
OPENAI_NO_AUDIO = standard(2_000, 300, 1_024, reasoning=192)
CLAUDE = standard(12_050, 400, 3_000, 9_000, 8_000)
PLAIN = standard(50, 12)

XAI_USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": 300,
    "total_tokens": 2_000,
    "prompt_tokens_details": {"cached_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 700},
}
DEEPSEEK_USAGE = {
    "prompt_tokens": 1_000,
    "completion_tokens": 300,
    "total_tokens": 1_300,
    "prompt_tokens_details": {"cached_tokens": 800},
    "completion_tokens_details": {"reasoning_tokens": 200},
    "prompt_cache_hit_tokens": 800,
    "prompt_cache_miss_tokens": 200,
}
PERPLEXITY_USAGE = {"prompt_tokens": 9, "completion_tokens": 402, "total_tokens": 411, "search_context_size": "low"}
RESEARCH_USAGE = {
    "prompt_tokens": 33,
    "completion_tokens": 7_163,
    "total_tokens": 7_196,
    "citation_tokens": 20_016,
    "num_search_queries": 18,
    "reasoning_tokens": 193_008,
}
BEDROCK_HEADERS = {
    "x-amzn-bedrock-input-token-count": "50",
    "x-amzn-bedrock-output-token-count": "400",
    "x-amzn-bedrock-cache-read-input-token-count": "3000",
    "x-amzn-bedrock-cache-write-input-token-count": "9000",
}

CALLS: dict[str, Call] = {
    "openai: sound": Call(
        models.openai,
        answers.completion(answers.OPENAI_AUDIO_USAGE, service_tier="default"),
        at_tier(None, standard(800, 300, 0, reasoning=0, input_audio=700, output_audio=250)),
        "openai",
    ),
    "openai talking to OpenRouter": Call(
        models.openai,
        answers.completion({**answers.OPENAI_USAGE, "cost": 0.0123, "is_byok": False}),
        OPENAI._replace(cost_usd=0.0123),
        "openai",
    ),
    "openai talking to OpenRouter, stream: the charge is dropped": Call(
        models.openai,
        answers.completion_stream({**answers.OPENAI_USAGE, "cost": 0.0123}),
        OPENAI,
        "openai",
        EVENTS,
    ),
    "azure": Call(
        models.azure,
        answers.completion(answers.OPENAI_USAGE, service_tier="default"),
        at_tier(None, OPENAI),
        "azure",
    ),
    "azure, stream": Call(
        models.azure,
        answers.completion_stream(answers.OPENAI_USAGE),
        OPENAI,
        "azure",
        EVENTS,
    ),
    "anthropic, stream: lifetimes and tier are dropped": Call(
        models.anthropic,
        answers.message_stream(answers.ANTHROPIC_USAGE | {"service_tier": "priority"}),
        standard(12_050, 400, 3_000, 9_000),
        "anthropic",
        EVENTS,
    ),
    "bedrock converse": Call(models.converse, answers.converse(answers.CONVERSE_USAGE), CLAUDE, "aws"),
    "bedrock converse, flex": Call(
        models.converse,
        answers.converse(answers.CONVERSE_USAGE, serviceTier={"type": "flex"}),
        at_tier("flex", CLAUDE),
        "aws",
    ),
    "bedrock converse, default tier": Call(
        models.converse,
        answers.converse(answers.CONVERSE_USAGE, serviceTier={"type": "default"}),
        at_tier(None, CLAUDE),
        "aws",
    ),
    "bedrock converse, stream, priority": Call(
        models.converse,
        answers.converse_stream(answers.CONVERSE_USAGE, serviceTier={"type": "priority"}),
        at_tier("priority", CLAUDE),
        "aws",
        AWS_EVENTS,
    ),
    "bedrock invoke: lifetimes are not in the headers that it reads": Call(
        models.bedrock,
        answers.message(answers.ANTHROPIC_USAGE),
        standard(12_050, 400, 3_000, 9_000),
        "aws",
        headers=BEDROCK_HEADERS,
    ),
    "bedrock text model: every count is dropped": Call(
        models.bedrock_text,
        answers.json_body({"generation": "Hello.", "stop_reason": "stop"}),
        ReportedUsage(),
        "aws",
        headers=BEDROCK_HEADERS,
    ),
    "gemini: thoughts and tool prompts are billed, sound is dropped": Call(
        models.gemini,
        answers.json_body(answers.gemini_document(answers.GEMINI_USAGE)),
        standard(10_030, 700, 2_000, reasoning=500),
        "google",
    ),
    "gemini, stream": Call(
        models.gemini,
        answers.gemini_stream(answers.GEMINI_USAGE),
        standard(10_030, 700, 2_000, reasoning=500),
        "google",
        EVENTS,
    ),
    "groq": Call(
        models.groq,
        answers.completion(answers.OPENAI_USAGE, service_tier="on_demand"),
        at_tier(None, OPENAI_NO_AUDIO),
        "groq",
    ),
    "groq, flex": Call(
        models.groq_flex,
        answers.completion(answers.OPENAI_USAGE, service_tier="flex"),
        at_tier("flex", OPENAI_NO_AUDIO),
        "groq",
    ),
    "groq, stream": Call(
        models.groq,
        answers.groq_stream(answers.OPENAI_USAGE),
        at_tier(None, OPENAI_NO_AUDIO),
        "groq",
        EVENTS,
    ),
    "mistral": Call(models.mistral, answers.completion(answers.PLAIN_USAGE), PLAIN, "mistral"),
    "mistral, stream": Call(
        models.mistral, answers.completion_stream(answers.PLAIN_USAGE, with_last=True), PLAIN, "mistral", EVENTS
    ),
    "cohere: used and not billed tokens": Call(models.cohere, answers.cohere(), standard(74, 15), "cohere"),
    "cohere, stream: billed tokens": Call(models.cohere, answers.cohere_stream(), standard(10, 12), "cohere", EVENTS),
    "ollama": Call(models.ollama, answers.ollama(), PLAIN, "ollama", JSON_LINES),
    "xai leaves reasoning out of the output": Call(
        models.xai, answers.completion(XAI_USAGE), standard(1_000, 1_000, 100, reasoning=700), "x-ai"
    ),
    "xai leaves reasoning out of the output, stream": Call(
        models.xai, answers.completion_stream(XAI_USAGE), standard(1_000, 1_000, 100, reasoning=700), "x-ai", EVENTS
    ),
    "xai includes reasoning, its class adds it again": Call(
        models.xai,
        answers.completion(XAI_USAGE | {"completion_tokens": 1_000}),
        standard(1_000, 1_000, 100, reasoning=700),
        "x-ai",
    ),
    "xai includes reasoning, its class adds it again, stream": Call(
        models.xai,
        answers.completion_stream(XAI_USAGE | {"completion_tokens": 1_000}),
        standard(1_000, 1_000, 100, reasoning=700),
        "x-ai",
        EVENTS,
    ),
    "deepseek": Call(
        models.deepseek, answers.completion(DEEPSEEK_USAGE), standard(1_000, 300, 800, reasoning=200), "deepseek"
    ),
    "deepseek, stream": Call(
        models.deepseek,
        answers.completion_stream(DEEPSEEK_USAGE, with_last=True),
        standard(1_000, 300, 800, reasoning=200),
        "deepseek",
        EVENTS,
    ),
    "fireworks": Call(models.fireworks, answers.completion(answers.OPENAI_USAGE), OPENAI_NO_AUDIO, "fireworks"),
    "fireworks, stream": Call(
        models.fireworks,
        answers.completion_stream(answers.OPENAI_USAGE, with_last=True),
        OPENAI_NO_AUDIO,
        "fireworks",
        EVENTS,
    ),
    "together": Call(models.together, answers.completion(answers.PLAIN_USAGE), PLAIN, "together"),
    "together, stream": Call(
        models.together, answers.completion_stream(answers.PLAIN_USAGE, with_last=True), PLAIN, "together", EVENTS
    ),
    "perplexity": Call(models.perplexity, answers.completion(PERPLEXITY_USAGE), standard(9, 402), "perplexity"),
    "perplexity, stream": Call(
        models.perplexity,
        answers.completion_stream(PERPLEXITY_USAGE, with_last=True),
        standard(9, 402),
        "perplexity",
        EVENTS,
    ),
    "perplexity, research: reasoning is billed on top, citations cannot be priced": Call(
        models.perplexity,
        answers.completion(RESEARCH_USAGE),
        ReportedUsage(TokenUsage(33, 200_171, reasoning=193_008, consistent=False)),
        "perplexity",
        outside_total=193_008,
    ),
    "nvidia": Call(models.nvidia, answers.completion(answers.PLAIN_USAGE), PLAIN, "nvidia"),
    "nvidia, stream": Call(models.nvidia, answers.completion_stream(answers.PLAIN_USAGE), PLAIN, "nvidia", EVENTS),
    "cerebras": Call(models.cerebras, answers.completion(answers.OPENAI_USAGE), OPENAI, "cerebras"),
    "cerebras, stream": Call(
        models.cerebras, answers.completion_stream(answers.OPENAI_USAGE), OPENAI, "cerebras", EVENTS
    ),
    "baseten": Call(models.baseten, answers.completion(answers.OPENAI_USAGE), OPENAI, "baseten"),
    "baseten, stream": Call(models.baseten, answers.completion_stream(answers.OPENAI_USAGE), OPENAI, "baseten", EVENTS),
    "huggingface": Call(models.huggingface, answers.completion(answers.PLAIN_USAGE), PLAIN, "huggingface"),
    "huggingface, stream": Call(
        models.huggingface, answers.completion_stream(answers.PLAIN_USAGE), PLAIN, "huggingface", EVENTS
    ),
}
for _sent, _tier in (("default", None), ("flex", "flex"), ("priority", "priority"), ("scale", "scale")):
    CALLS |= {
        f"openai, {_sent}": Call(
            models.openai,
            answers.completion(answers.OPENAI_USAGE, service_tier=_sent),
            at_tier(_tier, OPENAI),
            "openai",
        ),
        f"openai, {_sent}, stream": Call(
            models.openai,
            answers.completion_stream(answers.OPENAI_USAGE, service_tier=_sent),
            at_tier(_tier, OPENAI),
            "openai",
            EVENTS,
        ),
        f"openai responses, {_sent}": Call(
            models.openai_responses, answers.response(_sent), at_tier(_tier, OPENAI_NO_AUDIO), "openai"
        ),
        f"openai responses, {_sent}, stream": Call(
            models.openai_responses, answers.response_stream(_sent), at_tier(_tier, OPENAI_NO_AUDIO), "openai", EVENTS
        ),
    }
for _facts, _tier in (
    ({}, None),
    ({"service_tier": "priority"}, "priority"),
    ({"service_tier": "batch"}, "batch"),
    ({"speed": "fast"}, "fast"),
    ({"speed": "standard"}, None),
    ({"inference_geo": "us"}, "geo-us"),
):
    _usage = at_tier(_tier, CLAUDE)._replace(speed_is_final="speed" in _facts)
    CALLS[f"anthropic, {_facts or 'standard'}"] = Call(
        models.anthropic, answers.message(answers.ANTHROPIC_USAGE | _facts), _usage, "anthropic"
    )


@pytest.fixture(scope="module")
def provider() -> Iterator[LocalProvider]:
    with LocalProvider() as provider:
        yield provider


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_what_an_integration_reports_is_what_the_provider_billed(call, provider):
    provider.answer = Answer(call.body, call.content_type, call.headers)
    heard = ask(call.model(provider.url), streamed=call.content_type not in {JSON, JSON_LINES})
    assert heard.usage == call.usage
    assert price_provider(heard.provider) == call.provider
    if heard.total_tokens is not None:
        assert heard.usage.tokens.total_tokens == heard.total_tokens + call.outside_total
