"""`langmeter.price`: the price of one usage, on request."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from langmeter.errors import SettingsError
from langmeter.pricing.catalog import Catalog, cached_cost
from langmeter.pricing.terms import terms_from
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
    settings: Settings | None = None,
) -> Cost:
    """What one model call costs, in US dollars, with the status that says how far the figure can be trusted.

    The price is the provider's published one, unless a gateway reported its charge, or `override` or the file that
    LANGMETER_PRICES names sets another. An unknown model gives an unpriced cost, never $0. Nothing is fetched from the
    network; the first call loads the price table (about 70 ms), later ones take microseconds. Safe to call from any thread.

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
        override: US dollars per million tokens, which win over everything: `input_mtok`, … (see docs/prices.md).
        settings: whose `prices` and `cost_overrides` count; those of the environment by default, as it was at first use.

    Raises:
        SettingsError: `at`, `override`, or prices that `settings` name, cannot be used; the message says where and why.
    """
    terms = None if override is None else terms_from({"override": override}, "price")
    usage = reported_usage(
        usage_metadata, response_metadata, service_tier=service_tier, processing=processing, speed=speed
    )
    if cache_hit or usage.replayed:
        return cached_cost()
    catalog = _usual_catalog() if settings is None else _catalog(settings)
    return catalog.price(provider, model, usage, at=_unix_seconds(at), terms=terms)


@functools.cache
def _usual_catalog() -> Catalog:
    return Catalog(Settings())


_MAX_CATALOGS = 8
_catalogs: list[tuple[Settings, Catalog]] = []
"""Made for settings that were passed, the newest last; settings have no hash."""


def _catalog(settings: Settings) -> Catalog:
    for known, catalog in tuple(_catalogs):
        if known is settings or known == settings:
            return catalog
    catalog = Catalog(settings)
    _catalogs.append((settings, catalog))
    del _catalogs[:-_MAX_CATALOGS]
    return catalog


def _unix_seconds(at: datetime | float | None) -> float:
    if at is None:
        return time.time()
    given: object = at
    try:
        if isinstance(given, datetime):
            return (given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)).timestamp()
        if isinstance(given, int | float) and not isinstance(given, bool):
            return datetime.fromtimestamp(given, UTC).timestamp()
    except (ValueError, OverflowError, OSError):  # beyond all years
        pass
    raise SettingsError(
        f"price: at must be a datetime or unix seconds, got {given!r:.80}; milliseconds and nanoseconds must be divided"
    )
