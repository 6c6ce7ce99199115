"""Prices for model calls: the sources in order, their cards, and what is said when there is none.

First match wins: what the application said about this call, its overrides, our corrections, genai-prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from langmeter.boundary import swallow
from langmeter.events import PICODOLLARS_PER_DOLLAR, Cost, CostParts, PricingTerms, ReportedUsage
from langmeter.pricing import notices
from langmeter.pricing.cards import Card, Unpriced, unpriceable
from langmeter.pricing.catalog.sources import Below, PriceSource, PricingUnavailableError, Subject
from langmeter.pricing.catalog.table import GenaiPrices
from langmeter.pricing.names import clean_model, nearest

if TYPE_CHECKING:
    from langmeter.settings import Settings

_MAX_KEYS = 4_096
_PROBE = Subject("openai", "gpt-4o")
_build = tuple.__new__
"""Builds a named tuple from all its fields at once: half the time of its constructor, which counts here."""


class Catalog:
    """The price of every model call, from the first source that knows its model.

    Safe to share between threads: a warm price is a look-up in a dictionary and takes no lock. Nothing raises: what goes
    wrong is counted at the boundary and the call is unpriced.

    Args:
        settings: the file and the dictionary of overrides, and whether the table may update itself.
        overrides: sources asked before all others, in order.
    """

    __slots__ = ("_cards", "_settings", "_sources", "_table")

    def __init__(self, settings: Settings, *, overrides: tuple[PriceSource, ...] = ()) -> None:
        self._settings = settings
        self._table = GenaiPrices()
        self._sources: tuple[PriceSource, ...] = (*overrides, self._table)
        self._cards: dict[Subject, Card | Unpriced] = {}

    def price(
        self,
        provider: str,
        model: str | None,
        usage: ReportedUsage,
        *,
        at: float,
        requested: str | None = None,
        deployment: str | None = None,
        terms: PricingTerms | None = None,
        model_time: Callable[[], float] | None = None,  # noqa: ARG002
    ) -> Cost:
        """What a call costs.

        Args:
            provider: a LangChain provider name or a `gen_ai.provider.name`.
            model: as the answer, or else the request, names it.
            usage: priced as given, whether or not a cache replayed it: that is for the caller to know.
            at: start of the request, unix seconds. Prices in force at that instant apply.
            requested: the name that the request gave, where that is another one.
            deployment: the name of an Azure deployment.
            terms: what the application said about the price of this call.
            model_time: seconds of a model's time that the call had to itself, for models that are paid by the hour; asked
                only for those.
        """
        try:
            tokens, tier, charge, _, _ = usage
            if charge is not None:
                return reported_cost(charge, tier)
            if tokens is None:
                return unpriceable(tier, "no_usage")
            key = _build(Subject, (provider, model, tier, requested, deployment, terms))
            card = self._cards.get(key)
            if card is None or not card.valid_from <= at < card.valid_until:
                card = self._first_sight(key, at)
            return card.cost(tokens)
        except Exception as error:  # noqa: BLE001  (no price is worth the application's call)
            swallow("pricing", error)
            return Cost("unpriced", reason="pricing_unavailable")

    def preload(self) -> None:
        """Import the price table and touch its data (about 70 ms), so that no model call has to wait for it.

        Meant for a thread of our own when instrumentation is switched on. Never raises.
        """
        try:
            self._table.card(_PROBE, 0.0, _nothing_below)
        except PricingUnavailableError as error:
            notices.unavailable(self._table.name, error)
        except Exception as error:  # noqa: BLE001  (no price is worth the application's start)
            swallow("pricing", error)

    def _first_sight(self, key: Subject, at: float) -> Card | Unpriced:
        card = self._find(key, at)
        cards = self._cards
        if len(cards) >= _MAX_KEYS:
            # Dropping everything is rare and costs 0.2 ms per model still in use; it needs no lock that a fork could break.
            cards = self._cards = {}
        cards[key] = card
        return card

    def _find(self, key: Subject, at: float) -> Card | Unpriced:
        subject = key._replace(model=clean_model(key.model or ""))
        search = _Search(self._sources)
        card = search.below(0)(subject, at) if subject.model else None
        if card is not None:
            if card.source.match == "loose":
                notices.loose_match(subject.provider, subject.model or "", card.source.model_id, card.source.version)
            return card
        if search.failed:
            return Unpriced(unpriceable(key.tier, "pricing_unavailable"))
        if subject.model and notices.first_time("unknown", subject.provider, subject.model):
            known = self._table.known(subject.provider)
            notices.unknown_model(subject.provider, subject.model, self._table.label(), nearest(subject.model, known))
        return Unpriced(unpriceable(key.tier, "unknown_model"))


class _Search:
    """One walk down the sources; remembers whether any of them could not answer."""

    __slots__ = ("_sources", "failed")

    def __init__(self, sources: tuple[PriceSource, ...]) -> None:
        self._sources = sources
        self.failed = False

    def below(self, depth: int) -> Below:
        """Asks the sources from `depth` on."""

        def ask(subject: Subject, at: float) -> Card | None:
            for index in range(depth, len(self._sources)):
                card = self._ask(self._sources[index], subject, at, index)
                if card is not None:
                    return card
            return None

        return ask

    def _ask(self, source: PriceSource, subject: Subject, at: float, index: int) -> Card | None:
        try:
            return source.card(subject, at, self.below(index + 1))
        except PricingUnavailableError as error:
            self.failed = True
            notices.unavailable(source.name, error)
        except Exception as error:  # noqa: BLE001  (one broken source must not hide the others)
            self.failed = True
            swallow("pricing", error)
        return None


def _nothing_below(_subject: Subject, _at: float) -> None:
    return None


def reported_cost(charge: float, tier: str | None = None) -> Cost:
    """The cost of a call whose gateway said what it charged (US dollars). It comes in one piece, so it is all `other`."""
    return Cost("reported", CostParts(other=round(charge * PICODOLLARS_PER_DOLLAR)), "provider", tier=tier)


def cached_cost() -> Cost:
    """The cost of a call that a response cache answered: nothing, whatever its model."""
    return Cost("cached", CostParts())
