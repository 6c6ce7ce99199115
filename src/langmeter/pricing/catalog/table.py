"""The table of the genai-prices library: the only module that knows it, with `updates`.

The library is imported when a price is first wanted, never when this module is; it is asked once per (provider, model,
tier) and price period. No network call is made and no global state of the library is set.
"""

from __future__ import annotations

import math
import re
import time
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from langmeter import worker
from langmeter.pricing.cards import Card, Source
from langmeter.pricing.catalog import freshness, updates
from langmeter.pricing.catalog.sources import PricingUnavailableError
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.names import listed_model, match_kind, price_provider
from langmeter.pricing.periods import period

if TYPE_CHECKING:
    from types import ModuleType

    from genai_prices.types import ModelInfo, ModelPrice, PriceCalculation

    from langmeter.events import TokenUsage
    from langmeter.pricing.catalog.sources import Below, Subject

_KEPT = 3_600.0
_TIER_DIMENSIONS = ("service_tier", "processing", "speed")
_FREE = re.compile(r"\bfree\b|included in the subscription", re.IGNORECASE)


class GenaiPrices:
    """The table of the genai-prices library, loaded when it is first needed."""

    name = freshness.GENAI_PRICES

    def __init__(self) -> None:
        self._library: ModuleType | None = None
        self._broken: PricingUnavailableError | None = None

    def card(self, subject: Subject, at: float, below: Below) -> Card | None:  # noqa: ARG002  (nothing is below a table)
        """See `PriceSource`; about 0.2 ms once the library is loaded."""
        updates.wake()
        when = datetime.fromtimestamp(at, UTC)
        provider, model, tier = subject.provider, listed_model(subject.model or ""), subject.tier
        if model is None:
            return None
        provider_id = price_provider(provider)
        found = self._look_up(provider_id, model, when)
        # The library also matches provider names by substring, which would price `my_openai_proxy` as OpenAI.
        if found is None or found.provider.id != provider_id:
            return None
        if found.auto_update_timestamp is not None:
            freshness.note_fetched(self.name, found.auto_update_timestamp)
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

    def period(self, subject: Subject, at: float) -> tuple[float, float]:  # noqa: ARG002  (the same for all models)
        """How long an answer may be kept, known or not: fetched prices can take the place of the table at any time.

        An hour, which is how often the library's updater fetches, for the case that the application runs one of its own;
        `updates` tells of the fetches of ours at once.
        """
        return -math.inf, max(at, time.time()) + _KEPT

    def preload(self) -> None:
        """Import the library, touch its data (about 70 ms) and note the date of it, so that no model call has to wait.

        For a thread of our own.

        Raises:
            PricingUnavailableError: the library is missing or broken.
        """
        with worker.importing():
            self._look_up("openai", "gpt-4o", datetime.now(UTC))
        freshness.note_newest_price(self.name, _bundled())

    def known(self, provider: str) -> list[str]:
        """Ids of the models that the table has for a provider, for hints."""
        self._load()
        provider_id = price_provider(provider)
        return [model.id for entry in _bundled() if entry.id == provider_id for model in entry.models]

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
        context, matched = _tier_context(found.model, wanted, when)
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
        # The library gives local time without saying so.
        return self.label() + (f"+upd:{updated.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if updated else "")

    def _library_price(self, price: ModelPrice, tokens: TokenUsage) -> tuple[Decimal, Decimal, Decimal] | None:
        """The library's own arithmetic; without modalities where it refuses their overlap; None when it fails."""
        for counts in (_library_usage(tokens, modalities=True), _library_usage(tokens, modalities=False)):
            try:
                result = price.calc_price(self._load().Usage(**counts))
                return result["input_price"], result["output_price"], result["total_price"]
            except Exception:  # noqa: BLE001, S112  (the next, simpler usage is the handling)
                continue
        return None


def _tier_context(model: ModelInfo, wanted: list[str], when: datetime) -> tuple[dict[str, str], set[str]]:
    """What the library must be told to give a model's price at a tier, and which parts of the tier that covers."""
    context: dict[str, str] = {}
    matched: set[str] = set()
    priced: set[str] = set()
    for variant in getattr(model, "price_variants", None) or ():
        if variant.constraint is not None and not variant.constraint.active(when):
            continue
        # A dimension that is no tier (a route, a kind of search) is nothing that we could match.
        if all(key in _TIER_DIMENSIONS and value in wanted for key, value in variant.when.items()):
            keys = _prices(variant.prices).keys()
            context.update(variant.when)
            # Of two variants with a price for the same thing the library takes the first: the other has no effect.
            if priced.isdisjoint(keys):
                matched.update(variant.when.values())
            priced.update(keys)
    return context, matched


def _bundled() -> list[Any]:
    """The entries that the library ships with."""
    from genai_prices.data import providers  # noqa: PLC0415  (loaded with the library, never at import)

    return providers


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
