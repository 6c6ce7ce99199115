"""More usages worked out by hand, of the kinds that integrations really send: tokens times published rate, line by line.

Rates are US dollars per million tokens as published for the date of the case. The sums are done here, in decimals, and share
nothing with the package.
"""

from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import genai_prices
import pytest

from langmeter.pricing.quote import price

RELEASE = tuple(int(part) for part in genai_prices.__version__.split(".")[:3])
pytestmark = pytest.mark.skipif(RELEASE < (0, 2, 3), reason="the cases are younger than this release of genai-prices")

SUNDAY = "2026-11-15T12:00:00"


class Case(NamedTuple):
    provider: str
    model: str
    usage: dict
    lines: tuple = ()
    """(tokens, US dollars per million tokens), which add up to the price."""
    at: str = SUNDAY
    status: str = "priced"
    fee: str = "0"
    tier: str | None = None
    unmatched: bool = False
    facts: dict = {}


def usage(billed, output, details=None, output_details=None, total=None):
    counts = {
        "input_tokens": billed,
        "output_tokens": output,
        "total_tokens": billed + output if total is None else total,
    }
    if details is not None:
        counts["input_token_details"] = details
    if output_details is not None:
        counts["output_token_details"] = output_details
    return counts


def answered(**metadata):
    return {"response_metadata": metadata}


OPENAI = {
    "cached prompt": Case(
        "openai",
        "gpt-4o-2024-11-20",
        usage(5_000, 120, {"audio": 0, "cache_read": 4_096}, {"audio": 0, "reasoning": 0}),
        ((904, "2.5"), (4_096, "1.25"), (120, "10")),
    ),
    "reasoning is part of the output": Case(
        "openai",
        "o4-mini-2025-04-16",
        usage(700, 3_000, {"cache_read": 0}, {"reasoning": 2_880}),
        ((700, "1.1"), (3_000, "4.4")),
    ),
    "on the threshold": Case("openai", "gpt-5.5", usage(272_000, 10), ((272_000, "5"), (10, "30"))),
    "one token above it, the answer too": Case("openai", "gpt-5.5", usage(272_001, 10), ((272_001, "10"), (10, "45"))),
    "cached tokens count towards the threshold": Case(
        "openai",
        "gpt-5.4",
        usage(272_001, 10, {"cache_read": 272_000}),
        ((1, "5"), (272_000, "0.5"), (10, "22.5")),
    ),
    "long context, cache written": Case(
        "openai",
        "gpt-6-luna",
        usage(300_000, 1_000, {"cache_read": 100_000, "cache_creation": 50_000}),
        ((150_000, "0.2"), (100_000, "0.02"), (50_000, "0.25"), (1_000, "0.75")),
    ),
    "one second before a cut": Case(
        "openai", "gpt-5.6-sol", usage(1_000, 100), ((1_000, "5"), (100, "30")), at="2026-08-20T23:59:59"
    ),
    "with the cut": Case(
        "openai", "gpt-5.6-sol", usage(1_000, 100), ((1_000, "4"), (100, "20")), at="2026-08-21T00:00:00"
    ),
    "o3 a second before its cut": Case(
        "openai", "o3", usage(1_000, 100), ((1_000, "10"), (100, "40")), at="2025-06-09T23:59:59"
    ),
    "priority, in the details only": Case(
        "openai",
        "gpt-5-2025-08-07",
        usage(
            9_000, 500, {"priority": 5_000, "priority_cache_read": 4_000}, {"priority": 100, "priority_reasoning": 400}
        ),
        ((5_000, "2.5"), (4_000, "0.25"), (500, "20")),
        tier="priority",
    ),
    "flex, in the answer's metadata only": Case(
        "openai",
        "gpt-6-luna",
        usage(9_000, 500, {"cache_read": 4_000}),
        ((5_000, "0.05"), (4_000, "0.005"), (500, "0.25")),
        tier="flex",
        facts=answered(service_tier="flex"),
    ),
    "flex was asked for and standard was given": Case(
        "openai",
        "gpt-6-luna",
        usage(9_000, 500),
        ((9_000, "0.1"), (500, "0.5")),
        facts={"service_tier": "flex", **answered(service_tier="default")},
    ),
    "flex with cache writes: the flex figure still holds them": Case(
        "openai",
        "gpt-5.6-sol",
        usage(10_000, 100, {"flex": 7_000, "flex_cache_read": 3_000, "flex_cache_creation": 2_000}, {"flex": 100}),
        ((5_000, "2"), (3_000, "0.2"), (2_000, "2.5"), (100, "10")),
        tier="flex",
        facts=answered(service_tier="flex"),
    ),
    "the tier that is called fast": Case(
        "openai",
        "gpt-6-astra",
        usage(1_000, 100),
        ((1_000, "20"), (100, "100")),
        tier="fast",
        facts=answered(service_tier="fast"),
    ),
    "a tier without a price is at the standard one and says so": Case(
        "openai",
        "gpt-5",
        usage(1_000, 100),
        ((1_000, "1.25"), (100, "10")),
        tier="scale",
        unmatched=True,
        facts=answered(service_tier="scale"),
    ),
    "Batch API with a cached prompt": Case(
        "openai",
        "gpt-5",
        usage(10_000, 100, {"cache_read": 4_000}),
        ((6_000, "0.625"), (4_000, "0.0625"), (100, "5")),
        tier="batch",
        facts={"processing": "batch"},
    ),
    "audio in and out, no cache rate": Case(
        "openai",
        "gpt-audio-mini",
        usage(1_000, 500, {"audio": 900, "cache_read": 0}, {"audio": 480}),
        ((100, "0.6"), (900, "10"), (20, "2.4"), (480, "20")),
    ),
    "realtime audio, text cached first": Case(
        "openai",
        "gpt-4o-realtime-preview",
        usage(1_000, 200, {"audio": 600, "cache_read": 300}, {"audio": 150}),
        ((100, "5"), (300, "2.5"), (600, "40"), (50, "20"), (150, "80")),
    ),
    "realtime audio, partly cached": Case(
        "openai",
        "gpt-4o-realtime-preview",
        usage(1_000, 0, {"audio": 600, "cache_read": 700}),
        ((400, "2.5"), (300, "2.5"), (300, "40")),
    ),
    "fine-tuned": Case(
        "openai",
        "ft:gpt-4o-2024-08-06:acme:support:AbC123:ckpt-step-500",
        usage(1_000, 100),
        ((1_000, "3.75"), (100, "15")),
    ),
    "embedding": Case("openai", "text-embedding-3-large", usage(8_000, 0), ((8_000, "0.13"),)),
    "spelt as LangChain's class": Case("ChatOpenAI", "gpt-4.1", usage(1_000, 100), ((1_000, "2"), (100, "8"))),
}

