"""What one model call cost, exactly."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple, TypeAlias

PICODOLLARS_PER_DOLLAR = 10**12

CostStatus: TypeAlias = Literal["priced", "reported", "cached", "estimated", "allocated", "partial", "unpriced"]
UnpricedReason: TypeAlias = Literal["unknown_model", "no_usage", "pricing_unavailable"]
PriceMatch: TypeAlias = Literal["exact", "dated", "loose", "override", "none"]


def usd(picodollars: int) -> Decimal:
    """Pico-dollars as an exact `Decimal` number of US dollars."""
    whole, rest = divmod(picodollars, PICODOLLARS_PER_DOLLAR)
    return Decimal(picodollars).scaleb(-12).normalize() if rest else Decimal(whole)


class CostParts(NamedTuple):
    """The categories that make up a cost, in pico-dollars. They partition the total."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    other: int = 0


class Cost(NamedTuple):
    """What one call cost, or why that is not known.

    `amount` is an exact `Decimal` number of US dollars, or None when the call is unpriced: an unknown price is never 0.
    Values are immutable and safe to share between threads.
    """

    status: CostStatus
    parts: CostParts | None = None
    """None when unpriced."""
    source: str | None = None
    """Where the price came from: `genai-prices`, `override`, `provider`, …"""
    version: str | None = None
    match: PriceMatch = "none"
    tier: str | None = None
    tier_unmatched: bool = False
    """True when the price table has no row for the tier and the standard price was used."""
    reason: UnpricedReason | None = None
    prompt_cache_saved: int = 0
    """Pico-dollars that reads from the provider's prompt cache saved against plain input."""
    prompt_cache_premium: int = 0
    """Pico-dollars that writes to the provider's prompt cache cost on top of plain input."""

    @property
    def picodollars(self) -> int | None:
        """The total as an integer of 1e-12 US dollars; None when unpriced."""
        return None if self.parts is None else sum(self.parts)

    @property
    def amount(self) -> Decimal | None:
        """The total in US dollars; None when unpriced."""
        return None if self.parts is None else usd(sum(self.parts))

    @property
    def input(self) -> Decimal | None:
        """US dollars for plain input tokens."""
        return None if self.parts is None else usd(self.parts.input)

    @property
    def cache_read(self) -> Decimal | None:
        """US dollars for tokens read from the provider's prompt cache."""
        return None if self.parts is None else usd(self.parts.cache_read)

    @property
    def cache_write(self) -> Decimal | None:
        """US dollars for tokens written to the provider's prompt cache."""
        return None if self.parts is None else usd(self.parts.cache_write)

    @property
    def output(self) -> Decimal | None:
        """US dollars for output tokens."""
        return None if self.parts is None else usd(self.parts.output)

    @property
    def other(self) -> Decimal | None:
        """US dollars for anything that is not a token: request fees, tools."""
        return None if self.parts is None else usd(self.parts.other)
