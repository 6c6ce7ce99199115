"""What recorded calls cost at other prices: corrected ones, overrides, those of another day."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final, NamedTuple

from langmeter.events import Cost, CostParts, usd
from langmeter.pricing.cards import unpriceable
from langmeter.pricing.catalog import Subject
from langmeter.pricing.whatif.price_choice import Choice, Prices, catalog_with, fixed_instant
from langmeter.pricing.whatif.record_files import read

if TYPE_CHECKING:
    from langmeter.pricing.whatif.price_choice import CardKey, Instant, PriceOverrides
    from langmeter.pricing.whatif.record_files import RecordSource
    from langmeter.pricing.whatif.records import Record

_build: Final = tuple.__new__
"""Builds a named tuple from all its fields at once: half the time of its constructor, which counts here."""


class RepricedRecord(NamedTuple):
    """One record with the cost that it has at the other prices."""

    record: Record
    cost: Cost

    @property
    def old(self) -> Decimal | None:
        """US dollars as recorded; None when that was not known."""
        return self.record.cost_usd

    @property
    def new(self) -> Decimal | None:
        """US dollars now; None when unpriced."""
        return self.cost.amount

    @property
    def difference(self) -> Decimal | None:
        """New less old, in US dollars; None when one of them is not known."""
        old, new = self.record.cost, self.cost.picodollars
        return None if old is None or new is None else usd(new - old)


class ModelRepricing(NamedTuple):
    """The calls of one model. Amounts are US dollars."""

    provider: str
    model: str
    calls: int
    """With a price before and now."""
    old: Decimal
    new: Decimal
    newly_priced: int
    """Calls that had no price and have one now."""
    newly_priced_cost: Decimal
    no_longer_priced: int
    """Calls that had a price and have none now."""
    no_longer_priced_cost: Decimal
    """As recorded."""
    unpriced: int
    """Calls without a price before and now."""

    @property
    def difference(self) -> Decimal:
        """New less old, over the calls that have both."""
        return self.new - self.old


class Repricing(NamedTuple):
    """Recorded calls at other prices. Amounts are exact US dollars; nothing that was recorded is changed."""

    total: ModelRepricing
    """All models together; its `provider` and `model` are empty."""
    by_model: tuple[ModelRepricing, ...]
    """The largest difference first."""
    records: tuple[RepricedRecord, ...]
    """Every call, in the order given; none without `per_record`."""
    price_versions: tuple[str, ...]
    kept: int
    """Calls whose cost is no matter of prices, because a gateway charged it or hours were shared out; taken as recorded."""
    estimated: int
    """Calls whose tokens are estimates."""
    partial: int
    """Calls for which a rate was missing, or whose token counts contradict one another."""
    cache_hits: int
    """Answers of a response cache: no calls, and in no total."""
    skipped: int
    """Records that could not be read; in no total."""


def reprice(
    records: RecordSource,
    *,
    prices: PriceOverrides | None = None,
    at: Instant = "request",
    per_record: bool = True,
) -> Repricing:
    """What these calls cost at other prices, beside what they were recorded to cost, in US dollars.

    Exported telemetry is never rewritten: publish the difference. Nothing is fetched from the network. What only the call
    itself knew (an override or a multiplier of its own) is on no record and is not applied again. Safe to call from any
    thread.

    Args:
        records: what `read` takes: records, mappings, spans, or the path of a file.
        prices: price overrides, a file or its dictionary; by default those of `LANGMETER_PRICES`.
        at: when prices are taken: at each `request`, `now`, or at one instant (UTC when it names no zone).
        per_record: whether the result holds the cost of each call; without them a million calls take half the time.

    Raises:
        SettingsError: an argument has a wrong value.
        RecordError: records cannot be read; `read(…, skip_bad=True)` counts and leaves them out instead.
        PriceFileError: `prices` cannot be used.
    """
    found = read(records)
    calculation = _Calculation(Choice(catalog_with(prices), fixed_instant(at)))
    repriced = []
    for record in found:
        cost = calculation.add(record)
        if per_record and cost is not None:
            repriced.append(_build(RepricedRecord, (record, cost)))
    return calculation.result(found.skipped, repriced)


class _Sums:
    """Running sums over calls, in pico-dollars."""

    __slots__ = ("appeared", "appeared_cost", "calls", "new", "old", "unpriced", "vanished", "vanished_cost")

    def __init__(self) -> None:
        self.calls = self.old = self.new = 0
        self.appeared = self.appeared_cost = self.vanished = self.vanished_cost = self.unpriced = 0

    def add(self, old: int | None, new: int | None) -> None:
        """Add one call."""
        if old is not None and new is not None:
            self.calls += 1
            self.old += old
            self.new += new
        elif new is not None:
            self.appeared += 1
            self.appeared_cost += new
        elif old is not None:
            self.vanished += 1
            self.vanished_cost += old
        else:
            self.unpriced += 1

    def merge(self, other: _Sums) -> None:
        """Add all calls of another model."""
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def result(self, provider: str, model: str) -> ModelRepricing:
        """The sums in US dollars."""
        return ModelRepricing(
            provider,
            model,
            self.calls,
            usd(self.old),
            usd(self.new),
            self.appeared,
            usd(self.appeared_cost),
            self.vanished,
            usd(self.vanished_cost),
            self.unpriced,
        )


class _Calculation:
    """One pass over the records; used once."""

    def __init__(self, choice: Choice) -> None:
        self._catalog, self._at = choice
        self._lanes: dict[CardKey, tuple[Prices, _Sums]] = {}
        self._sums: dict[tuple[str, str], _Sums] = {}
        self._hits = self._kept = self._estimated = self._partial = 0

    def add(self, record: Record) -> Cost | None:
        """Price one record and add it: its cost at the other prices; None when it is no call."""
        provider, model, usage, start, tier, old, status, _, requested, deployment, estimated, _ = record
        if status == "cached":
            self._hits += 1
            return None
        key = (provider, model, tier, requested, deployment)
        prices, sums = self._lanes.get(key) or self._lane(key)
        if old is not None and (status == "reported" or status == "allocated"):  # noqa: PLR1714  (a third of the time of `in`)
            self._kept += 1
            cost = Cost(status, CostParts(other=old), tier=tier)
        elif usage is None:
            cost = unpriceable(tier, "no_usage")
        else:
            cost = prices.card_at(start if self._at is None else self._at).cost(usage)
        if estimated or cost.status == "partial":
            cost = self._noted(cost, estimated=estimated)
        parts = cost.parts
        sums.add(old, None if parts is None else sum(parts))
        return cost

    def _noted(self, cost: Cost, *, estimated: bool) -> Cost:
        """The cost, counted; that of estimated tokens says so, and what does not depend on tokens keeps its status."""
        self._partial += cost.status == "partial"
        self._estimated += estimated
        return cost._replace(status="estimated") if estimated and cost.status in ("priced", "partial") else cost

    def _lane(self, key: CardKey) -> tuple[Prices, _Sums]:
        provider, model, tier, requested, deployment = key
        prices = Prices(self._catalog, Subject(provider, model, tier, requested, deployment))
        lane = self._lanes[key] = (prices, self._sums.setdefault((provider, model), _Sums()))
        return lane

    def result(self, skipped: int, repriced: list[RepricedRecord]) -> Repricing:
        """The sums of all that was added."""
        total = _Sums()
        for sums in self._sums.values():
            total.merge(sums)
        ranked = sorted(self._sums.items(), key=lambda item: (-abs(item[1].new - item[1].old), item[0]))
        return Repricing(
            total.result("", ""),
            tuple(sums.result(*name) for name, sums in ranked),
            tuple(repriced),
            tuple(sorted(set[str]().union(*(prices.versions for prices, _ in self._lanes.values())))),
            self._kept,
            self._estimated,
            self._partial,
            self._hits,
            skipped,
        )
