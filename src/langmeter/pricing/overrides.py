"""Cards from a set of prices as a user or we wrote it: the first entry that fits a call and holds at its start."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, cast

from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.cards import Card, HourlyCard, Source, Unpriced, picodollars, scaled, unpriceable
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.notices import unknown_base_model
from langmeter.pricing.price_files.book import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langmeter.events import PriceMatch
    from langmeter.pricing.catalog.sources import AnyCard, Below, Subject
    from langmeter.pricing.compilation import Price
    from langmeter.pricing.price_files.book import BaseModel, PriceBook, PriceRow


class Book:
    """A price source that answers from a set of prices. Immutable, so any thread may ask.

    Args:
        prices: the set.
        name: what costs name as their source.
        match: what costs say about how the model was found.
        version: what costs name as the version; `ovr:` and the digest of the set if left out.
    """

    def __init__(
        self, prices: PriceBook, *, name: str = "override", match: PriceMatch = "override", version: str | None = None
    ) -> None:
        self.name = name
        self.version = version or f"ovr:{prices.digest()}"
        self._prices = prices
        self._match = match

    def card(self, subject: Subject, at: float, below: Below) -> AnyCard | None:
        """See `PriceSource`; None when no entry is for the call at that time."""
        return self._card(subject, at, below, ())

    def period(self, subject: Subject, at: float) -> tuple[float, float]:
        """See `DatedSource`."""
        since, until = ALWAYS
        for row in self._fitting(subject):
            row_since, row_until = row.period(at)
            since, until = max(since, row_since), min(until, row_until)
        return since, until

    def _fitting(self, subject: Subject) -> Iterator[PriceRow]:
        provider, model, deployment = subject.provider, subject.model, subject.deployment
        for row in self._prices.rows:
            if row.match.fits(provider, model, subject.requested, deployment=deployment):
                yield row

    def _card(self, subject: Subject, at: float, below: Below, tried: tuple[PriceRow, ...]) -> AnyCard | None:
        row = next((row for row in self._fitting(subject) if row not in tried and row.holds(at)), None)
        if row is None:
            # Only a base model goes on from here: for the call itself, the chain asks the next source.
            return below(subject, at) if tried else None
        if row.base is not None:
            return self._derived(row, row.base, subject, at, below, tried)
        prices, unmatched = row.prices_at(subject.tier)
        provider, model = row.match.provider or subject.provider, row.match.model or subject.model
        source = Source(self.name, self.version, self._match, subject.tier, unmatched, provider, model)
        if row.per_hour is not None:
            hourly = picodollars(row.per_hour * PICODOLLARS_PER_DOLLAR)
            return HourlyCard(hourly, source._replace(tier_unmatched=False))
        return compile_card(cast("Mapping[str, Price]", dict(prices)), source)

    def _derived(
        self, row: PriceRow, base: BaseModel, subject: Subject, at: float, below: Below, tried: tuple[PriceRow, ...]
    ) -> AnyCard:
        asked = subject._replace(
            provider=base.provider or subject.provider, model=base.model, requested=None, deployment=None
        )
        card = self._card(asked, at, below, (*tried, row))
        if card is None or isinstance(card, Unpriced):
            unknown_base_model(asked.provider, base.model, f"the entry for {row.match}")
            card = Unpriced(unpriceable(subject.tier, "unknown_model"))
        else:
            version = card.source.version
            combined = version if version == self.version else f"{version}+{self.version}"
            source = card.source._replace(name=self.name, version=combined, match=self._match)
            card = multiplied(card, row.multiplier, source)
        return narrowed(card, self.period(asked, at))


def multiplied(card: Card | HourlyCard, multiplier: Decimal, source: Source) -> Card | HourlyCard:
    """The card with every price times `multiplier`, and with another origin."""
    if isinstance(card, Card):
        return scaled(card, multiplier, source)
    amount = Decimal(str(card.picodollars_per_hour)) * multiplier
    return replace(card, picodollars_per_hour=picodollars(amount), source=source)


def narrowed(card: AnyCard, period: tuple[float, float]) -> AnyCard:
    """The card, good for no longer than a period (unix seconds, half-open)."""
    since, until = max(card.valid_from, period[0]), min(card.valid_until, period[1])
    return (
        card
        if (since, until) == (card.valid_from, card.valid_until)
        else replace(card, valid_from=since, valid_until=until)
    )
