"""Rate cards: the price of one model at one tier, compiled once, and the arithmetic on them.

Rates are floats in pico-dollars (1e-12 USD) per token. Each category of a cost is rounded once to an integer of
pico-dollars, and the total is the sum of its categories. Cards are immutable and know no price table: everything here is
pure and may be called from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
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


class QuickRates(NamedTuple):
    """What the short way of `Card.cost` needs: whole pico-dollars, so that nothing is left to round."""

    limit: float
    """More input tokens than this are priced the long way."""
    input: int
    cache_read: int
    cache_write: int
    cache_write_1h: int
    output: int
    fee: int
    name: str
    version: str | None
    match: PriceMatch
    tier: str | None
    tier_unmatched: bool


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
        limit, rate, read_rate, write_rate, hour_rate, output_rate, fee, name, version, match, tier, unmatched = quick
        plain, read_cost, write_cost, saved, premium = billed, 0, 0, 0, 0
        if read:
            plain -= read
            read_cost = read * read_rate
            saved = read * rate - read_cost
        if write:
            plain -= write
            write_cost = write * write_rate
            if hour:
                write_cost += hour * (hour_rate - write_rate)
            premium = write_cost - write * rate
        if billed > limit or plain < 0 or saved < 0 or premium < 0 or (hour and hour > (write or 0)):
            return self._detailed(tokens)
        parts = _build(CostParts, (plain * rate, read_cost, write_cost, output * output_rate, fee))
        return _build(Cost, ("priced", parts, name, version, match, tier, unmatched, None, saved, premium))

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


def _both_positive(saved: float, premium: float) -> tuple[float, float]:
    """Saving and premium as two amounts that never fall, with the same difference: both feed monotonic counters."""
    return max(saved, 0.0) + max(-premium, 0.0), max(premium, 0.0) + max(-saved, 0.0)
