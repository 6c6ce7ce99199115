"""`langmeter.price`: the price of one usage, on request."""

from __future__ import annotations

import functools
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from langmeter.errors import SettingsError
from langmeter.pricing.cards import Card, Source, unpriceable
from langmeter.pricing.catalog import Catalog, cached_cost
from langmeter.pricing.compilation import OVERRIDE_KEYS, Price, compile_card
from langmeter.pricing.usage import reported_usage
from langmeter.settings import Settings

if TYPE_CHECKING:
    from langmeter.events import Cost


def price(  # noqa: PLR0913  (every fact that decides a price, all by name)
    *,
    provider: str,
    model: str | None,
    usage_metadata: Mapping[str, object] | None,
    at: datetime | float | None = None,
    response_metadata: Mapping[str, object] | None = None,
    service_tier: str | None = None,
    processing: str | None = None,
    speed: str | None = None,
    cache_hit: bool = False,
    override: Mapping[str, object] | None = None,
) -> Cost:
    """What one model call costs, in US dollars, with the status that says how far the figure can be trusted.

    The price is the provider's published one, unless a gateway reported its charge or `override` sets another. An unknown
    model gives an unpriced cost, never $0. Nothing is fetched from the network; the first call loads the price table
    (about 70 ms), later ones take microseconds. Safe to call from any thread.

    Args:
        provider: LangChain's provider name (`openai`, `bedrock_converse`, …) or a `gen_ai.provider.name`.
        model: the model's name as the answer, or else the request, gives it.
        usage_metadata: `AIMessage.usage_metadata`.
        at: start of the request: a datetime (UTC when it names no zone) or unix seconds; now by default. Prices in force
            at that instant apply.
        response_metadata: `AIMessage.response_metadata`: tier, residency, a gateway's charge.
        service_tier: the tier asked for, `flex` or `priority` for instance; what the answer says goes before it.
        processing: `batch` for the Batch API.
        speed: `fast` for Anthropic's fast mode.
        cache_hit: whether a response cache answered; nothing is charged then.
        override: US dollars per million tokens that win over everything: `input_mtok`, `output_mtok`, `cache_read_mtok`,
            `cache_write_mtok`, `cache_write_1h_mtok`, `input_audio_mtok`, …; `requests_kcount` per thousand requests.

    Raises:
        SettingsError: `override` has an unknown key or an amount that is not a number of at least 0.
    """
    card = override_card(override) if override is not None else None
    usage = reported_usage(
        usage_metadata, response_metadata, service_tier=service_tier, processing=processing, speed=speed
    )
    if cache_hit or usage.replayed:
        return cached_cost()
    if card is None:
        return _catalog().price(provider, model, usage, at=_unix_seconds(at))
    return unpriceable(usage.tier, "no_usage") if usage.tokens is None else card.cost(usage.tokens)


@functools.cache
def _catalog() -> Catalog:
    return Catalog(Settings())


def _unix_seconds(at: datetime | float | None) -> float:
    if at is None:
        return time.time()
    if isinstance(at, datetime):
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    return float(at)


def override_card(override: Mapping[str, object]) -> Card:
    """The rate card of a user's own prices; see `price` for its keys and its errors."""
    prices: dict[str, Price] = {key: _amount(key, value) for key, value in override.items()}
    digest = hashlib.sha256(repr(sorted((key, str(value)) for key, value in prices.items())).encode()).hexdigest()[:8]
    card = compile_card(prices, Source("override", f"ovr:{digest}", "override"))
    if card is None:
        raise SettingsError("override sets no price; give at least 'input_mtok' and 'output_mtok'")
    return card


def _amount(key: str, value: object) -> Decimal:
    if key not in OVERRIDE_KEYS:
        raise SettingsError(f"override has no price {key!r}; it may have {', '.join(sorted(OVERRIDE_KEYS))}")
    try:
        amount = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise SettingsError(f"override {key!r} must be US dollars, a number of at least 0, got {value!r:.80}")
    return amount
