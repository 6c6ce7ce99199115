"""Prices for model calls: the sources in order, their cards, and what is said when there is none.

First match wins: what the application said about this call, its overrides, our corrections, genai-prices.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from langmeter.boundary import swallow
from langmeter.events import PICODOLLARS_PER_DOLLAR, Cost, CostParts, PricingTerms, ReportedUsage
from langmeter.pricing import notices
from langmeter.pricing.cards import HourlyCard, Unpriced, unpriceable
from langmeter.pricing.catalog import updates
from langmeter.pricing.catalog.own_prices import OwnPrices, PriceSettings
from langmeter.pricing.catalog.sources import AnyCard, Below, DatedSource, PriceSource, PricingUnavailableError, Subject
from langmeter.pricing.catalog.table import GenaiPrices
from langmeter.pricing.corrections import corrections
from langmeter.pricing.names import clean_model, nearest
from langmeter.pricing.overrides import narrowed
from langmeter.pricing.price_files.book import ALWAYS
from langmeter.pricing.terms import CallTerms

if TYPE_CHECKING:
    from langmeter.settings import Settings

_MAX_KEYS = 4_096


_Key: TypeAlias = "tuple[str, str | None, str | None, str | None, str | None, PricingTerms | None]"
"""The fields of a `Subject`."""


class Catalog:
    """The price of every model call, from the first source that knows its model.

    Safe to share between threads: a warm price is a look-up in a dictionary and takes no lock. Nothing raises: what goes
    wrong is counted at the boundary and the call is unpriced.

    Args:
        settings: the file and the dictionary of overrides. The file is read again when it changes, on a thread of ours.
        overrides: sources asked before all others, in order.

    Raises:
        PriceFileError: overrides that are named in code have a fault. Those of the environment are warned about.
    """

    __slots__ = ("__weakref__", "_cards", "_first", "_hourly", "_last", "_state", "_table")

    def __init__(self, settings: Settings, *, overrides: tuple[PriceSource, ...] = ()) -> None:
        self._table = GenaiPrices()
        self._first: tuple[PriceSource, ...] = (*overrides, CallTerms())
        self._last: tuple[PriceSource, ...] = (corrections(), self._table)
        own = PriceSettings(settings)
        self._adopt(own.current)
        own.watch(self._adopt)
        if settings.auto_update:
            updates.on_new_prices(self.forget)
            updates.start()

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
        model_time: Callable[[], float] | None = None,
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
            tokens, tier, charge, _, _, _ = usage
            if charge is not None and (terms is None or terms.override is None):
                return reported_cost(charge, tier)
            if tokens is None and not self._hourly:
                return unpriceable(tier, "no_usage")
            key = (provider, model, tier, requested, deployment, terms)  # equal to a `Subject`, and quicker to make
            card = self._cards.get(key)
            if card is None or not card.valid_from <= at < card.valid_until:
                card = self._first_sight(Subject(*key), at)
            if tokens is None or isinstance(card, HourlyCard):
                return _without_tokens(card, tier, model_time)
            return card.cost(tokens)
        except Exception as error:  # noqa: BLE001  (no price is worth the application's call)
            swallow("pricing", error)
            return Cost("unpriced", reason="pricing_unavailable")

    def preload(self) -> None:
        """Import the price table and touch its data (about 70 ms), so that no model call has to wait for it.

        Meant for a thread of our own when instrumentation is switched on. Never raises.
        """
        try:
            self._table.preload()
        except PricingUnavailableError as error:
            notices.unavailable(self._table.name, error)
        except Exception as error:  # noqa: BLE001  (no price is worth the application's start)
            swallow("pricing", error)

    def card(self, subject: Subject, at: float) -> AnyCard:
        """The card that prices a subject at `at` (unix seconds); an unpriced one where no source has a price.

        Compiled at the first sight of each subject and price period, 0.2 ms, and kept. May raise what a broken source does
        in our tests, and nothing outside of them.
        """
        card = self._cards.get(subject)
        if card is None or not card.valid_from <= at < card.valid_until:
            card = self._first_sight(subject, at)
        return card

    def forget(self) -> None:
        """Look every price up again from now on: for a table that has been updated."""
        self._cards: dict[_Key, AnyCard] = {}

    def _adopt(self, own: OwnPrices) -> None:
        """Use another state of the application's own prices. One assignment each, and the cards last: see `_first_sight`."""
        self._state = (own, (*self._first, *own.sources, *self._last))
        self._hourly = own.hourly
        self.forget()

    def _first_sight(self, key: Subject, at: float) -> AnyCard:
        cards = self._cards
        if len(cards) >= _MAX_KEYS:
            # Dropping everything is rare and costs 0.2 ms per model still in use; it needs no lock that a fork could break.
            cards = self._cards = {}
        # The dictionary was taken first: if the prices change now, this card goes into the one that is dropped with them.
        card = cards[key] = self._find(key, at)
        return card

    def _find(self, key: Subject, at: float) -> AnyCard:
        own, sources = self._state
        subject = key._replace(model=clean_model(key.model or ""))
        search = _Search(sources)
        card = search.below(0)(subject, at)
        if card is None or isinstance(card, Unpriced):
            missing = self._missing(subject, search, at) if card is None else card
            return narrowed(missing, search.period)
        if card.source.match == "loose":
            notices.loose_match(subject.provider, subject.model or "", card.source.model_id, card.source.version)
        return narrowed(own.applied_to(card, subject), search.period)

    def _missing(self, subject: Subject, search: _Search, at: float) -> Unpriced:
        if search.failed:  # which says nothing about other times: calls at those ask again
            return Unpriced(unpriceable(subject.tier, "pricing_unavailable"), valid_from=at)
        if subject.model and notices.first_time("unknown", subject.provider, subject.model):
            known = self._table.known(subject.provider)
            notices.unknown_model(subject.provider, subject.model, self._table.label(), nearest(subject.model, known))
        return Unpriced(unpriceable(subject.tier, "unknown_model"))


