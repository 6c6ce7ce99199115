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
_NO_SPEED = (None, "standard")
_WORLDWIDE = frozenset({"", "global", "not_available"})


def billed_tier(
    prefix: str | None, answer: Mapping[str, object], service_tier: object, processing: object, speed: object
) -> tuple[str | None, bool, bool]:
    """The tier that decides the price, and whether the answer named it and its speed.

    None is the standard tier; several facts are joined by `+`.
    """
    billing = mapping(answer.get("usage"))  # langchain-anthropic keeps the provider's usage block here
    if (
        # What Anthropic says of nearly every answer is seen at once, because it is read for each of them.
        billing.get("service_tier") == "standard"
        and billing.get("inference_geo") in _NO_REGION
        and billing.get("speed") in _NO_SPEED
        and not (prefix or processing or speed or "service_tier" in answer)
    ):
        return None, True, billing.get("speed") is not None
    converse = mapping(answer.get("serviceTier"))  # langchain-aws Converse
    named = prefix or _said(answer.get("service_tier"), billing.get("service_tier"), converse.get("type"))
    region = word(billing.get("inference_geo"))
    facts = (
        _said(processing),
        named or _said(service_tier),
        _said(billing.get("speed"), speed),
        None if region in _WORLDWIDE else f"geo-{region}",
    )
    return _joined(*facts), named is not None, _said(billing.get("speed")) is not None


def is_standard(tier: str) -> bool:
    """Whether a request that names this tier, or this speed, asks for no other price than one that names none."""
    spelling = _known_spelling(tier)
    return spelling == _STANDARD or spelling in _SAYS_NOTHING


def agreed_tier(usage: ReportedUsage, terms: PricingTerms) -> str | None:
    """The tier of an answer together with what is known from the request: only where the answer did not name its own.

    Batch processing is never mentioned by an answer and always counts.
    """
    asked = None if usage.tier_is_final else _said(terms.service_tier)
    fast = None if usage.speed_is_final else _said(terms.speed)
    return _joined(_said(terms.processing), asked, *(usage.tier or "").split("+"), fast)


def _joined(*facts: str | None) -> str | None:
    """Each fact once; the standard tier is the absence of any."""
    return "+".join(dict.fromkeys(fact for fact in facts if fact and fact != _STANDARD)) or None


def _said(*values: object) -> str | None:
    """The first value that says something, in one spelling."""
    for value in values:
        if isinstance(value, str):
            tier = _known_spelling(value)
            if tier not in _SAYS_NOTHING:
                return tier
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
