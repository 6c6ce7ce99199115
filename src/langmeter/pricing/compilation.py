"""From a price table's entry to a rate card.

An entry maps price keys, as genai-prices spells them, to US dollars per million tokens (`…_mtok`) or per thousand
requests. The result depends on nothing else, so a card may be compiled on any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Protocol, TypeAlias

from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.cards import Card, SlowPath, Source, picodollars, quick_rates
from langmeter.pricing.leaves import Rates

_PER_MILLION = PICODOLLARS_PER_DOLLAR // 10**6
_PER_THOUSAND = PICODOLLARS_PER_DOLLAR // 10**3

_TOKEN_KEYS = frozenset(
    {
        "input_mtok",
        "cache_read_mtok",
        "cache_write_mtok",
        "cache_write_1h_mtok",
        "input_audio_mtok",
        "cache_audio_read_mtok",
        "input_image_mtok",
        "cache_image_read_mtok",
        "output_mtok",
        "output_audio_mtok",
        "output_image_mtok",
        "output_reasoning_mtok",
    }
)
_FEE_KEY = "requests_kcount"
OVERRIDE_KEYS = _TOKEN_KEYS | {_FEE_KEY}
"""The prices that a user may set, in US dollars per million tokens and per thousand requests."""

_NOT_IN_USAGE = frozenset(
    {
        "audio_hours",
        "code_executions_kcount",
        "input_annotated_document_kpages",
        "input_audio_hours",
        "input_document_kpages",
        "input_gpixels",
        "input_mchars",
        "input_text_messages_kcount",
        "input_video_mtok",
        "output_audio_hours",
        "output_citation_mtok",
        "output_video_mtok",
        "rerank_searches_kcount",
        "social_searches_kcount",
        "storage_searches_kcount",
        "web_searches_kcount",
    }
)
"""Prices of things that LangChain's usage never counts."""


class LongContextStep(Protocol):
    """A price that applies to the whole request once its input is larger than `start` tokens."""

    start: int
    price: Decimal


class LongContextPrice(Protocol):
    """A price per million tokens that depends on the size of the input."""

    base: Decimal
    tiers: list[LongContextStep]


Price: TypeAlias = "Decimal | LongContextPrice"


def compile_card(
    prices: Mapping[str, Price],
    source: Source,
    *,
    slow_path: SlowPath | None = None,
    valid_from: float = -math.inf,
    valid_until: float = math.inf,
) -> Card | None:
    """A card for prices in US dollars per million tokens; None when they price nothing that LangChain counts.

    Args:
        prices: price key to amount, as genai-prices and our overrides spell them.
        source: what the cost will say about its origin.
        slow_path: used instead of the card's own arithmetic when `prices` has a key that is not known here.
        valid_from: unix seconds, included.
        valid_until: unix seconds, excluded.
    """
    known = {key: price for key, price in prices.items() if key in OVERRIDE_KEYS and _is_readable(price)}
    fee = known.get(_FEE_KEY, Decimal(0))
    understood = isinstance(fee, Decimal) and prices.keys() <= known.keys() | _NOT_IN_USAGE
    if understood and not known:
        return None
    thresholds = sorted({start for price in known.values() for start in _thresholds(price)}, reverse=True)
    rates = _rates(known, 0)
    flat_fee = picodollars(fee * _PER_THOUSAND) if isinstance(fee, Decimal) else 0
    return Card(
        rates=rates,
        source=source,
        long_context=tuple((start, _rates(known, start + 1)) for start in thresholds),
        fee=flat_fee,
        priced_keys=frozenset(known),
        quick=quick_rates(rates, flat_fee, source, min(thresholds, default=math.inf))
        if understood and _is_plain(known)
        else None,
        slow_path=None if understood else slow_path,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _is_plain(prices: Mapping[str, Price]) -> bool:
    """Whether input, cached input and output are all that text is billed by."""
    return "input_mtok" in prices and "output_mtok" in prices and "output_reasoning_mtok" not in prices


def _is_readable(price: object) -> bool:
    return isinstance(price, Decimal) or (hasattr(price, "base") and hasattr(price, "tiers"))


def _thresholds(price: Price) -> Iterator[int]:
    if not isinstance(price, Decimal):
        yield from (step.start for step in price.tiers)


def _rates(prices: Mapping[str, Price], size: int) -> Rates:
    """The rates for an input of `size` tokens, stand-ins filled in."""

    def rate(key: str, stand_in: float) -> float:
        price = prices.get(key)
        if price is None:
            return stand_in
        if not isinstance(price, Decimal):
            steps = sorted(price.tiers, key=lambda step: step.start)
            price = next((step.price for step in reversed(steps) if size > step.start), price.base)
        return picodollars(price * _PER_MILLION)

    plain = rate("input_mtok", 0.0)
    read, write = rate("cache_read_mtok", plain), rate("cache_write_mtok", plain)
    audio, image, output = rate("input_audio_mtok", plain), rate("input_image_mtok", plain), rate("output_mtok", 0.0)
    read_is_priced = "cache_read_mtok" in prices
    return Rates(
        input=plain,
        cache_read=read,
        cache_write=write,
        cache_write_1h=rate("cache_write_1h_mtok", write),
        input_audio=audio,
        cache_audio_read=rate("cache_audio_read_mtok", read if read_is_priced else audio),
        input_image=image,
        cache_image_read=rate("cache_image_read_mtok", read if read_is_priced else image),
        output=output,
        output_audio=rate("output_audio_mtok", output),
        output_image=rate("output_image_mtok", output),
        reasoning=rate("output_reasoning_mtok", output),
    )