ANTHROPIC = {
    "both lifetimes beside a zeroed sum": Case(
        "anthropic",
        "claude-haiku-4-5-20251001",
        usage(
            12_000,
            300,
            {
                "cache_read": 2_000,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 3_000,
                "ephemeral_1h_input_tokens": 4_000,
            },
        ),
        ((3_000, "1"), (2_000, "0.1"), (3_000, "1.25"), (4_000, "2"), (300, "5")),
        facts=answered(usage={"service_tier": "standard", "inference_geo": "global"}),
    ),
    "written for five minutes": Case(
        "anthropic",
        "claude-opus-5-5",
        usage(5_000, 10, {"cache_read": 0, "cache_creation": 4_000}),
        ((1_000, "4"), (4_000, "5"), (10, "20")),
    ),
    "on the threshold": Case(
        "anthropic", "claude-sonnet-4-5-20250929", usage(200_000, 100), ((200_000, "3"), (100, "15"))
    ),
    "above it, with everything": Case(
        "anthropic",
        "claude-sonnet-4-5-20250929",
        usage(
            200_001,
            100,
            {
                "cache_read": 100_000,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 50_000,
                "ephemeral_1h_input_tokens": 20_000,
            },
        ),
        ((30_001, "6"), (100_000, "0.6"), (50_000, "7.5"), (20_000, "12"), (100, "22.5")),
    ),
    "a surcharge ends": Case(
        "anthropic", "claude-opus-4-6", usage(250_000, 1_000), ((250_000, "5"), (1_000, "25")), at="2026-03-13T00:00:00"
    ),
    "and holds until then": Case(
        "anthropic",
        "claude-opus-4-6",
        usage(250_000, 1_000),
        ((250_000, "10"), (1_000, "37.5")),
        at="2026-03-12T23:59:59",
    ),
    "Message Batches, said by the answer": Case(
        "anthropic",
        "claude-opus-5",
        usage(10_000, 100, {"cache_read": 4_000, "cache_creation": 0}),
        ((6_000, "2.5"), (4_000, "0.25"), (100, "12.5")),
        tier="batch",
        facts=answered(usage={"service_tier": "batch"}),
    ),
    "fast mode with cache, said by the answer": Case(
        "anthropic",
        "claude-opus-5-5",
        usage(10_000, 100, {"cache_read": 4_000, "ephemeral_1h_input_tokens": 1_000, "cache_creation": 0}),
        ((5_000, "8"), (4_000, "0.4"), (1_000, "16"), (100, "40")),
        tier="fast",
        facts=answered(usage={"service_tier": "standard", "speed": "fast"}),
    ),
    "fast mode was asked for and not given": Case(
        "anthropic",
        "claude-opus-5-5",
        usage(10_000, 100),
        ((10_000, "4"), (100, "20")),
        facts={"speed": "fast", **answered(usage={"service_tier": "standard", "speed": "standard"})},
    ),
    "more cached than was sent": Case(
        "anthropic",
        "claude-opus-5-5",
        usage(1_000, 100, {"cache_read": 5_000}),
        ((1_000, "0.2"), (100, "20")),
        status="partial",
    ),
}

