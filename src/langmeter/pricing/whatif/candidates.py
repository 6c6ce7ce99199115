"""Models ranked by what they would have saved, with the quality that the user has measured for them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from langmeter.errors import SettingsError
from langmeter.events import TokenUsage
from langmeter.pricing.usage import reported_usage
from langmeter.pricing.whatif.price_choice import Choice, catalog_with, fixed_instant
from langmeter.pricing.whatif.projection import calculated
from langmeter.pricing.whatif.record_files import read
from langmeter.pricing.whatif.records import Record

if TYPE_CHECKING:
    from langmeter.pricing.whatif.price_choice import Instant, PriceOverrides
    from langmeter.pricing.whatif.record_files import RecordSource
    from langmeter.pricing.whatif.results import Bounds, WhatIf
    from langmeter.pricing.whatif.token_scaling import TokenRatio

Name: TypeAlias = "str | tuple[str, str]"
"""A model, or (provider, model)."""
Scores: TypeAlias = "Mapping[Name, float | Iterable[float]]"
"""By candidate: the scores of its runs, or one score."""
Workload: TypeAlias = "RecordSource | TokenUsage | Mapping[str, Any]"
"""Records as `read` takes them, or the usage of one call: a `TokenUsage` or LangChain's `usage_metadata`."""


class Candidate(NamedTuple):
    """One model that could be used instead: what it would have cost, and how good it is known to be."""

    model: str
    provider: str | None
    """None where the price table does not list the model: each call's own provider then."""
    cost: Bounds
    """US dollars for all calls that have a price on it."""
    saving: Bounds | None
    """US dollars against what the calls were recorded to cost; None where nothing was recorded."""
    score: float | None
    """The mean score of its runs; None without scores."""
    scored_runs: int
    """How many runs the score is the mean of."""
    adequate: bool | None
    """Whether the score is at least the one asked for; None where that is not known."""
    what_if: WhatIf
    """The whole calculation, its counts and assumptions included."""

    @property
    def quality(self) -> str:
        """What is known about its quality, for people: `unknown` without scores."""
        if self.score is None:
            return "unknown"
        return f"{self.score:.4g} over {self.scored_runs:,} run{'' if self.scored_runs == 1 else 's'}"


def cheapest(
    candidates: Iterable[Name],
    *,
    for_usage: Workload,
    scores: Scores | None = None,
    at_least: float | None = None,
    at: Instant = "request",
    prices: PriceOverrides | None = None,
    token_ratio: Mapping[Name, TokenRatio] | None = None,
) -> tuple[Candidate, ...]:
    """The candidates, the one that saves most first; what is adequate is for the caller to say, by scores.

    A list to decide by: no model is ever switched. Without scores the quality of every candidate is unknown, and the
    cheapest may well be the worst. Candidates that could not price every call come after those that could, and those with
    a score below `at_least` after all others.

    Args:
        candidates: models, or pairs of provider and model.
        for_usage: recorded calls, or the usage of one call.
        scores: by candidate, the scores of evaluated runs (feedback, test results; higher is better), or one score.
        at_least: the mean score from which a candidate is adequate.
        at: when prices are taken, as for `what_if`; the usage of one call is priced as of now.
        prices: price overrides, as for `what_if`.
        token_ratio: by candidate, as for `what_if`.

    Raises:
        SettingsError: `scores` or `token_ratio` names a model that is no candidate, or an argument has a wrong value.
        RecordError: records cannot be read.
        PriceFileError: `prices` cannot be used.
    """
    names = list(dict.fromkeys(candidates))
    _check(names, scores, "scores")
    _check(names, token_ratio, "token_ratio")
    records, choice = read(_records(for_usage)), Choice(catalog_with(prices), fixed_instant(at))
    ranked = []
    for name in names:
        provider, model = _provider_and_model(name)
        result = calculated(records, choice, provider, model, (token_ratio or {}).get(name))
        ranked.append(_candidate(model, result, _measured(name, scores), at_least))
    return tuple(sorted(ranked, key=_order))


def _candidate(model: str, result: WhatIf, runs: tuple[float, ...], at_least: float | None) -> Candidate:
    score = math.fsum(runs) / len(runs) if runs else None
    compared = result.counts.calls > result.counts.unrecorded
    return Candidate(
        model=model,
        provider=result.provider,
        cost=result.cost,
        saving=result.saving if compared else None,
        score=score,
        scored_runs=len(runs),
        adequate=None if score is None or at_least is None else score >= at_least,
        what_if=result,
    )


def _order(candidate: Candidate) -> tuple[bool, bool, bool, Decimal, str]:
    """Sorts by saving; where nothing was recorded, by cost, which is the same order."""
    counts = candidate.what_if.counts
    amount = candidate.cost.same_caching if candidate.saving is None else -candidate.saving.same_caching
    return (candidate.adequate is False, counts.calls == 0, counts.unpriced > 0, amount, candidate.model)


def _records(workload: Workload) -> RecordSource:
    """Records; the usage of one call becomes a record without a cost, a provider or a model, which candidates replace."""
    if isinstance(workload, Mapping):
        tokens = reported_usage(workload).tokens
        if tokens is None:
            raise SettingsError("for_usage must have 'input_tokens' and 'output_tokens', or be records")
        return [_unknown_call(tokens)]
    if isinstance(workload, TokenUsage):
        return [_unknown_call(workload)]
    return workload


def _unknown_call(tokens: TokenUsage) -> Record:
    return Record("unknown", "unknown", tokens, time.time())


def _provider_and_model(name: Name) -> tuple[str | None, str]:
    return (None, name) if isinstance(name, str) else name


def _check(names: list[Name], given: Mapping[Name, object] | None, argument: str) -> None:
    for name in given or ():
        if name not in names:
            raise SettingsError(
                f"{argument} names {name!r}, which is no candidate; candidates are {', '.join(map(repr, names))}"
            )


def _measured(name: Name, scores: Scores | None) -> tuple[float, ...]:
    """The scores of one candidate's runs."""
    given = (scores or {}).get(name, ())
    runs = tuple(given) if isinstance(given, Iterable) else (given,)
    values: tuple[object, ...] = runs
    for score in values:
        if not isinstance(score, int | float) or isinstance(score, bool) or not math.isfinite(score):
            raise SettingsError(f"scores of {name!r} must be finite numbers, got {score!r:.80}")
    return runs
