"""A set of prices as a user or we wrote it, checked and frozen: entries, discounts, and when each of them holds.

Pure values: `price_rows` makes them, `overrides` answers from them.
"""

from __future__ import annotations

import fnmatch
import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple, TypeAlias

from langmeter.pricing.names import clean_model, price_provider

MINUTES_PER_DAY = 1_440
_SECONDS_PER_DAY = 86_400
_FIRST_WEEKDAY = 3  # 1970-01-01 was a Thursday
_DAYS_AROUND = range(-8, 10)
ALWAYS = (-math.inf, math.inf)


class Step(NamedTuple):
    """A price that applies to the whole request once its input is larger than `start` tokens."""

    start: int
    price: Decimal


class SteppedPrice(NamedTuple):
    """A price that depends on the size of the input."""

    base: Decimal
    tiers: list[Step]


Prices: TypeAlias = "tuple[tuple[str, Decimal | SteppedPrice], ...]"


class Match(NamedTuple):
    """Which calls an entry is for; names in lower case, None for any."""

    provider: str | None = None
    """As the price table spells it."""
    model: str | None = None
    """A name or a pattern with `*`, `?` and `[…]`."""
    deployment: str | None = None

    def fits(self, provider: str, *models: str | None, deployment: str | None = None) -> bool:
        """Whether a call is meant, by any of the names that its model has in the answer and the request."""
        if self.provider is not None and self.provider != price_provider(provider):
            return False
        if self.deployment is not None and not _fits(self.deployment, deployment):
            return False
        return self.model is None or any(_fits(self.model, model) for model in models)

    def __str__(self) -> str:
        return "{" + ", ".join(f"{name}: {value}" for name, value in self._asdict().items() if value is not None) + "}"


def _fits(pattern: str, name: str | None) -> bool:
    plain = clean_model(name or "").lower()
    return bool(plain) and (plain == pattern or fnmatch.fnmatchcase(plain, pattern))  # `model[1m]` is a name too


class Window(NamedTuple):
    """The part of each week, in UTC, in which an entry holds."""

    weekdays: frozenset[int]
    """0 is Monday."""
    hours: tuple[tuple[int, int], ...]
    """Minutes of the day, half-open."""

    def holds(self, at: float) -> bool:
        """Whether an instant (unix seconds) lies inside."""
        day, second = divmod(at, _SECONDS_PER_DAY)
        minute = second / 60
        return self._weekday(int(day)) and any(start <= minute < end for start, end in self.hours)

    def overlaps(self, other: Window) -> bool:
        """Whether there is an instant that lies in both."""
        return bool(self.weekdays & other.weekdays) and any(
            start < other_end and other_start < end
            for start, end in self.hours
            for other_start, other_end in other.hours
        )

    def period(self, at: float) -> tuple[float, float]:
        """From when until when (unix seconds) `holds` gives what it gives at `at`."""
        now, since, until = self.holds(at), *ALWAYS
        before = now
        for edge in self._edges(at):  # between two of them nothing changes
            held = self.holds(edge)
            if edge > at:
                if held != now:
                    until = edge
                    break
            elif held == now and before != now:
                since = edge
            before = held
        return since, until

    def _edges(self, at: float) -> Iterator[float]:
        today = int(at // _SECONDS_PER_DAY)
        minutes = sorted({0, *(minute for hours in self.hours for minute in hours if minute < MINUTES_PER_DAY)})
        for day in _DAYS_AROUND:
            for minute in minutes:
                yield float((today + day) * _SECONDS_PER_DAY + minute * 60)

    def _weekday(self, day: int) -> bool:
        return (day + _FIRST_WEEKDAY) % 7 in self.weekdays


class BaseModel(NamedTuple):
    """The model whose price another one is derived from."""

    model: str
    provider: str | None = None
    """None: the provider of the call."""


@dataclass(frozen=True, slots=True)
class PriceRow:
    """One entry: which calls, when, and what they cost. Exactly one of `prices`, `base` and `per_hour` is set."""

    match: Match
    prices: Prices = ()
    tiers: tuple[tuple[str, Prices], ...] = ()
    """Tier to its complete prices; the parts of a tier are joined by `+`."""
    base: BaseModel | None = None
    multiplier: Decimal = Decimal(1)
    per_hour: Decimal | None = None
    """US dollars."""
    valid_from: float = -math.inf
    """Unix seconds, included."""
    valid_until: float = math.inf
    """Unix seconds, excluded."""
    window: Window | None = None
    source: str | None = field(default=None, compare=False)
    """Where the price was read: for people."""
    line: int | None = field(default=None, compare=False, repr=False)

    def holds(self, at: float) -> bool:
        """Whether the entry is in force at an instant (unix seconds)."""
        return self.valid_from <= at < self.valid_until and (self.window is None or self.window.holds(at))

    def period(self, at: float) -> tuple[float, float]:
        """From when until when (unix seconds) `holds` gives what it gives at `at`."""
        if at < self.valid_from:
            return -math.inf, self.valid_from
        if at >= self.valid_until:
            return self.valid_until, math.inf
        since, until = ALWAYS if self.window is None else self.window.period(at)
        return max(since, self.valid_from), min(until, self.valid_until)

    def prices_at(self, tier: str | None) -> tuple[Prices, bool]:
        """The prices at a tier, and whether a part of the tier has none of its own."""
        wanted = frozenset(tier.split("+")) if tier else frozenset()
        best, best_prices = frozenset[str](), self.prices
        for name, prices in self.tiers:
            parts = frozenset(name.split("+"))
            if parts <= wanted and len(parts) > len(best):
                best, best_prices = parts, prices
        return best_prices, best != wanted


@dataclass(frozen=True, slots=True)
class Discount:
    """A factor on what corrections and the price table say."""

    match: Match
    multiplier: Decimal
    line: int | None = field(default=None, compare=False, repr=False)


class PriceBook(NamedTuple):
    """Entries and discounts, in order: the first that fits wins."""

    rows: tuple[PriceRow, ...] = ()
    discounts: tuple[Discount, ...] = ()

    def followed_by(self, other: PriceBook) -> PriceBook:
        """Both sets as one, in which this one is asked first."""
        return PriceBook(self.rows + other.rows, self.discounts + other.discounts)

    def digest(self) -> str:
        """Eight hexadecimal digits that tell this set from others; the same for YAML, JSON and a dictionary."""
        discounts = [(discount.match, discount.multiplier) for discount in self.discounts]
        shown = repr(([_facts(row) for row in self.rows], discounts))
        return hashlib.sha256(shown.encode()).hexdigest()[:8]


def _facts(row: PriceRow) -> tuple[object, ...]:
    window = row.window and (sorted(row.window.weekdays), row.window.hours)
    return (
        row.match,
        row.prices,
        row.tiers,
        row.base,
        row.multiplier,
        row.per_hour,
        row.valid_from,
        row.valid_until,
        window,
    )