GOOGLE = {
    "a name with Google's path": Case(
        "google_genai", "models/gemini-2.5-flash-lite", usage(1_000, 100), ((1_000, "0.1"), (100, "0.4"))
    ),
    "a name with Vertex AI's path": Case(
        "google_vertexai",
        "projects/acme/locations/us-central1/publishers/google/models/gemini-2.5-pro",
        usage(200_001, 100),
        ((200_001, "2.5"), (100, "15")),
    ),
    "on the threshold": Case(
        "google_genai",
        "gemini-3.1-pro-preview",
        usage(200_000, 100, {"cache_read": 150_000}),
        ((50_000, "2"), (150_000, "0.2"), (100, "12")),
    ),
    "above it": Case(
        "google_genai",
        "gemini-3.1-pro-preview",
        usage(200_001, 100, {"cache_read": 150_000}),
        ((50_001, "4"), (150_000, "0.4"), (100, "18")),
    ),
    "langchain-google-vertexai leaves thoughts out": Case(
        "google_vertexai",
        "gemini-2.5-pro",
        usage(1_000, 50, {"cache_read": 0}, {"reasoning": 900}, total=1_950),
        ((1_000, "1.25"), (950, "10")),
    ),
    "audio and a cached prompt": Case(
        "google_genai",
        "gemini-2.5-flash",
        usage(10_000, 100, {"audio": 6_000, "cache_read": 3_000}),
        ((1_000, "0.3"), (3_000, "0.03"), (6_000, "1"), (100, "2.5")),
    ),
    "audio, partly cached at a rate of its own": Case(
        "google_genai",
        "gemini-2.5-flash",
        usage(10_000, 100, {"audio": 6_000, "cache_read": 5_000}),
        ((4_000, "0.03"), (1_000, "0.1"), (5_000, "1"), (100, "2.5")),
    ),
    "Batch API, the long rate": Case(
        "google_genai",
        "gemini-2.5-pro",
        usage(200_001, 100),
        ((200_001, "1.25"), (100, "7.5")),
        tier="batch",
        facts={"processing": "batch"},
    ),
    "a dated version": Case("google_genai", "gemini-2.0-flash-001", usage(1_000, 100), ((1_000, "0.1"), (100, "0.4"))),
    "Claude on Vertex AI": Case(
        "google_anthropic_vertex", "claude-sonnet-4-5@20250929", usage(1_000, 100), ((1_000, "3"), (100, "15"))
    ),
    "Claude on Vertex AI, spelt as LangChain's class": Case(
        "anthropicvertex", "claude-opus-4-5@20251101", usage(1_000, 100), ((1_000, "5"), (100, "25"))
    ),
    "a price that starts next year": Case(
        "google_genai", "gemini-3.8-flash", usage(1_000, 100), ((1_000, "1.5"), (100, "7.5")), at="2027-01-01T00:00:00"
    ),
    "and has not started a second before": Case(
        "google_genai",
        "gemini-3.8-flash",
        usage(1_000, 100),
        ((1_000, "0.75"), (100, "3.75")),
        at="2026-12-31T23:59:59",
    ),
}