class _Search:
    """One walk down the sources; remembers whether any of them could not answer, and for how long the answers hold."""

    __slots__ = ("_answers", "_sources", "failed", "period")

    def __init__(self, sources: tuple[PriceSource, ...]) -> None:
        self._sources = sources
        self._answers: dict[tuple[int, Subject, float], AnyCard | None] = {}
        self.failed = False
        self.period = ALWAYS

    def below(self, depth: int) -> Below:
        """Asks the sources from `depth` on."""

        def ask(subject: Subject, at: float) -> AnyCard | None:
            for index in range(depth, len(self._sources)):
                question = (index, subject, at)
                if question not in self._answers:  # or a source before it has asked already
                    self._answers[question] = self._ask(self._sources[index], subject, at, index)
                card = self._answers[question]
                if card is not None:
                    return card
            return None

        return ask

    def _ask(self, source: PriceSource, subject: Subject, at: float, index: int) -> AnyCard | None:
        try:
            if isinstance(source, DatedSource):
                since, until = source.period(subject, at)
                self.period = (max(self.period[0], since), min(self.period[1], until))
            return source.card(subject, at, self.below(index + 1))
        except PricingUnavailableError as error:
            self.failed = True
            notices.unavailable(source.name, error)
        except Exception as error:  # noqa: BLE001  (one broken source must not hide the others)
            self.failed = True
            swallow("pricing", error)
        return None


def _without_tokens(card: AnyCard, tier: str | None, model_time: Callable[[], float] | None) -> Cost:
    """The cost of a call of a model that is paid by the hour, or of one that reported no usage."""
    if isinstance(card, HourlyCard) and model_time is not None:
        return card.allocated(model_time(), tier)
    return unpriceable(tier, "no_usage")


def reported_cost(charge: float, tier: str | None = None) -> Cost:
    """The cost of a call whose gateway said what it charged (US dollars). It comes in one piece, so it is all `other`."""
    return Cost("reported", CostParts(other=round(charge * PICODOLLARS_PER_DOLLAR)), "provider", tier=tier)


def cached_cost() -> Cost:
    """The cost of a call that a response cache answered: nothing, whatever its model."""
    return Cost("cached", CostParts())
