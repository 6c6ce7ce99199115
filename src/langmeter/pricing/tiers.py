"""The service tier that decides the price of an answer. Pure."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from langmeter.pricing.reading import mapping, word

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langmeter.events import PricingTerms, ReportedUsage

_TIER_PREFIXES = ("flex", "priority", "fast", "ultrafast", "scale", "batch")
_STANDARD_TIERS = frozenset(
    {
        "default",
        "not_available",
        "none",
        "normal",
        "on_demand",
        "on-demand",
        "online",
        "realtime",
        "standard",
        "standard_only",
        "unspecified",
    }
)
_STANDARD = "standard"
_SAYS_NOTHING = frozenset({"", "auto"})
_TIER_SPELLINGS = {"on_demand_flex": "flex", "on_demand_priority": "priority"}  # Vertex AI's traffic types
_NO_REGION = (None, "global", "not_available")
_WORLDWIDE = frozenset({"", "global", "not_available"})


def billed_tier(
    prefix: str | None, answer: Mapping[str, object], service_tier: object, processing: object, speed: object
) -> str | None:
    """The tier that decides the price, None for the standard one; several facts are joined by `+`."""
    if processing is None and speed is None and "usage" not in answer and "serviceTier" not in answer:
        answered = answer.get("service_tier")
        return prefix if answered == "default" else prefix or _first_said(answered, service_tier)
    billing = mapping(answer.get("usage"))  # langchain-anthropic keeps the provider's usage block here
    if not (prefix or processing or speed or "service_tier" in answer) and _is_ordinary(billing):
        return None
    converse = mapping(answer.get("serviceTier"))  # langchain-aws Converse
    tier = prefix or _first_said(
        answer.get("service_tier"), billing.get("service_tier"), converse.get("type"), service_tier
    )
    region = word(billing.get("inference_geo"))
    fast = _first_said(billing.get("speed"), speed)
    if processing is None and fast is None and region in _WORLDWIDE:
        return tier
    facts = (_first_said(processing), tier, fast, None if region in _WORLDWIDE else f"geo-{region}")
    return "+".join(dict.fromkeys(fact for fact in facts if fact)) or None


def agreed_tier(usage: ReportedUsage, terms: PricingTerms) -> str | None:
    """The tier of an answer together with what is known from the request: only where the answer did not name its own.

    Batch processing is never mentioned by an answer and always counts.
    """
    asked = None if usage.tier_is_final else _first_said(terms.service_tier)
    fast = None if usage.tier is not None and "fast" in usage.tier.split("+") else _first_said(terms.speed)
    facts = (_first_said(terms.processing), usage.tier or asked, fast)
    return "+".join(dict.fromkeys(fact for fact in facts if fact)) or None


def _is_ordinary(billing: Mapping[str, object]) -> bool:
    """Whether Anthropic says what it says of nearly every answer: seen at once, because it is read for each of them."""
    standard = billing.get("service_tier") == "standard" and "speed" not in billing
    return standard and billing.get("inference_geo") in _NO_REGION


def _first_said(*values: object) -> str | None:
    """The first value that says something, None if that is the standard tier."""
    for value in values:
        if isinstance(value, str):
            tier = _known_spelling(value)
            if tier not in _SAYS_NOTHING:
                return None if tier == _STANDARD else tier
    return None


@functools.lru_cache(maxsize=256)
def _known_spelling(text: str) -> str:
    """One spelling for each tier, and one for all the names of the standard tier."""
    spelling = word(text)
    return _STANDARD if spelling in _STANDARD_TIERS else _TIER_SPELLINGS.get(spelling, spelling)


def tier_prefix(details: Mapping[str, object]) -> str | None:
    """The tier that langchain-openai puts before the names of details (`flex_cache_read`)."""
    keys = [str(key) for key in details]
    return next((tier for tier in _TIER_PREFIXES for key in keys if key == tier or key.startswith(tier + "_")), None)