BEDROCK = {
    "in one region: ten percent dearer": Case(
        "bedrock_converse",
        "eu.anthropic.claude-haiku-4-5-20251001-v1:0",
        usage(10_000, 100, {"cache_read": 4_000, "cache_creation": 0, "ephemeral_1h_input_tokens": 1_000}),
        ((5_000, "1.1"), (4_000, "0.11"), (1_000, "2.2"), (100, "5.5")),
    ),
    "anywhere": Case(
        "anthropic_bedrock",
        "global.anthropic.claude-haiku-4-5-20251001-v1:0",
        usage(10_000, 100),
        ((10_000, "1"), (100, "5")),
    ),
    "the ARN of a system-defined inference profile": Case(
        "amazon_bedrock",
        "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-haiku-4-5-20251001-v1:0",
        usage(10_000, 100),
        ((10_000, "1.1"), (100, "5.5")),
    ),
    "Nova with a cached prompt": Case(
        "bedrock",
        "us.amazon.nova-pro-v1:0",
        usage(1_000, 100, {"cache_read": 600}),
        ((400, "0.8"), (600, "0.2"), (100, "3.2")),
    ),
    "an application inference profile hides the model": Case(
        "bedrock_converse",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/a1b2c3d4e5f6",
        usage(10_000, 100),
        status="unpriced",
    ),
}

