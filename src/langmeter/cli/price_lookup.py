"""Finding a model's card for the `prices` commands, and what to say where there is none."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from langmeter.cli.price_figures import complain
from langmeter.pricing import notices
from langmeter.pricing.cards import Unpriced
from langmeter.pricing.catalog import AnyCard, Catalog, GenaiPrices, PricingUnavailableError, Subject, nothing_below
from langmeter.pricing.names import clean_model, nearest
from langmeter.pricing.whatif.model_providers import MAKERS, providers_of
from langmeter.settings import Settings

UNKNOWN_PROVIDER = "unknown"
_A_MOMENT = 60.0


class Found(NamedTuple):
    """A model's card and how it was found."""

    subject: Subject
    card: AnyCard
    at: float
    """Unix seconds."""
    valid_from: float
    """Unix seconds."""
    valid_until: float
    others: tuple[str, ...]
    """Other providers that list the model."""


def look_up(model: str, provider: str | None, tier: str | None, at: datetime | None) -> Found:
    """The card in force at `at`, with the overrides of `LANGMETER_PRICES`; the model's maker by default."""
    instant = unix_seconds(at)
    listed_by = providers_of(model, instant)
    chosen = provider or next(iter(listed_by), UNKNOWN_PROVIDER)
    subject = Subject(chosen, model, tier)
    claim_notices(subject)
    card = Catalog(Settings(auto_update=False)).card(subject, instant)
    since, until = _period(subject, card, instant)
    return Found(subject, card, instant, since, until, tuple(name for name in listed_by if name != chosen))


def _period(subject: Subject, card: AnyCard, at: float) -> tuple[float, float]:
    """From when until when a price holds. A catalog looks the table's prices up again each hour, which is no end of them."""
    table = GenaiPrices()
    soon = table.period(subject, at)[1]
    since, until = card.valid_from, math.inf if soon - _A_MOMENT < card.valid_until <= soon else card.valid_until
    if not isinstance(card, Unpriced) and card.source.name == table.name:
        own = table.card(subject._replace(model=clean_model(subject.model or "")), at, nothing_below)
        if own is not None:
            return max(since, own.valid_from), min(until, own.valid_until)
    return since, until


def unix_seconds(at: datetime | None) -> float:
    """An instant as unix seconds; now by default."""
    return time.time() if at is None else (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def claim_notices(subject: Subject) -> None:
    """Keep the catalog from logging what the command itself says of a model, and let it log everything else."""
    model = clean_model(subject.model or "")
    for about in ("unknown", "loose"):
        notices.first_time(about, subject.provider, model)


def missing(subject: Subject) -> dict[str, Any]:
    """What is known about a model without a price: the nearest model that has one, and the override that would set it."""
    model, provider = subject.model or "", subject.provider
    match = {"model": model} if provider == UNKNOWN_PROVIDER else {"provider": provider, "model": model}
    found = _nearest(model, provider)
    return {
        "provider": None if provider == UNKNOWN_PROVIDER else provider,
        "model": model,
        "price": None,
        "nearest": None if found is None else {"provider": found[0], "model": found[1]},
        "override": f"  - match: {_flow(match)}\n    price: {{input_mtok: ..., output_mtok: ...}}",
    }


def explain_missing(command: str, facts: Mapping[str, Any]) -> None:
    """Print on stderr what `missing` found."""
    provider, found = facts["provider"], facts["nearest"]
    lines = [
        f"langmeter prices {command}: no price for model {facts['model']!r}"
        + (f" of provider {provider!r} in {_table()}." if provider else f" of any provider in {_table()}.")
    ]
    if found:
        lines.append(f"The nearest known model is {found['model']!r} of {found['provider']}.")
    lines.append("To set its price in US dollars per million tokens, name a file with this in LANGMETER_PRICES:")
    complain(*lines, "", "models:", *facts["override"].splitlines())


def _nearest(model: str, provider: str) -> tuple[str, str] | None:
    """(provider, model) of the known model with the most similar name."""
    table = GenaiPrices()
    providers = MAKERS if provider == UNKNOWN_PROVIDER else (provider,)
    try:
        known = {name: each for each in reversed(providers) for name in table.known(each)}
    except PricingUnavailableError:
        return None
    name = nearest(clean_model(model), known)
    return None if name is None else (known[name], name)


def _table() -> str:
    try:
        return GenaiPrices().label()
    except PricingUnavailableError as error:
        return f"the price table, because {error}"


def _flow(values: Mapping[str, str]) -> str:
    """A mapping as one line of YAML; names are quoted as JSON, which YAML reads alike."""
    return "{" + ", ".join(f"{key}: {json.dumps(value)}" for key, value in values.items()) + "}"
