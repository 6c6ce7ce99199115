"""Usage figures: what each integration really sends, and what of it is billed."""

import math
import random
from collections.abc import Mapping
from decimal import Decimal

import pytest
from pydantic import BaseModel

from langmeter.events import PricingTerms, ReportedUsage, TokenUsage
from langmeter.pricing.repairs import repaired
from langmeter.pricing.tiers import agreed_tier
from langmeter.pricing.usage import _ordinary, reported_usage


def usage(billed, output, details=None, output_details=None, **more):
    metadata = {"input_tokens": billed, "output_tokens": output, "total_tokens": billed + output}
    if details is not None:
        metadata["input_token_details"] = details
    if output_details is not None:
        metadata["output_token_details"] = output_details
    return metadata | more


PECULIARITIES = {
    "plain": (usage(10, 5), {}, ReportedUsage(TokenUsage(10, 5))),
    "a zero that was sent is a zero": (
        usage(10, 5, {"cache_read": 0, "audio": 0}, {"reasoning": 0, "audio": 0}),
        {},
        ReportedUsage(TokenUsage(10, 5, cache_read=0, reasoning=0, input_audio=0, output_audio=0)),
    ),
    "every detail": (
        usage(
            100,
            50,
            {"cache_read": 40, "cache_creation": 20, "audio": 5, "image": 6, "text": 89},
            {"reasoning": 7, "audio": 8, "image": 9, "text": 26},
        ),
        {},
        ReportedUsage(TokenUsage(100, 50, 40, 20, None, 7, 89, 6, 5, 26, 9, 8)),
    ),
    "langchain-openai flex puts the tier before the names, and its own figure is not added": (
        usage(
            10_000,
            1_000,
            {"flex": 8_000, "flex_cache_read": 2_000, "flex_cache_creation": 3_000},
            {"flex_reasoning": 4},
        ),
        {},
        ReportedUsage(TokenUsage(10_000, 1_000, 2_000, 3_000, reasoning=4), "flex", tier_is_final=True),
    ),
    "langchain-openai priority": (
        usage(10, 5, {"audio": 1, "priority": 6, "priority_cache_read": 4}, {"priority": 5}),
        {"response_metadata": {"service_tier": "priority"}},
        ReportedUsage(TokenUsage(10, 5, 4, input_audio=1), "priority", tier_is_final=True),
    ),
    "langchain-openai other tiers leave the names alone": (
        usage(10, 5, {"cache_read": 4}),
        {"response_metadata": {"service_tier": "ultrafast"}},
        ReportedUsage(TokenUsage(10, 5, 4), "ultrafast", tier_is_final=True),
    ),
    "langchain-anthropic zeroes cache_creation beside the lifetimes": (
        usage(
            9_050,
            400,
            {
                "cache_read": 0,
                "cache_creation": 0,
                "ephemeral_5m_input_tokens": 1_000,
                "ephemeral_1h_input_tokens": 8_000,
            },
        ),
        {},
        ReportedUsage(TokenUsage(9_050, 400, 0, 9_000, 8_000)),
    ),
    "only one lifetime": (
        usage(100, 1, {"ephemeral_5m_input_tokens": 60}),
        {},
        ReportedUsage(TokenUsage(100, 1, None, 60)),
    ),
    "langchain-anthropic standard answer": (
        usage(10, 5),
        {"response_metadata": {"usage": {"service_tier": "standard", "inference_geo": "global"}}, "speed": None},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "langchain-anthropic batch answer": (
        usage(10, 5),
        {"response_metadata": {"usage": {"service_tier": "batch"}}},
        ReportedUsage(TokenUsage(10, 5), "batch", tier_is_final=True),
    ),
    "Anthropic's fast mode": (usage(10, 5), {"speed": "fast"}, ReportedUsage(TokenUsage(10, 5), "fast")),
    "Anthropic's fast mode was asked for and not given": (
        usage(10, 5),
        {"speed": "fast", "response_metadata": {"usage": {"speed": "standard"}}},
        ReportedUsage(TokenUsage(10, 5), speed_is_final=True),
    ),
    "residency has a price of its own and is said": (
        usage(10, 5),
        {"response_metadata": {"usage": {"service_tier": "standard", "inference_geo": "us"}}, "processing": "batch"},
        ReportedUsage(TokenUsage(10, 5), "batch+geo-us", tier_is_final=True),
    ),
    "langchain-aws Converse": (
        usage(10, 5),
        {"response_metadata": {"serviceTier": {"type": "flex"}}},
        ReportedUsage(TokenUsage(10, 5), "flex", tier_is_final=True),
    ),
    "the answer's tier goes before the one asked for": (
        usage(10, 5),
        {"response_metadata": {"service_tier": "default"}, "service_tier": "priority"},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "an answer that says default is final": (
        usage(10, 5),
        {"response_metadata": {"service_tier": "default"}},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "an answer of auto says nothing": (
        usage(10, 5),
        {"response_metadata": {"service_tier": "auto"}, "service_tier": "Priority"},
        ReportedUsage(TokenUsage(10, 5), "priority"),
    ),
    "Groq's on_demand is the standard tier": (
        usage(10, 5),
        {"response_metadata": {"service_tier": "on_demand"}},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "a tier that is no text says nothing": (
        usage(10, 5),
        {"response_metadata": {"service_tier": 3, "usage": {"service_tier": None}}, "service_tier": "flex"},
        ReportedUsage(TokenUsage(10, 5), "flex"),
    ),
    "Converse's standard tier": (
        usage(10, 5),
        {"response_metadata": {"serviceTier": {"type": "default"}}, "service_tier": "priority"},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "Anthropic's standard tier": (
        usage(10, 5),
        {"response_metadata": {"usage": {"service_tier": "standard", "speed": None}}, "service_tier": "priority"},
        ReportedUsage(TokenUsage(10, 5), tier_is_final=True),
    ),
    "a usage block that names no tier": (
        usage(10, 5),
        {"response_metadata": {"usage": {"inference_geo": "us"}}, "service_tier": "priority"},
        ReportedUsage(TokenUsage(10, 5), "priority+geo-us"),
    ),
    "a tier in the details goes before the one asked for": (
        usage(10, 5, {"flex_cache_read": 4}),
        {"service_tier": "priority"},
        ReportedUsage(TokenUsage(10, 5, 4), "flex", tier_is_final=True),
    ),
    "the Batch API": (
        usage(10, 5),
        {"response_metadata": {"service_tier": "default"}, "processing": "batch"},
        ReportedUsage(TokenUsage(10, 5), "batch", tier_is_final=True),
    ),
    "langchain-google-vertexai leaves thoughts out of the output": (
        usage(1_000, 200, None, {"reasoning": 500}, total_tokens=1_700),
        {},
        ReportedUsage(TokenUsage(1_000, 700, reasoning=500)),
    ),
    "and the prompts of Google's tools, which are in nothing but the total": (
        usage(1_000, 200, None, {"reasoning": 500}, total_tokens=1_730),
        {},
        ReportedUsage(TokenUsage(1_000, 700, reasoning=500, consistent=False)),
    ),
    "Perplexity's research models bill reasoning on top, and citations that have no place here": (
        usage(33, 7_163, None, {"reasoning": 193_008, "citation_tokens": 20_016}),
        {},
        ReportedUsage(TokenUsage(33, 200_171, reasoning=193_008, consistent=False)),
    ),
    "no citations, nothing that cannot be priced": (
        usage(33, 100, None, {"reasoning": 50, "citation_tokens": 0}),
        {},
        ReportedUsage(TokenUsage(33, 150, reasoning=50)),
    ),
    "langchain-xai adds reasoning twice": (
        usage(1_000, 1_200, {"cache_read": 100}, {"reasoning": 500}, total_tokens=1_700),
        {},
        ReportedUsage(TokenUsage(1_000, 700, 100, reasoning=500)),
    ),
    "ChatDatabricks adds cache reads twice": (
        usage(1_800, 200, {"cache_read": 800}, total_tokens=1_200),
        {},
        ReportedUsage(TokenUsage(1_000, 200, 800)),
    ),
    "a total that nothing explains": (
        usage(10, 5, total_tokens=99),
        {},
        ReportedUsage(TokenUsage(10, 5, consistent=False)),
    ),
    "a total that was not sent": (
        {"input_tokens": 10, "output_tokens": 5},
        {},
        ReportedUsage(TokenUsage(10, 5)),
    ),
    "langchain-openrouter says its charge": (
        usage(10, 5),
        {"response_metadata": {"cost": 0.00375, "cost_details": {"upstream_inference_cost": None}}},
        ReportedUsage(TokenUsage(10, 5), cost_usd=0.00375),
    ),
    "langchain-openrouter, upstream cost equal to the charge": (
        usage(10, 5),
        {"response_metadata": {"cost": 0.00375, "cost_details": {"upstream_inference_cost": 0.00375}}},
        ReportedUsage(TokenUsage(10, 5), cost_usd=0.00375),
    ),
    "langchain-openrouter with an own key: the fee and the provider's bill": (
        usage(10, 5),
        {"response_metadata": {"cost": 0.0625, "cost_details": {"upstream_inference_cost": 1.25}}},
        ReportedUsage(TokenUsage(10, 5), cost_usd=1.3125),
    ),
    "langchain-openai talking to OpenRouter": (
        usage(10, 5),
        {"response_metadata": {"token_usage": {"cost": 0.5, "is_byok": False}}},
        ReportedUsage(TokenUsage(10, 5), cost_usd=0.5),
    ),
    "langchain-litellm says its charge": (
        usage(10, 5),
        {"response_metadata": {"response_cost": 0.25}},
        ReportedUsage(TokenUsage(10, 5), cost_usd=0.25),
    ),
    "litellm's 0 means that it does not know": (
        usage(10, 5),
        {"response_metadata": {"response_cost": 0.0}},
        ReportedUsage(TokenUsage(10, 5)),
    ),
    "langchain-core marks an answer of its cache": (
        usage(10, 5, total_cost=0),
        {},
        ReportedUsage(TokenUsage(10, 5), replayed=True),
    ),
    "any other total_cost is no mark": (usage(10, 5, total_cost=0.1), {}, ReportedUsage(TokenUsage(10, 5))),
    "more cached than there was": (
        usage(10, 5, {"cache_read": 30, "cache_creation": 4}),
        {},
        ReportedUsage(TokenUsage(10, 5, 10, 0, consistent=False)),
    ),
    "more reasoning and audio than output": (
        usage(10, 5, {"audio": 11}, {"reasoning": 6, "audio": 7}),
        {},
        ReportedUsage(TokenUsage(10, 5, reasoning=5, input_audio=10, output_audio=5, consistent=False)),
    ),
    "a negative count": (
        usage(-3, 5, total_tokens=None),
        {},
        ReportedUsage(TokenUsage(0, 5, consistent=False)),
    ),
    "nothing but negative counts is no usage": (usage(-3, -5), {}, ReportedUsage()),
    "a whole float": (usage(10.0, 5), {}, ReportedUsage(TokenUsage(10, 5))),
    "a fraction of a token": (
        usage(10.5, 5, total_tokens=None),
        {},
        ReportedUsage(TokenUsage(10, 5, consistent=False)),
    ),
    "a figure that is no count of tokens": (usage(10**15, 5), {}, ReportedUsage()),
    "no output": ({"input_tokens": 10, "total_tokens": 10}, {}, ReportedUsage()),
    "empty": ({}, {}, ReportedUsage()),
    "none": (None, {}, ReportedUsage()),
}


@pytest.mark.parametrize(("metadata", "facts", "expected"), PECULIARITIES.values(), ids=PECULIARITIES)
def test_the_peculiarities_of_the_integrations(metadata, facts, expected):
    facts = dict(facts)
    assert reported_usage(metadata, facts.pop("response_metadata", None), **facts) == expected


TERMS = {
    "nothing known": (ReportedUsage(), PricingTerms(), None),
    "only the request": (ReportedUsage(), PricingTerms(service_tier="Flex"), "flex"),
    "the request's auto says nothing": (ReportedUsage(), PricingTerms(service_tier="auto"), None),
    "the request's default is the standard tier": (ReportedUsage(), PricingTerms(service_tier="default"), None),
    "the answer's tier goes before the request's": (
        ReportedUsage(tier="priority", tier_is_final=True),
        PricingTerms(service_tier="flex"),
        "priority",
    ),
    "and so does its standard tier": (ReportedUsage(tier_is_final=True), PricingTerms(service_tier="flex"), None),
    "no answer mentions batch": (
        ReportedUsage(tier="geo-us", tier_is_final=True),
        PricingTerms(processing="batch", service_tier="flex"),
        "batch+geo-us",
    ),
    "said twice, counted once": (
        ReportedUsage(tier="batch+fast", tier_is_final=True),
        PricingTerms(processing="batch", speed="fast"),
        "batch+fast",
    ),
    "a region is no tier": (ReportedUsage(tier="geo-us"), PricingTerms(service_tier="flex"), "flex+geo-us"),
    "fast": (ReportedUsage(tier_is_final=True), PricingTerms(speed="fast"), "fast"),
    "standard speed": (ReportedUsage(), PricingTerms(speed="standard", processing="realtime"), None),
}


@pytest.mark.parametrize(("usage", "terms", "expected"), TERMS.values(), ids=TERMS)
def test_what_the_request_says_about_the_tier(usage, terms, expected):
    assert agreed_tier(usage, terms) == expected


def test_the_short_way_gives_what_the_long_way_gives():
    checked = 0
    for metadata, _, _ in PECULIARITIES.values():
        if not isinstance(metadata, dict):
            continue
        quick = reported_usage(metadata).tokens
        assert quick == repaired(metadata)[0]
        checked += 1
    assert checked > 30


class Hostile(Mapping):
    """A mapping that raises from every method."""

    def __getitem__(self, key):
        raise RuntimeError(key)

    def __iter__(self):
        raise RuntimeError

    def __len__(self):
        raise RuntimeError


class Unreadable:
    def __index__(self):
        raise RuntimeError

    def __bool__(self):
        raise RuntimeError


class Model(BaseModel):
    input_tokens: int = 3
    output_tokens: int = 4


GARBAGE = [
    None,
    "",
    "12",
    b"12",
    -1,
    1.5,
    math.nan,
    math.inf,
    -math.inf,
    10**400,
    True,
    [],
    [1],
    {},
    {"a": 1},
    {1: 2},
    Decimal(3),
    Model(),
    Hostile(),
    Unreadable(),
    object(),
]


@pytest.mark.parametrize("garbage", GARBAGE, ids=[f"{type(value).__name__}-{n}" for n, value in enumerate(GARBAGE)])
def test_garbage_never_raises_and_never_invents_tokens(garbage):
    assert reported_usage(garbage, garbage, service_tier=garbage, processing=garbage, speed=garbage).tokens is None
    for field in ("input_tokens", "output_tokens"):
        broken = reported_usage(usage(1_000, 10) | {field: garbage}).tokens
        assert broken is None or not broken.consistent
    for field in ("total_tokens", "input_token_details", "output_token_details", "total_cost"):
        tokens = reported_usage(usage(1_000, 10) | {field: garbage}).tokens
        assert tokens is None or (tokens.input_tokens, tokens.output_tokens) == (1_000, 10)
    for key in ("cache_read", "cache_creation", "ephemeral_1h_input_tokens", "audio", "flex_cache_read"):
        tokens = reported_usage(usage(1_000, 10, {key: garbage})).tokens
        assert tokens is not None
        assert tokens.input_tokens == 1_000
        assert 0 <= (tokens.cache_read or 0) + (tokens.cache_write or 0) <= 1_000
    for key in ("cost", "response_cost", "service_tier", "usage", "token_usage", "serviceTier", "cost_details"):
        assert reported_usage(usage(1_000, 10), {key: garbage}).tokens == TokenUsage(1_000, 10)


def test_the_usage_of_the_application_is_not_touched():
    metadata = usage(10, 5, {"flex_cache_read": 3, "flex": 7}, {"flex": 5})
    copy = usage(10, 5, {"flex_cache_read": 3, "flex": 7}, {"flex": 5})
    reported_usage(metadata, {"service_tier": "flex"})
    assert metadata == copy


def random_usage(rng):
    """Figures as integrations send them, most of them sound, some contradictory or odd."""
    billed, output = rng.choice((0, 1, 5_000, rng.randrange(10**6))), rng.randrange(9_000)
    metadata = usage(billed, output)
    for name, keys, whole in (
        (
            "input_token_details",
            ("cache_read", "cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens", "audio", "text"),
            billed,
        ),
        ("output_token_details", ("reasoning", "audio", "image"), output),
    ):
        if rng.random() < 0.8:
            share = whole // 3 + rng.choice((0, 0, 0, whole))
            details = {key: rng.randrange(share + 1) for key in rng.sample(keys, rng.randrange(len(keys)))}
            if details and rng.random() < 0.1:
                details[rng.choice(list(details))] = rng.choice((None, -1, 2.0, 1.5, True, "7", math.nan, 10**400))
            metadata[name] = rng.choice((details, details, details, None))
    if rng.random() < 0.2:
        field = rng.choice(("input_tokens", "output_tokens", "total_tokens"))
        metadata[field] = rng.choice((None, -1, 1.0, 0.5, "3", 10**16, metadata[field] + 7))
    return metadata


def test_the_short_way_gives_what_the_long_way_gives_for_random_figures():
    rng, short = random.Random(20_261_122), 0
    for _ in range(20_000):
        metadata = random_usage(rng)
        assert reported_usage(metadata) == ReportedUsage(repaired(metadata)[0])
        short += _ordinary(metadata) is not None
    assert 5_000 < short < 19_000