OTHERS = {
    "Azure: a deployment's model": Case(
        "azure_openai",
        "gpt-4o-mini-2024-07-18",
        usage(1_000, 100, {"cache_read": 500}),
        ((500, "0.15"), (500, "0.075"), (100, "0.6")),
    ),
    "Azure: spelt its own way": Case("azure", "gpt-35-turbo", usage(1_000, 100), ((1_000, "0.5"), (100, "1.5"))),
    "Azure: the Batch API": Case(
        "azure",
        "gpt-4o-2024-08-06",
        usage(1_000, 100),
        ((1_000, "1.25"), (100, "5")),
        tier="batch",
        facts={"processing": "batch"},
    ),
    "Azure: a deployment that says no model": Case("azure", "chat-eu", usage(1_000, 100), status="unpriced"),
    "DeepSeek: off-peak until the hour strikes": Case(
        "deepseek",
        "deepseek-flash",
        usage(10_000, 1_000, {"cache_read": 8_000}),
        ((2_000, "0.15"), (8_000, "0.003"), (1_000, "0.6")),
        at="2026-11-16T05:59:59",
    ),
    "DeepSeek: peak with it": Case(
        "deepseek",
        "deepseek-flash",
        usage(10_000, 1_000, {"cache_read": 8_000}),
        ((2_000, "0.3"), (8_000, "0.006"), (1_000, "1.2")),
        at="2026-11-16T06:00:00",
    ),
    "DeepSeek: a dated price": Case(
        "deepseek",
        "deepseek-v4-flash",
        usage(10_000, 1_000, {"cache_read": 8_000}),
        ((2_000, "0.22"), (8_000, "0.007"), (1_000, "0.66")),
        at="2026-08-17T00:00:00",
    ),
    "Groq: a cached prompt": Case(
        "groq",
        "openai/gpt-oss-120b",
        usage(2_000, 100, {"cache_read": 1_024}, {"reasoning": 60}),
        ((976, "0.15"), (1_024, "0.075"), (100, "0.6")),
        facts=answered(service_tier="on_demand"),
    ),
    "xAI: langchain-xai adds reasoning to a sum that has it": Case(
        "xai",
        "grok-4-0709",
        usage(1_000, 1_500, {"cache_read": 400}, {"reasoning": 700}, total=1_800),
        ((600, "3"), (400, "0.75"), (800, "15")),
    ),
    "xAI: on the threshold of 199,999": Case("xai", "grok-4.3", usage(199_999, 10), ((199_999, "1.25"), (10, "2.5"))),
    "xAI: above it": Case("xai", "grok-4.3", usage(200_000, 10), ((200_000, "2.5"), (10, "5"))),
    "Mistral: a dated name": Case("mistralai", "codestral-2508", usage(1_000, 100), ((1_000, "0.3"), (100, "0.9"))),
    "Mistral: latest, in a batch": Case(
        "mistralai",
        "mistral-large-2512",
        usage(1_000, 100),
        ((1_000, "0.25"), (100, "0.75")),
        tier="batch",
        facts={"processing": "batch"},
    ),
    "Cohere: counts in floats": Case(
        "cohere",
        "command-a-03-2025",
        {"input_tokens": 1_000.0, "output_tokens": 100.0, "total_tokens": 1_100.0},
        ((1_000, "2.5"), (100, "10")),
    ),
    "Perplexity: reasoning at a rate of its own": Case(
        "perplexity",
        "sonar-deep-research",
        usage(100, 5_000, None, {"reasoning": 3_000}),
        ((100, "2"), (2_000, "8"), (3_000, "3")),
    ),
    "Fireworks: the whole path of a model": Case(
        "fireworks", "accounts/fireworks/models/gpt-oss-120b", usage(1_000, 100), ((1_000, "0.15"), (100, "0.6"))
    ),
    "Fireworks: somebody's own model": Case(
        "fireworks", "accounts/acme/models/gpt-oss-120b", usage(1_000, 100), status="unpriced"
    ),
    "Together: a vendor's path": Case(
        "together", "meta-llama/Llama-3.3-70B-Instruct-Turbo", usage(1_000, 100), ((1_100, "0.88"),)
    ),
    "ChatDatabricks adds cached tokens again": Case(
        "databricks",
        "databricks-gpt-oss-120b",
        usage(1_800, 100, {"cache_read": 800}, total=1_100),
        ((1_000, "0.15"), (100, "0.6")),
    ),
    "OpenRouter: what it charged": Case(
        "openrouter",
        "anthropic/claude-sonnet-4.5:nitro",
        usage(1_000, 100),
        status="reported",
        fee="0.00421",
        facts=answered(cost=0.00421),
    ),
    "OpenRouter: an own key, its fee on top": Case(
        "openrouter",
        "openai/gpt-4o",
        usage(1_000, 100),
        status="reported",
        fee="0.003675",
        facts=answered(cost=0.000175, cost_details={"upstream_inference_cost": 0.0035}),
    ),
    "OpenRouter: a route whose price nobody told": Case(
        "openrouter", "anthropic/claude-sonnet-4.5:nitro", usage(1_000, 100), status="unpriced"
    ),
    "LiteLLM: what it counted": Case(
        "litellm",
        "azure/my-gpt",
        usage(1_000, 100),
        status="reported",
        fee="0.0035",
        facts=answered(response_cost=0.0035),
    ),
    "LiteLLM: a zero that means nothing": Case(
        "litellm", "azure/my-gpt", usage(1_000, 100), status="unpriced", facts=answered(response_cost=0.0)
    ),
    "a replayed answer": Case("anthropic", "claude-opus-5", usage(1_000, 100) | {"total_cost": 0}, status="cached"),
    "no usage": Case("openai", "gpt-4o", None, status="unpriced"),
    "negative counts": Case("openai", "gpt-4o", usage(-5, -5), status="unpriced"),
    "a model behind a provider of one's own": Case("my_openai_proxy", "gpt-4o", usage(1_000, 100), status="unpriced"),
    "a vendor's name in front, sent to OpenAI's class": Case(
        "openai", "anthropic/claude-sonnet-4.5", usage(1_000, 100), status="unpriced"
    ),
    "no tokens at all is a price": Case("mistralai", "mistral-large-latest", usage(0, 0)),
}

CASES = {
    f"{family}: {name}": case
    for family, cases in (
        ("OpenAI", OPENAI),
        ("Anthropic", ANTHROPIC),
        ("Google", GOOGLE),
        ("Bedrock", BEDROCK),
        ("others", OTHERS),
    )
    for name, case in cases.items()
}


def worked_out(case):
    lines = sum((Decimal(tokens) * Decimal(rate) / 10**6 for tokens, rate in case.lines), Decimal(case.fee))
    return None if case.status == "unpriced" else lines


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_usage_costs_what_it_was_worked_out_to(case):
    cost = price(
        provider=case.provider,
        model=case.model,
        usage_metadata=case.usage,
        at=datetime.fromisoformat(case.at).replace(tzinfo=UTC),
        **case.facts,
    )
    assert (cost.status, cost.amount, cost.tier, cost.tier_unmatched) == (
        case.status,
        worked_out(case),
        case.tier,
        case.unmatched,
    )
