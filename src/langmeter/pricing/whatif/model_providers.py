"""Which provider a model name stands for when nobody says so."""

from __future__ import annotations

from typing import Final

from langmeter.pricing.catalog import GenaiPrices, PricingUnavailableError, Subject, nothing_below
from langmeter.pricing.names import clean_model

# Those who make a model go before those who host it: a bare name is usually meant to be its maker's.
MAKERS: Final = (
    "openai",
    "anthropic",
    "google",
    "mistral",
    "x-ai",
    "deepseek",
    "cohere",
    "perplexity",
    "meta",
    "moonshotai",
    "minimax",
    "zhipuai",
    "zai",
    "voyageai",
    "arcee",
)
_HOSTS: Final = (
    "aws",
    "azure",
    "groq",
    "together",
    "fireworks",
    "cerebras",
    "openrouter",
    "databricks",
    "cloudflare",
    "baseten",
    "novita",
    "github-copilot",
    "ovhcloud",
)
_SURE: Final = ("exact", "dated")


def providers_of(model: str, at: float) -> tuple[str, ...]:
    """The providers that list a model under this name, makers before hosts; empty when none does.

    A rule on prefixes is not enough here: it would find a price for nearly every name. Asks the price table only, not
    overrides; takes about 5 ms.

    Args:
        model: a model's name.
        at: unix seconds.
    """
    table, name = GenaiPrices(), clean_model(model)

    def lists(provider: str) -> bool:
        try:
            card = table.card(Subject(provider, name), at, nothing_below)
        except PricingUnavailableError:
            return False
        return card is not None and card.source.match in _SURE

    return tuple(provider for provider in (*MAKERS, *_HOSTS) if lists(provider)) if name else ()
