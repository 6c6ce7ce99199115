"""What one call adds to the counters: which line, how much. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from langmeter import semconv
from langmeter.telemetry.series import Cells, Line

if TYPE_CHECKING:
    from langmeter.events import CacheLookup, Cost, TokenUsage
    from langmeter.semconv import Metric
    from langmeter.telemetry.totals import Cell

SPENT: Final = ("priced", "reported", "estimated", "allocated", "partial")
"""Statuses of money that was spent. `cached` was not, and of `unpriced` nobody knows."""


def _by_modality(metric: Metric) -> tuple[Line, ...]:
    return tuple(Line(metric, {semconv.TOKEN_MODALITY: modality}) for modality in semconv.MODALITIES)


_REQUESTS: Final = Line(semconv.REQUESTS, by_error=True)
_INPUT: Final = _by_modality(semconv.INFERENCE_INPUT_TOKENS)
_OUTPUT: Final = _by_modality(semconv.INFERENCE_OUTPUT_TOKENS)
_NO_PARTS: Final = (None, None, None)
# Providers hardly ever cross these with a modality, so they go to the last one, `unknown`.
_CACHE_READ: Final = _by_modality(semconv.INFERENCE_CACHE_READ_TOKENS)[-1]
_CACHE_WRITE: Final = _by_modality(semconv.INFERENCE_CACHE_WRITE_TOKENS)[-1]
_REASONING: Final = _by_modality(semconv.INFERENCE_REASONING_TOKENS)[-1]
_COST: Final = {
    status: tuple(
        Line(semconv.COST, {semconv.COST_CATEGORY: category, semconv.COST_STATUS: status})
        for category in semconv.COST_CATEGORIES
    )
    for status in SPENT
}
_UNPRICED: Final = {
    reason: tuple(
        Line(metric, {semconv.UNPRICED_REASON: reason})
        for metric in (semconv.UNPRICED_REQUESTS, semconv.UNPRICED_TOKENS)
    )
    for reason in ("unknown_model", "no_usage", "pricing_unavailable")
}
_EMBEDDED: Final = Line(semconv.EMBEDDINGS_USAGE_INPUT_TOKENS)
_ESTIMATED_INPUT: Final = Line(semconv.ESTIMATED_INPUT)
_ESTIMATED_OUTPUT: Final = Line(semconv.ESTIMATED_OUTPUT)
_PROMPT_CACHE_SAVED: Final = Line(semconv.PROMPT_CACHE_SAVED)
_PROMPT_CACHE_PREMIUM: Final = Line(semconv.PROMPT_CACHE_PREMIUM)
_CACHE_REQUESTS: Final = {
    status: Line(semconv.CACHE_REQUESTS, {semconv.CACHE_STATUS: status}, by_error=True)
    for status in ("hit", "miss", "error", "bypass")
}
_SAVED_INPUT: Final = Line(semconv.CACHE_SAVED_INPUT_TOKENS)
_SAVED_OUTPUT: Final = Line(semconv.CACHE_SAVED_OUTPUT_TOKENS)
_SAVED_COST: Final = Line(semconv.CACHE_SAVED_COST)
_SAVED_TIME: Final = Line(semconv.CACHE_SAVED_TIME)
_LOST_TIME: Final = Line(semconv.CACHE_LOST_TIME)
_UNREADABLE: Final = Line(semconv.CACHE_UNREADABLE_ENTRIES)
_NANOSECONDS: Final = 1_000_000_000

Increments = list[tuple["Cell", int]]


def of_call(
    cells: Cells,
    usage: TokenUsage | None,
    cost: Cost | None,
    estimated: TokenUsage | None = None,
    *,
    embeds: bool = False,
) -> Increments:
    """What a call that reached a provider, or tried to, adds to the totals. Additions of 0 are left out.

    Args:
        cells: where the call's attributes are counted.
        usage: what the provider reported, for failed calls too; None adds no tokens.
        cost: None adds no money and counts nothing as unpriced.
        estimated: what the provider did not report; has counters of its own.
        embeds: whether it is an embeddings call, which has a token counter of its own and an input only.
    """
    increments = [(cells[_REQUESTS], 1)]
    if usage is not None and embeds:
        if usage.input_tokens > 0:
            increments.append((cells[_EMBEDDED], usage.input_tokens))
    elif usage is not None:
        _add_tokens(increments, cells, usage)
    if estimated is not None:
        _add_estimate(increments, cells, estimated)
    if cost is not None:
        if cost.parts is None:
            _add_unpriced(increments, cells, usage, cost)
        else:
            _add_cost(increments, cells, cost)
    return increments


def of_lookup(cells: Cells, lookup: CacheLookup, saved: Cost | None) -> Increments:
    """What a look-up in the response cache adds to the totals; on a hit also what it saved, as far as that is known."""
    increments = [(cells[_CACHE_REQUESTS[lookup.status]], 1)]
    if lookup.status != "hit":
        _add_time(increments, cells, -(lookup.duration or 0.0))
        return increments
    if lookup.unreadable:
        increments.append((cells[_UNREADABLE], 1))
    if lookup.saved is not None:
        if lookup.saved.input_tokens > 0:
            increments.append((cells[_SAVED_INPUT], lookup.saved.input_tokens))
        if lookup.saved.output_tokens > 0:
            increments.append((cells[_SAVED_OUTPUT], lookup.saved.output_tokens))
    amount = None if saved is None else saved.picodollars
    if amount:
        increments.append((cells[_SAVED_COST], amount))
    _add_time(increments, cells, lookup.time_saved or 0.0)
    return increments


def _add_time(increments: Increments, cells: Cells, gained: float) -> None:
    """Seconds gained, or lost when negative: two totals, because a total must not fall; in nanoseconds, to add exactly."""
    nanoseconds = round(gained * _NANOSECONDS)
    if nanoseconds > 0:
        increments.append((cells[_SAVED_TIME], nanoseconds))
    elif nanoseconds < 0:
        increments.append((cells[_LOST_TIME], -nanoseconds))


def _add_tokens(increments: Increments, cells: Cells, usage: TokenUsage) -> None:
    _add_partition(
        increments, cells, _INPUT, usage.input_tokens, (usage.input_text, usage.input_image, usage.input_audio)
    )
    _add_partition(
        increments, cells, _OUTPUT, usage.output_tokens, (usage.output_text, usage.output_image, usage.output_audio)
    )
    if usage.cache_read:
        increments.append((cells[_CACHE_READ], usage.cache_read))
    if usage.cache_write:
        increments.append((cells[_CACHE_WRITE], usage.cache_write))
    if usage.reasoning:
        increments.append((cells[_REASONING], usage.reasoning))


def _add_estimate(increments: Increments, cells: Cells, estimated: TokenUsage) -> None:
    if estimated.input_tokens > 0:
        increments.append((cells[_ESTIMATED_INPUT], estimated.input_tokens))
    if estimated.output_tokens > 0:
        increments.append((cells[_ESTIMATED_OUTPUT], estimated.output_tokens))


def _add_partition(
    increments: Increments, cells: Cells, lines: tuple[Line, ...], total: int, parts: tuple[int | None, ...]
) -> None:
    """Add known parts under their modality and the remainder under `unknown`, so that together they are the total."""
    rest = total
    if parts != _NO_PARTS:
        for line, tokens in zip(lines, parts, strict=False):  # the last line is the remainder's
            part = min(tokens or 0, rest)
            if part > 0:
                increments.append((cells[line], part))
                rest -= part
    if rest > 0:
        increments.append((cells[lines[-1]], rest))


def _add_unpriced(increments: Increments, cells: Cells, usage: TokenUsage | None, cost: Cost) -> None:
    requests, tokens = _UNPRICED[cost.reason or "pricing_unavailable"]
    increments.append((cells[requests], 1))
    if usage is not None and usage.total_tokens > 0:
        increments.append((cells[tokens], usage.total_tokens))


def _add_cost(increments: Increments, cells: Cells, cost: Cost) -> None:
    lines = _COST.get(cost.status)
    if lines is None or cost.parts is None:
        return
    count = len(increments)
    for line, amount in zip(lines, cost.parts, strict=True):
        if amount > 0:
            increments.append((cells[line], amount))
    if len(increments) == count:
        # A call that is known to be free is not the same as a call without a price.
        increments.append((cells[lines[0]], 0))
    if cost.prompt_cache_saved:
        increments.append((cells[_PROMPT_CACHE_SAVED], cost.prompt_cache_saved))
    if cost.prompt_cache_premium:
        increments.append((cells[_PROMPT_CACHE_PREMIUM], cost.prompt_cache_premium))
