"""Rate cards: the price of one model at one tier, compiled once, and the arithmetic on them.

Rates are floats in pico-dollars (1e-12 USD) per token. Each category of a cost is rounded once to an integer of
pico-dollars, and the total is the sum of its categories. Cards are immutable and know no price table: everything here is
pure and may be called from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from langmeter.events import PICODOLLARS_PER_DOLLAR, Cost, CostParts, CostStatus, PriceMatch, TokenUsage, UnpricedReason
from langmeter.pricing.leaves import Rates, leaves

SlowPath: TypeAlias = Callable[[TokenUsage], "tuple[Decimal, Decimal, Decimal] | None"]
"""(input, output, total) in US dollars, None when even the table's own arithmetic fails."""


class Source(NamedTuple):
    """Where a card came from."""

    name: str
    version: str | None = None
    match: PriceMatch = "none"
    tier: str | None = None
    tier_unmatched: bool = False
    provider_id: str | None = None
    model_id: str | None = None


_SECONDS_PER_HOUR = 3_600
_build = tuple.__new__
"""Builds a named tuple from all its fields at once: half the time of its constructor, which counts here."""


def unpriceable(tier: str | None, reason: UnpricedReason) -> Cost:
    """The cost of a call whose price is not known."""
    return Cost("unpriced", tier=tier, reason=reason)


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A card that remembers that there is none, so that an unknown model costs one look-up a call."""

    answer: Cost
    valid_from: float = -math.inf
    valid_until: float = math.inf

    def cost(self, tokens: TokenUsage) -> Cost:  # noqa: ARG002  (the interface of `Card`)
        """The same unpriced cost for every usage."""
        return self.answer


QuickRates: TypeAlias = tuple[
    float, int, int, int, int, int, int, int, int, str, str | None, PriceMatch, str | None, bool
]
"""What the short way of `Card.cost` needs, in whole pico-dollars, so that nothing is left to round.

Most input tokens; rate of input; of a cache read, and what it saves against input; of a cache write, what that costs on top of
input, and what an hour adds to both; of output; the fee; name, version, match, tier, unmatched. A plain tuple: a named one
takes three times as long to unpack.
"""


@dataclass(frozen=True, slots=True)
class Card:
    """The price of one model at one tier, for requests that start in [`valid_from`, `valid_until`) (unix seconds)."""

    rates: Rates
    source: Source
    long_context: tuple[tuple[int, Rates], ...] = ()
    """(threshold, rates), the largest threshold first. More input tokens than the threshold move the whole request."""
    fee: float = 0.0
    """Pico-dollars per request."""
    priced_keys: frozenset[str] = frozenset()
    """The prices that the table gives; the other rates are stand-ins."""
    quick: QuickRates | None = None
    """The short way for usage without modalities; None where it would not be exact."""
    slow_path: SlowPath | None = None
    """The table's own arithmetic, for a card with prices that the compiler does not know."""
    valid_from: float = -math.inf
    valid_until: float = math.inf

    def cost(self, tokens: TokenUsage) -> Cost:
        """What `tokens` cost. Never raises for counts that are not negative; wrong splits are clamped.

        Formula: sum over categories of tokens times rate, plus the fee; rates by the size of the whole input.
        """
        billed, output, read, write, hour, _, _, image_in, audio_in, _, image_out, audio_out, consistent = tokens
        quick = self.quick
        if quick is None or audio_in or audio_out or image_in or image_out or not consistent:
            return self._detailed(tokens)
        (
            limit,
            rate,
            read_rate,
            saving,
            write_rate,
            extra,
            hour_extra,
            output_rate,
            fee,
            name,
            version,
            match,
            tier,
            off,
        ) = quick
        plain, read_cost, write_cost, saved, premium = billed, 0, 0, 0, 0
        if read:
            plain -= read
            read_cost = read * read_rate
            saved = read * saving
        if write:
            plain -= write
            write_cost = write * write_rate
            premium = write * extra
            if hour:
                write_cost += hour * hour_extra
                premium += hour * hour_extra
        if billed > limit or plain < 0 or (hour and hour > (write or 0)):
            return self._detailed(tokens)
        parts = _build(CostParts, (plain * rate, read_cost, write_cost, output * output_rate, fee))
        return _build(Cost, ("priced", parts, name, version, match, tier, off, None, saved, premium))

    def _detailed(self, tokens: TokenUsage) -> Cost:
        """The same for every usage and every card."""
        if self.slow_path is not None:
            return self._slow(tokens)
        counts = leaves(tokens)
        status = self._status(tokens)
        if status == "unpriced":
            return unpriceable(self.source.tier, "unknown_model")
        rates = next((row for threshold, row in self.long_context if tokens.input_tokens > threshold), self.rates)
        saved = (
            counts.text_read * (rates.input - rates.cache_read)
            + counts.audio_read * (rates.input_audio - rates.cache_audio_read)
            + counts.image_read * (rates.input_image - rates.cache_image_read)
        )
        premium = counts.write * (rates.cache_write - rates.input) + counts.write_1h * (
            rates.cache_write_1h - rates.input
        )
        return self._priced(status, counts.parts(rates, self.fee), *_both_positive(saved, premium))

    def _slow(self, tokens: TokenUsage) -> Cost:
        prices = self.slow_path(tokens) if self.slow_path else None
        if prices is None or (not prices[2] and tokens.total_tokens and "input_mtok" not in self.priced_keys):
            return unpriceable(self.source.tier, "pricing_unavailable")
        billed_input, output, total = (round(price * PICODOLLARS_PER_DOLLAR) for price in prices)
        parts = CostParts(input=billed_input, output=output, other=total - billed_input - output)
        return self._priced("priced" if tokens.consistent else "partial", parts, 0, 0)

    def _priced(self, status: CostStatus, parts: CostParts, saved: float, premium: float) -> Cost:
        source = self.source
        return Cost(
            status,
            parts,
            source.name,
            source.version,
            source.match,
            source.tier,
            source.tier_unmatched,
            prompt_cache_saved=round(saved),
            prompt_cache_premium=round(premium),
        )

    def _status(self, tokens: TokenUsage) -> CostStatus:
        """`partial` when a stand-in rate was used that is known to be wrong; `unpriced` when no rate applies at all."""
        keys = self.priced_keys
        no_input = tokens.input_tokens > 0 and "input_mtok" not in keys
        no_output = tokens.output_tokens > 0 and "output_mtok" not in keys
        if (
            (no_input or no_output)
            and (no_input or not tokens.input_tokens)
            and (no_output or not tokens.output_tokens)
        ):
            return "unpriced"
        wrong = (
            no_input
            or no_output
            or not tokens.consistent
            or (tokens.input_audio and "input_audio_mtok" not in keys)
            or (tokens.output_audio and "output_audio_mtok" not in keys)
            or (tokens.output_image and "output_image_mtok" not in keys)
        )
        return "partial" if wrong else "priced"


