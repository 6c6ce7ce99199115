"""Prices for model calls: the sources in order, their cards, and what is said when there is none.

The only module that knows genai-prices. The library is imported by `Catalog.preload`, or at the first price that nothing
cheaper answers, never when this module is imported; it is asked once per (provider, model, tier) and price period. No
network call is made and no global state of the library is set.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from langmeter.boundary import swallow
from langmeter.events import PICODOLLARS_PER_DOLLAR, Cost, CostParts, ReportedUsage, TokenUsage
from langmeter.pricing import notices
from langmeter.pricing.cards import Card, Source, Unpriced, unpriceable
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.names import clean_model, match_kind, nearest, price_provider
from langmeter.pricing.periods import period

if TYPE_CHECKING:
    from types import ModuleType

    from genai_prices.types import ModelInfo, ModelPrice, PriceCalculation

    from langmeter.settings import Settings

_MAX_KEYS = 4_096
_TIER_DIMENSIONS = ("service_tier", "processing", "speed")
_FREE = re.compile(r"\bfree\b|included in the subscription", re.IGNORECASE)
_PROBE_MODEL = ("openai", "gpt-4o")


class PriceSource(Protocol):
    """Something that knows prices: an override, a correction, a table."""

    name: str

    def card(self, provider: str, model: str, tier: str | None, at: float) -> Card | None:
        """The card in force at `at` (unix seconds), None when the model is not known here.

        Called on the thread of the model call, once per (provider, model, tier) and price period. `provider` is the
        caller's name for it, `model` is cleaned of paths. An exception counts as an unavailable source.
        """


class PricingUnavailableError(Exception):
    """A price source cannot answer at all; the message says why."""


class Catalog:
    """The price of every model call, from the first source that knows its model.

    Safe to share between threads: a warm price is a look-up in a dictionary and takes no lock. Nothing raises: what goes
    wrong is counted at the boundary and the call is unpriced.

    Args:
        settings: reserved for the file of overrides and for online updates.
        overrides: sources asked before genai-prices, in order.
    """

    __slots__ = ("_cards", "_settings", "_sources", "_table")

    def __init__(self, settings: Settings, *, overrides: tuple[PriceSource, ...] = ()) -> None:
        self._settings = settings
        self._table = GenaiPrices()
        self._sources: tuple[PriceSource, ...] = (*overrides, self._table)
        self._cards: dict[tuple[str, str | None, str | None], Card | Unpriced] = {}

    def price(self, provider: str, model: str | None, usage: ReportedUsage, *, at: float) -> Cost:
        """What a call costs.

        Args:
            provider: a LangChain provider name or a `gen_ai.provider.name`.
            model: as the answer, or else the request, names it.
            usage: priced as given, whether or not a cache replayed it: that is for the caller to know.
            at: start of the request, unix seconds. Prices in force at that instant apply.
        """
        try:
            tokens, tier, charge, _ = usage
            if charge is not None:
                return reported_cost(charge, tier)
            if tokens is None:
                return unpriceable(tier, "no_usage")
            key = (provider, model, tier)
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
            self._table.card(*_PROBE_MODEL, None, 0.0)
        except PricingUnavailableError as error:
            notices.unavailable(self._table.name, error)
        except Exception as error:  # noqa: BLE001  (no price is worth the application's start)
            swallow("pricing", error)

    def _first_sight(self, key: tuple[str, str | None, str | None], at: float) -> Card | Unpriced:
        card = self._find(key, at)
        cards = self._cards
        if len(cards) >= _MAX_KEYS:
            # Dropping everything is rare and costs 0.2 ms per model still in use; it needs no lock that a fork could break.
            cards = self._cards = {}
        cards[key] = card
        return card

    def _find(self, key: tuple[str, str | None, str | None], at: float) -> Card | Unpriced:
        provider, model, tier = key
        available = True
        name = clean_model(model) if model else ""
        for source in self._sources if name else ():
            try:
                card = source.card(provider, name, tier, at)
            except PricingUnavailableError as error:
                available = False
                notices.unavailable(source.name, error)
            except Exception as error:  # noqa: BLE001  (one broken source must not hide the others)
                available = False
                swallow("pricing", error)
            else:
                if card is not None:
                    if card.source.match == "loose":
                        notices.loose_match(provider, name, card.source.model_id, card.source.version)
                    return card
        if not available:
            return Unpriced(unpriceable(tier, "pricing_unavailable"))
        if name and notices.first_time("unknown", provider, name):
            known = self._table.known(provider)
            notices.unknown_model(provider, name, self._table.label(), nearest(name, known))
        return Unpriced(unpriceable(tier, "unknown_model"))


def reported_cost(charge: float, tier: str | None = None) -> Cost:
    """The cost of a call whose gateway said what it charged (US dollars). It comes in one piece, so it is all `other`."""
    return Cost("reported", CostParts(other=round(charge * PICODOLLARS_PER_DOLLAR)), "provider", tier=tier)


def cached_cost() -> Cost:
    """The cost of a call that a response cache answered: nothing, whatever its model."""
    return Cost("cached", CostParts())


class GenaiPrices:
    """The table of the genai-prices library, loaded when it is first needed."""

    name = "genai-prices"

    def __init__(self) -> None:
        self._library: ModuleType | None = None
        self._broken: PricingUnavailableError | None = None

    def card(self, provider: str, model: str, tier: str | None, at: float) -> Card | None:
        """See `PriceSource`; about 0.2 ms once the library is loaded."""
        when = datetime.fromtimestamp(at, UTC)
        provider_id = price_provider(provider)
        found = self._look_up(provider_id, model, when)
        # The library also matches provider names by substring, which would price `my_openai_proxy` as OpenAI.
        if found is None or found.provider.id != provider_id:
            return None
        priced, tier_unmatched = self._at_tier(found, model, tier, when) if tier else (found, False)
        prices = _prices(priced.model_price)
        source = Source(
            self.name,
            self._version(found),
            match_kind(model, found.model.id, listed=_lists(found.model.match, model.lower())),
            tier,
            tier_unmatched,
            found.provider.id,
            found.model.id,
        )
        if not prices and _is_free(found.model):
            prices = {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
        valid_from, valid_until = period(found.model, when)
        return compile_card(
            prices,
            source,
            slow_path=lambda tokens: self._library_price(priced.model_price, tokens),
            valid_from=valid_from,
            valid_until=valid_until,
        )

    def known(self, provider: str) -> list[str]:
        """Ids of the models that the table has for a provider, for hints."""
        self._load()
        from genai_prices.data import providers  # noqa: PLC0415  (loaded with the library, never at import)

        provider_id = price_provider(provider)
        return [model.id for entry in providers if entry.id == provider_id for model in entry.models]

    def label(self) -> str:
        """Name and version."""
        return f"{self.name}/{self._load().__version__}"

    def _load(self) -> Any:
        if self._broken is not None:
            raise self._broken
        if self._library is None:
            try:
                import genai_prices  # noqa: PLC0415  (34 to 70 ms; only when a price is wanted)
            except Exception as error:
                self._broken = PricingUnavailableError(f"genai-prices cannot be imported: {error}")
                raise self._broken from error
            self._library = genai_prices
        return self._library

    def _look_up(
        self, provider: str, model: str, when: datetime, context: dict[str, str] | None = None
    ) -> PriceCalculation | None:
        library = self._load()
        try:
            nothing = library.Usage(input_tokens=0, output_tokens=0)
            found: PriceCalculation = library.calc_price(
                nothing, model, provider_id=provider, genai_request_timestamp=when, price_context=context
            )
        except Exception as error:
            if type(error) is LookupError:  # and not a KeyError, which is a defect
                return None
            raise PricingUnavailableError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        return found

    def _at_tier(self, found: PriceCalculation, model: str, tier: str, when: datetime) -> tuple[PriceCalculation, bool]:
        """The price at a tier, and whether a part of the tier has no price of its own."""
        wanted = tier.split("+")
        context: dict[str, str] = {}
        matched = set()
        for variant in getattr(found.model, "price_variants", None) or ():
            if variant.constraint is not None and not variant.constraint.active(when):
                continue
            # A dimension that is no tier (a route, a kind of search) is nothing that we could match.
            if all(key in _TIER_DIMENSIONS and value in wanted for key, value in variant.when.items()):
                context.update(variant.when)
                matched.update(variant.when.values())
        unmatched = not matched.issuperset(wanted)
        if not context:
            return found, unmatched
        # The library applies variants to a provider's own models only: models that Azure or Vertex AI borrow are looked up
        # where they come from.
        for origin in (found.provider.id, *(found.provider.fallback_model_providers or ())):
            priced = self._look_up(origin, model, when)
            if priced is not None and priced.model is found.model and _owns(priced):
                return self._look_up(origin, model, when, context) or found, unmatched
        return found, True

    def _version(self, found: PriceCalculation) -> str:
        updated = found.auto_update_timestamp
        return self.label() + (f"+upd:{updated.isoformat(timespec='seconds')}" if updated else "")

    def _library_price(self, price: ModelPrice, tokens: TokenUsage) -> tuple[Decimal, Decimal, Decimal] | None:
        """The library's own arithmetic; without modalities where it refuses their overlap; None when it fails."""
        for counts in (_library_usage(tokens, modalities=True), _library_usage(tokens, modalities=False)):
            try:
                result = price.calc_price(self._load().Usage(**counts))
                return result["input_price"], result["output_price"], result["total_price"]
            except Exception:  # noqa: BLE001, S112  (the next, simpler usage is the handling)
                continue
        return None


