"""Prices that are known to be wrong in the price table, put right, until the table agrees.

A correction never answers by itself: it asks the table and changes what is known to be wrong in the answer, so that
whatever else the table says or learns stays in force. What it changed says so in its source and version.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from langmeter.events import PICODOLLARS_PER_DOLLAR
from langmeter.pricing.cards import Card, picodollars, scaled
from langmeter.pricing.correction_rows import (
    CHINESE_HOLIDAYS,
    CORRECTIONS,
    OFF_PEAK_HOUR,
    OFF_PEAK_MODELS,
    OFF_PEAK_WEEKENDS_SINCE,
    PEAK_HOURS,
    PEAK_SINCE,
    RESIDENCY,
    Correction,
)
from langmeter.pricing.names import price_provider
from langmeter.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langmeter.pricing.catalog.sources import AnyCard, Below, PriceSource, Subject

NAME: Final = "langmeter-corrections"
_FEE_KEY: Final = "requests_kcount"
_PROVIDERS: Final = frozenset(
    {provider for row in CORRECTIONS for provider in row.providers}
    | {provider for provider, _ in RESIDENCY}
    | {"deepseek"}
)
_HOUR: Final = 3_600.0


def corrections() -> PriceSource:
    """The source that stands between an application's overrides and the price table."""
    return _Corrections()


class _Corrections:
    """See the module; it keeps no state, and every method may be called from any thread."""

    name = NAME

    def card(self, subject: Subject, at: float, below: Below) -> AnyCard | None:
        """The table's card, put right where it is known to be wrong; None where the table has none."""
        provider = price_provider(subject.provider)
        if provider not in _PROVIDERS:
            return None
        plain, multiplier = _without_residency(subject, provider)
        card = below(plain, at)
        if not isinstance(card, Card):
            return card
        quiet = _off_peak(card, plain, at, below)
        corrected, by_row = _by_rows(quiet, plain, at)
        if quiet is card and not by_row and multiplier is None:
            return corrected
        source = card.source._replace(name=NAME, version=f"{card.source.version}+cor:{__version__}", tier=subject.tier)
        return scaled(corrected, multiplier or Decimal(1), source)


def _without_residency(subject: Subject, provider: str) -> tuple[Subject, Decimal | None]:
    """The subject at the same tier anywhere in the world, and what its place multiplies the price with."""
    for fact in (subject.tier or "").split("+"):
        multiplier = RESIDENCY.get((provider, fact))
        if multiplier is not None:
            rest = [other for other in (subject.tier or "").split("+") if other != fact]
            return subject._replace(tier="+".join(rest) or None), Decimal(multiplier)
    return subject, None


# -- hours -----------------------------------------------------------------------------------------------------------


def _off_peak(card: Card, subject: Subject, at: float, below: Below) -> Card:
    """The card of the quiet hours, on days on which the table's peak hours were none."""
    if card.source.provider_id != "deepseek" or card.source.model_id not in OFF_PEAK_MODELS:
        return card
    when = datetime.fromtimestamp(at, UTC)
    peak = next((hours for hours in PEAK_HOURS if hours[0] <= when.hour < hours[1]), None)
    if peak is None or _has_peak_hours(when.date()):
        return card
    midnight = datetime.combine(when.date(), time(), UTC).timestamp()
    quiet = below(subject, midnight + OFF_PEAK_HOUR * _HOUR)
    if not isinstance(quiet, Card) or quiet.rates == card.rates:
        return card
    return replace(quiet, valid_from=midnight + peak[0] * _HOUR, valid_until=midnight + peak[1] * _HOUR)


def _has_peak_hours(day: date) -> bool:
    """The hours lie within one day in Beijing and in UTC alike, so it does not matter whose days these are."""
    if day < PEAK_SINCE:
        return False
    if day < OFF_PEAK_WEEKENDS_SINCE:
        return True
    return day.isoweekday() < 6 and day not in CHINESE_HOLIDAYS  # noqa: PLR2004  (Saturday)


# -- rows ------------------------------------------------------------------------------------------------------------


def _by_rows(card: Card, subject: Subject, at: float) -> tuple[Card, bool]:
    """The card with the row for it applied, and whether there was one; it holds no longer than that answer does."""
    for row in CORRECTIONS:
        if not _is_for(row, card, subject):
            continue
        since, until = _period(row)
        if at < since:
            card = replace(card, valid_until=min(card.valid_until, since))
        elif at >= until:
            card = replace(card, valid_from=max(card.valid_from, until))
        elif _says(card, row.wrong):
            return _changed(card, row.right, max(card.valid_from, since), min(card.valid_until, until)), True
    return card, False


def _changed(card: Card, prices: Mapping[str, str], valid_from: float, valid_until: float) -> Card:
    rates = {_field(key): _amount(key, dollars) for key, dollars in prices.items() if key != _FEE_KEY}
    return replace(
        card,
        rates=card.rates._replace(**rates),
        fee=_amount(_FEE_KEY, prices[_FEE_KEY]) if _FEE_KEY in prices else card.fee,
        priced_keys=card.priced_keys | prices.keys(),
        valid_from=valid_from,
        valid_until=valid_until,
    )


def _is_for(row: Correction, card: Card, subject: Subject) -> bool:
    if card.source.provider_id not in row.providers or card.source.model_id != row.model:
        return False
    if card.long_context or card.slow_path is not None:  # prices that a row does not express
        return False
    return not row.names or (subject.model or "").lower() in row.names


def _says(card: Card, prices: Mapping[str, str | None]) -> bool:
    """Whether the table says exactly these prices; None for one that it does not have."""
    for key, amount in prices.items():
        if (amount is not None) != (key in card.priced_keys):
            return False
        if amount is not None and _amount(key, amount) != (
            card.fee if key == _FEE_KEY else getattr(card.rates, _field(key))
        ):
            return False
    return True


def _period(row: Correction) -> tuple[float, float]:
    start = float("-inf") if row.since is None else datetime.combine(row.since, time(), UTC).timestamp()
    return start, float("inf") if row.until is None else datetime.combine(row.until, time(), UTC).timestamp()


def _field(key: str) -> str:
    return key.removesuffix("_mtok")


def _amount(key: str, dollars: str) -> float:
    """Pico-dollars per token, or per request."""
    return picodollars(Decimal(dollars) * PICODOLLARS_PER_DOLLAR / (10**3 if key == _FEE_KEY else 10**6))
