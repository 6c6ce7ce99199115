"""Prices of model calls: where they come from, in which order, and what is said when there is none."""

from langmeter.pricing.catalog.chain import Catalog, cached_cost, reported_cost
from langmeter.pricing.catalog.sources import (
    AnyCard,
    Below,
    DatedSource,
    PriceSource,
    PricingUnavailableError,
    Subject,
    nothing_below,
)
from langmeter.pricing.catalog.table import GenaiPrices

__all__ = [
    "AnyCard",
    "Below",
    "Catalog",
    "DatedSource",
    "GenaiPrices",
    "PriceSource",
    "PricingUnavailableError",
    "Subject",
    "cached_cost",
    "nothing_below",
    "reported_cost",
]
