"""What recorded calls would have cost on another model, with and without its prompt cache."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from langmeter.errors import SettingsError
from langmeter.events import usd
from langmeter.pricing.catalog import Subject
from langmeter.pricing.whatif.model_providers import providers_of
from langmeter.pricing.whatif.price_choice import Choice, Prices, catalog_with, fixed_instant
from langmeter.pricing.whatif.record_files import read
from langmeter.pricing.whatif.results import Bounds, Counts, ModelWhatIf, RecordWhatIf, WhatIf
from langmeter.pricing.whatif.token_scaling import checked_ratio, ratio_for, scaled_usage, without_cache

if TYPE_CHECKING:
    from langmeter.events import Cost
    from langmeter.pricing.catalog import Catalog
    from langmeter.pricing.whatif.price_choice import CardKey, Instant, PriceOverrides
    from langmeter.pricing.whatif.record_files import Records, RecordSource
    from langmeter.pricing.whatif.records import Record
    from langmeter.pricing.whatif.token_scaling import TokenRatio


def what_if(
    records: RecordSource,
    *,
    model: str | None = None,
    provider: str | None = None,
    at: Instant = "request",
    prices: PriceOverrides | None = None,
    token_ratio: TokenRatio | None = None,
    per_record: bool = False,
) -> WhatIf:
    """What these calls would have cost on another model or at another provider, in US dollars, as two bounds.

    Every record is priced by itself: its own tokens, after scaling, decide whether a threshold for long inputs is crossed,
    and its service tier is kept where the other model has it. Embeddings among other calls are no work for `model` and left
    out. Nothing is fetched from the network and nothing recorded is changed. Safe to call from any thread.

    Args:
        records: what `read` takes: records, mappings, spans, or the path of a file.
        model: the other model; each call's own by default.
        provider: the provider of the other model; by default the one that makes it, or, where the price table does not
            list it, each call's own.
        at: when prices are taken: at each `request`, `now`, or at one instant (UTC when it names no zone).
        prices: price overrides, a file or its dictionary; by default those of `LANGMETER_PRICES`.
        token_ratio: tokens that the other model makes of the text of one recorded token, as measured by the caller; by
            recorded model as a mapping. Without it tokens are taken as they were counted.
        per_record: whether the result also holds the two costs of each record.

    Raises:
        SettingsError: neither `model` nor `provider` is given, or an argument has a wrong value.
        RecordError: records cannot be read; `read(…, skip_bad=True)` counts and leaves them out instead.
        PriceFileError: `prices` cannot be used.
    """
    if model is None and provider is None:
        raise SettingsError("what_if needs a model, a provider, or both, as in what_if(records, model='gpt-4.1')")
    return calculated(
        read(records),
        Choice(catalog_with(prices), fixed_instant(at)),
        provider,
        model,
        token_ratio,
        per_record=per_record,
    )


def calculated(
    records: Records,
    choice: Choice,
    provider: str | None,
    model: str | None,
    token_ratio: TokenRatio | None = None,
    *,
    per_record: bool = False,
) -> WhatIf:
    """`what_if` for records that have been read and prices that have been chosen."""
    if model is not None and provider is None:
        provider = _provider_of(model, records, choice.at)
    no_embeddings = model is not None and not all(record.embeddings for record in records)
    calculation = _Calculation(choice, provider, model, checked_ratio(token_ratio), no_embeddings=no_embeddings)
    kept: list[RecordWhatIf] = []
    for record in records:
        costs = calculation.add(record)
        if per_record and costs is not None:
            kept.append(RecordWhatIf(record, *costs))
    return calculation.result(records.skipped, kept)


def _provider_of(model: str, records: Records, at: float | None) -> str | None:
    if at is None:
        at = max((record.start_time for record in records), default=0.0)
    return next(iter(providers_of(model, at)), None)


class _Lane(Prices):
    """The calls that one card after another prices, and their running sums in pico-dollars."""

    __slots__ = (
        "calls",
        "no_caching",
        "other_calls",
        "other_no_caching",
        "other_same",
        "ratio",
        "recorded",
        "same_caching",
    )

    def __init__(self, catalog: Catalog, subject: Subject, ratio: float | None) -> None:
        super().__init__(catalog, subject)
        self.ratio = ratio
        self.calls = self.recorded = self.same_caching = self.no_caching = 0
        self.other_calls = self.other_same = self.other_no_caching = 0

    def add_unrecorded(self, same: int, without: int) -> None:
        """Add a priced call whose own cost is not known."""
        self.other_calls += 1
        self.other_same += same
        self.other_no_caching += without


class _Calculation:
    """One pass over the records; used once."""

    def __init__(
        self, choice: Choice, provider: str | None, model: str | None, ratio: TokenRatio | None, *, no_embeddings: bool
    ) -> None:
        self._catalog, self._at = choice
        self._no_embeddings = no_embeddings
        self._provider = provider
        self._model = model
        self._ratio = ratio
        self._lanes: dict[CardKey, _Lane] = {}
        self._estimated = self._partial = self._tier_unmatched = self._unpriced = self._embeddings = self._hits = 0

    def add(self, record: Record) -> tuple[Cost, Cost] | None:
        """Price one record and add it: its cost with the same caching and without; None when it is no call or unpriced."""
        provider, model, usage, start, tier, recorded, status, _, requested, deployment, estimated, embeds = record
        if status == "cached":
            self._hits += 1
            return None
        if embeds and self._no_embeddings:
            self._embeddings += 1
            return None
        if usage is None:
            self._unpriced += 1
            return None
        key = (provider, model, tier, requested, deployment)
        lane = self._lanes.get(key) or self._lane(key)
        if lane.ratio is not None:
            usage = scaled_usage(usage, lane.ratio)
        card = lane.card_at(start if self._at is None else self._at)
        same = card.cost(usage)
        plain = without_cache(usage)
        without = same if plain is usage else card.cost(plain)
        if same.parts is None or without.parts is None:
            self._unpriced += 1
            return None
        if recorded is None:
            lane.add_unrecorded(sum(same.parts), sum(without.parts))
        else:
            lane.calls += 1
            lane.recorded += recorded
            lane.same_caching += sum(same.parts)
            lane.no_caching += sum(without.parts)
        if estimated or same.status != "priced" or same.tier_unmatched:
            self._note(same, estimated=estimated)
        return same, without

    def _lane(self, key: CardKey) -> _Lane:
        provider, model, tier, requested, deployment = key
        if self._model is not None:  # the recorded names are those of another model then
            subject = Subject(self._provider or provider, self._model, tier)
        else:
            subject = Subject(self._provider or provider, model, tier, requested, deployment)
        lane = self._lanes[key] = _Lane(self._catalog, subject, ratio_for(self._ratio, model))
        return lane

    def _note(self, cost: Cost, *, estimated: bool) -> None:
        """Count what is not as it should be with a priced call."""
        self._estimated += estimated
        self._partial += cost.status == "partial"
        self._tier_unmatched += cost.tier_unmatched

    def result(self, skipped: int, kept: list[RecordWhatIf]) -> WhatIf:
        """The sums of all that was added."""
        lanes = self._lanes.values()
        counts = Counts(
            sum(lane.calls + lane.other_calls for lane in lanes),
            sum(lane.other_calls for lane in lanes),
            self._estimated,
            self._partial,
            self._tier_unmatched,
            sum(lane.calls + lane.other_calls for lane in lanes if lane.ratio is not None),
            self._unpriced,
            self._embeddings,
            self._hits,
            skipped,
        )
        return WhatIf(
            self._provider,
            self._model,
            usd(sum(lane.recorded for lane in lanes)),
            usd(sum(lane.same_caching for lane in lanes)),
            usd(sum(lane.no_caching for lane in lanes)),
            Bounds(usd(sum(lane.other_same for lane in lanes)), usd(sum(lane.other_no_caching for lane in lanes))),
            counts,
            tuple(_by_model(self._lanes)),
            tuple(sorted(set[str]().union(*(lane.versions for lane in lanes)))),
            self._ratio,
            tuple(kept),
        )


def _by_model(lanes: dict[CardKey, _Lane]) -> list[ModelWhatIf]:
    """One row for each recorded model, its tiers and names together."""
    sums: dict[tuple[str, str], tuple[int, int, int, int]] = {}
    for (provider, model, *_), lane in lanes.items():
        so_far = sums.get((provider, model), (0, 0, 0, 0))
        more = (lane.calls, lane.recorded, lane.same_caching, lane.no_caching)
        calls, recorded, same, without = map(operator.add, so_far, more)
        sums[provider, model] = (calls, recorded, same, without)
    rows = [ModelWhatIf(*name, row[0], *map(usd, row[1:])) for name, row in sums.items() if row[0]]
    return sorted(rows, key=lambda row: (-row.recorded, row.provider, row.model))
