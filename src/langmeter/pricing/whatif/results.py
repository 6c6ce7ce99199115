"""What `what_if` answers with: exact amounts, what is behind them, and what they take for granted."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from langmeter.events import Cost
    from langmeter.pricing.whatif.records import Record
    from langmeter.pricing.whatif.token_scaling import TokenRatio


class Bounds(NamedTuple):
    """An amount of US dollars under two assumptions about the other model's prompt cache."""

    same_caching: Decimal
    """It reads and writes as many tokens as were recorded."""
    no_caching: Decimal
    """It reads and writes none."""


class Counts(NamedTuple):
    """How many records are behind a result, and how many are not in it."""

    calls: int = 0
    """Priced on the other model; those with a recorded cost make up the totals."""
    unrecorded: int = 0
    """Among them: calls whose own cost is not known, so that there is nothing to compare."""
    estimated: int = 0
    """Among them: calls whose tokens are estimates."""
    partial: int = 0
    """Among them: calls for which a rate was missing, or whose token counts contradict one another."""
    tier_unmatched: int = 0
    """Among them: calls at a service tier that the other model does not have, at its standard price."""
    scaled: int = 0
    """Among them: calls whose tokens were scaled by `token_ratio`."""
    unpriced: int = 0
    """Calls without a price on the other model, or without tokens to price; in no total."""
    embeddings: int = 0
    """Calls of embeddings models among those of others, whose work `model` does not do; in no total."""
    cache_hits: int = 0
    """Answers of a response cache: no calls, and in no total."""
    skipped: int = 0
    """Records that could not be read; in no total."""


class RecordWhatIf(NamedTuple):
    """One record on the other model."""

    record: Record
    same_caching: Cost
    no_caching: Cost


class ModelWhatIf(NamedTuple):
    """The calls of one recorded model on the other model: those with a cost on both sides."""

    provider: str
    model: str
    calls: int
    recorded: Decimal
    """US dollars, as recorded."""
    same_caching: Decimal
    no_caching: Decimal


class WhatIf(NamedTuple):
    """What recorded calls would have cost on another model. All amounts are exact US dollars.

    `recorded`, `same_caching` and `no_caching` are about the same calls: those with a cost on both sides.
    """

    provider: str | None
    """None: each call's own provider."""
    model: str | None
    """None: each call's own model."""
    recorded: Decimal
    """What the calls cost as recorded."""
    same_caching: Decimal
    """What they would have cost had the other model read and written as many cached tokens."""
    no_caching: Decimal
    """What they would have cost with nothing read from or written to a prompt cache."""
    unrecorded: Bounds
    """What the calls would have cost whose own cost is not known."""
    counts: Counts
    by_model: tuple[ModelWhatIf, ...]
    """By recorded model, the most expensive first."""
    price_versions: tuple[str, ...]
    token_ratio: TokenRatio | None = None
    """As given; None says that tokens are taken as the recorded model counted them."""
    records: tuple[RecordWhatIf, ...] = ()
    """One for each priced call, if asked for."""

    @property
    def cost(self) -> Bounds:
        """What all priced calls would have cost, in US dollars: those with a recorded cost and those without."""
        other = self.unrecorded
        return Bounds(self.same_caching + other.same_caching, self.no_caching + other.no_caching)

    @property
    def saving(self) -> Bounds:
        """What the other model would have saved, in US dollars; negative where it costs more."""
        return Bounds(self.recorded - self.same_caching, self.recorded - self.no_caching)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the figures take for granted and leave out, one sentence each."""
        return tuple(_assumptions(self))


def _assumptions(result: WhatIf) -> Iterator[str]:
    counts = result.counts
    if result.token_ratio is not None:
        yield f"Text tokens scaled by the token ratio given: {_calls(counts.scaled)}."
    elif result.model is not None:
        yield "Tokens are taken as the recorded model counted them; another tokeniser makes more or fewer of the same text."
    yield "Answers are taken to be as long as they were."
    for count, text in (
        (counts.unpriced, "Left out, without a price there or without known tokens"),
        (counts.embeddings, "Left out, because embeddings are other work than the model's"),
        (counts.unrecorded, "Not compared, without a recorded cost"),
        (counts.estimated, "With estimated tokens"),
        (counts.partial, "Priced in part only, or from token counts that contradict one another"),
        (counts.tier_unmatched, "At the standard price, for want of one for their service tier"),
    ):
        if count:
            yield f"{text}: {_calls(count)}."
    if counts.cache_hits:
        yield f"Left out, because a response cache answered at no cost: {counts.cache_hits:,}."
    if counts.skipped:
        yield f"Left out, because they could not be read: {counts.skipped:,}."


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"
