"""Which prices of which day a calculation takes."""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from langmeter.errors import SettingsError
from langmeter.pricing.cards import Card, HourlyCard, Unpriced, unpriceable
from langmeter.pricing.catalog import Catalog
from langmeter.settings import Settings

if TYPE_CHECKING:
    from langmeter.pricing.catalog import Subject

Instant: TypeAlias = "Literal['request', 'now'] | datetime"
"""When prices are taken: those in force at each request, those of now, or those of one instant."""
PriceOverrides: TypeAlias = "str | os.PathLike[str] | Mapping[str, Any]"
"""A price file's path, or its contents as a dictionary."""
CardKey: TypeAlias = tuple[str, str, str | None, str | None, str | None]
"""What a record says of its card: provider, model, tier, requested model, deployment."""

_NEVER_VALID = Unpriced(unpriceable(None, "unknown_model"), valid_from=math.inf, valid_until=-math.inf)


def fixed_instant(at: Instant) -> float | None:
    """The one instant of all prices, unix seconds; None when every request has its own.

    Raises:
        SettingsError: `at` is neither of the two words nor a datetime.
    """
    if at == "request":
        return None
    if at == "now":
        return time.time()
    if not isinstance(at, datetime):
        raise SettingsError(f"at must be 'request', 'now' or a datetime, got {at!r:.80}")
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


class Choice(NamedTuple):
    """The prices of a calculation."""

    catalog: Catalog
    at: float | None
    """Unix seconds; None when every request has its own instant."""


class Prices:
    """The cards of one subject after another in time, from one catalog. Not for several threads at once."""

    __slots__ = ("_card", "_catalog", "_subject", "versions")

    def __init__(self, catalog: Catalog, subject: Subject) -> None:
        self._catalog = catalog
        self._subject = subject
        self._card: Card | Unpriced = _NEVER_VALID
        self.versions: set[str] = set()
        """Of the cards so far."""

    def card_at(self, at: float) -> Card | Unpriced:
        """The card in force at `at`, unix seconds."""
        card = self._card
        if not card.valid_from <= at < card.valid_until:
            found = self._catalog.card(self._subject, at)
            if isinstance(found, HourlyCard):  # shares of an hour need the time of each call, which no record has
                found = Unpriced(unpriceable(self._subject.tier, "no_usage"), found.valid_from, found.valid_until)
            elif isinstance(found, Card) and found.source.version is not None:
                self.versions.add(found.source.version)
            card = self._card = found
        return card


def catalog_with(overrides: PriceOverrides | None) -> Catalog:
    """The catalog with these overrides, or with those of the environment.

    Raises:
        PriceFileError: the overrides cannot be used.
    """
    if overrides is None:
        return _usual_catalog()
    if isinstance(overrides, Mapping):
        return Catalog(Settings(cost_overrides=overrides, prices=None, auto_update=False))
    return Catalog(Settings(prices=os.fspath(overrides), auto_update=False))


@functools.cache
def _usual_catalog() -> Catalog:
    return Catalog(Settings(auto_update=False))