def _library_usage(tokens: TokenUsage, *, modalities: bool) -> dict[str, int]:
    counts = {
        "input_tokens": tokens.input_tokens,
        "output_tokens": tokens.output_tokens,
        "cache_read_tokens": tokens.cache_read,
        "cache_write_tokens": tokens.cache_write,
    }
    if modalities:
        counts |= {
            "cache_write_1h_tokens": tokens.cache_write_1h,
            "input_text_tokens": tokens.input_text,
            "input_image_tokens": tokens.input_image,
            "input_audio_tokens": tokens.input_audio,
            "output_text_tokens": tokens.output_text,
            "output_image_tokens": tokens.output_image,
            "output_audio_tokens": tokens.output_audio,
            "output_reasoning_tokens": tokens.reasoning,
        }
    return {key: count for key, count in counts.items() if count is not None}


def _prices(price: ModelPrice) -> dict[str, Any]:
    return {key: value for key, value in vars(price).items() if value is not None and not key.startswith("_")}


def _owns(found: PriceCalculation) -> bool:
    return any(found.model is model for model in found.provider.models)


def _is_free(model: ModelInfo) -> bool:
    """Whether an entry without prices says that the model is free, rather than that nobody knows."""
    return bool(_FREE.search(f"{model.id} {model.name or ''} {model.price_comments or ''}"))


def _lists(clause: Any, name: str) -> bool:
    """Whether a match rule names a model literally."""
    literal = getattr(clause, "equals", None)
    if isinstance(literal, str):
        return literal.lower() == name
    return any(_lists(inner, name) for inner in getattr(clause, "or_", ()))