@dataclass(frozen=True, slots=True)
class HourlyCard:
    """The price of a model that is paid by the hour, for requests that start in [`valid_from`, `valid_until`)."""

    picodollars_per_hour: float
    source: Source
    valid_from: float = -math.inf
    valid_until: float = math.inf

    def allocated(self, seconds: float, tier: str | None = None) -> Cost:
        """The share of the hourly price that falls on one call; it comes in one piece, so it is all `other`.

        An allocation, not a bill: the hours in which nothing was asked are in no call.

        Args:
            seconds: of the model's time that the call had to itself: its duration over the calls that shared the model.
            tier: passed on; an hourly price has no tiers.
        """
        share = round(self.picodollars_per_hour * max(seconds, 0.0) / _SECONDS_PER_HOUR)
        source = self.source
        return Cost("allocated", CostParts(other=share), source.name, source.version, source.match, tier)


def scaled(card: Card, multiplier: Decimal, source: Source) -> Card:
    """The card with every price times `multiplier`: for discounts, and for models priced as another one.

    Whole pico-dollars stay whole where the product is; the period and the keys that the table prices stay as they are.

    Args:
        card: any card, the table's own arithmetic included.
        multiplier: at least 0.
        source: what the new card's costs say about their origin; the old card's is not kept.
    """
    rates = _scaled_rates(card.rates, multiplier)
    fee = _scaled_amount(card.fee, multiplier)
    return replace(
        card,
        rates=rates,
        source=source,
        long_context=tuple((threshold, _scaled_rates(row, multiplier)) for threshold, row in card.long_context),
        fee=fee,
        quick=None if card.quick is None else quick_rates(rates, fee, source, card.quick[0]),
        slow_path=None if card.slow_path is None else _scaled_slow_path(card.slow_path, multiplier),
    )


def _scaled_rates(rates: Rates, multiplier: Decimal) -> Rates:
    return Rates(*(_scaled_amount(rate, multiplier) for rate in rates))


def _scaled_amount(amount: float, multiplier: Decimal) -> float:
    # `str` gives the shortest decimal that means this float: the published figure, not its binary neighbour.
    return picodollars(Decimal(str(amount)) * multiplier)


def _scaled_slow_path(slow_path: SlowPath, multiplier: Decimal) -> SlowPath:
    def multiplied(tokens: TokenUsage) -> tuple[Decimal, Decimal, Decimal] | None:
        prices = slow_path(tokens)
        if prices is None:
            return None
        billed_input, output, total = prices
        return billed_input * multiplier, output * multiplier, total * multiplier

    return multiplied


def picodollars(amount: Decimal) -> float:
    """An amount as the cards hold it: an integer where it is one, as nearly all are, so that products of it stay exact."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def quick_rates(rates: Rates, fee: float, source: Source, limit: float) -> QuickRates | None:
    """The short way for inputs of up to `limit` tokens; None where it would not be exact.

    It is not where an amount is no whole number, nor where cached tokens are dearer than plain ones: see `_both_positive`.
    """
    amounts = (rates.input, rates.cache_read, rates.cache_write, rates.cache_write_1h, rates.output, fee)
    if not all(isinstance(amount, int) for amount in amounts):
        return None
    plain, read, write, write_1h, output, flat_fee = map(int, amounts)
    if not read <= plain <= min(write, write_1h):
        return None
    return (limit, plain, read, plain - read, write, write - plain, write_1h - write, output, flat_fee, *source[:5])


def _both_positive(saved: float, premium: float) -> tuple[float, float]:
    """Saving and premium as two amounts that never fall, with the same difference: both feed monotonic counters."""
    return max(saved, 0.0) + max(-premium, 0.0), max(premium, 0.0) + max(-saved, 0.0)
