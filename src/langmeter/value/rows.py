"""The rows of a cache report, made from what the advisor counted. Frozen; money is `Decimal` US dollars, time is seconds."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, TypeAlias

from langmeter.events import usd
from langmeter.value import response_cache
from langmeter.value.ghost import LIFETIMES
from langmeter.value.prompt_cache import break_even_reads
from langmeter.value.response_cache import Judgement, Verdict, hit_ratio

if TYPE_CHECKING:
    from langmeter.value.tallies import GhostTally, LookupTally, PromptCacheTally

TimeBasis: TypeAlias = Literal["measured", "estimated", "both"]
LIFETIME_NAMES: Final = ("1 minute", "1 hour", "1 day", "no limit")


class MoneySide(NamedTuple):
    """What a response cache brought and cost in US dollars."""

    saved_usd: Decimal | None
    """What the hits did not spend; None where the price of none of them is known."""
    unpriced_hits: int
    """Hits whose price is not known: money that `saved_usd` does not contain."""
    lookup_cost_usd: Decimal | None
    """What look-ups and writes cost; None for a semantic cache whose embeddings have no price here."""
    net_usd: Decimal | None
    break_even: float | None
    """The hit ratio from which on the cache saves money; infinite where none does, None where it is not known."""
    verdict: Verdict | None
    """None where it is not known, or nothing was gained and nothing is at stake."""


class TimeSide(NamedTuple):
    """What a response cache brought and cost in seconds."""

    saved: float | None
    """What the hits did not wait; None where that is known of none of them."""
    lost: float
    """What misses, errors and hits slower than the call waited for look-ups."""
    net: float | None
    break_even: float | None
    """The hit ratio from which on the cache saves time; infinite where none does, None where it is not known."""
    basis: TimeBasis | None
    """`measured`: from the original calls' own durations; `estimated`: from the means of the model; None without a hit."""
    untimed_hits: int
    """Hits of which nothing tells how long the call would have taken: time that `saved` does not contain."""
    hit_median: float | None
    """Seconds of a look-up that hit."""
    hit_mean: float | None
    miss_median: float | None
    miss_mean: float | None
    verdict: Verdict | None


class ResponseCacheRow(NamedTuple):
    """What the response caches of one type did for one model. Never about the provider's prompt cache."""

    cache_type: str
    provider: str
    model: str
    hits: int
    misses: int
    errors: int
    """Look-ups that failed."""
    bypasses: int
    """Calls that did not ask the cache although there is one: streams."""
    hit_ratio: float | None
    """Hits per answered look-up; None without one."""
    saved_input_tokens: int
    saved_output_tokens: int
    money: MoneySide
    time: TimeSide
    verdict: Verdict
    """On money and time together."""
    lookups_needed: int | None
    """More look-ups until there is a verdict, at the hit ratio so far; None where no number would settle it."""


class PromptCacheRow(NamedTuple):
    """What the provider's prompt cache did for one model. Never about a response cache."""

    provider: str
    model: str
    calls: int
    """Calls that read from it or wrote to it."""
    read_tokens: int
    write_tokens: int
    """All written tokens, the one-hour ones included."""
    write_1h_tokens: int
    saved_usd: Decimal | None
    """What reads saved against plain input; None where the price of no call is known."""
    premium_usd: Decimal | None
    """What writes cost on top of plain input."""
    net_usd: Decimal | None
    unpriced_calls: int
    break_even_reads: int | None
    """Reads of a prefix that pay for writing it once, at the prices of these calls; None before both were seen."""
    reads_per_write: float | None
    """Tokens read per token written."""
    wasted_write_tokens_at_least: int
    """Tokens that were written and read by no call before they expired, if every read was of tokens unread before."""
    wasted_write_tokens_at_most: int
    """The same, if every read was of tokens read before, as far as there were any."""
    wasted_premium_usd_at_least: Decimal
    wasted_premium_usd_at_most: Decimal
    pending_write_tokens: int
    """Tokens that were not read so far and may still be."""


class GhostFigures(NamedTuple):
    """What a cache would have done whose entries live for so long."""

    lifetime: str
    hits: int
    hit_ratio: float | None
    saved_usd: Decimal | None
    """What the calls cost that it would have answered; None where the price of none of them is known."""
    unpriced_hits: int
    seconds_saved: float
    """What those calls took, the look-ups that an actual cache needs not taken off."""
    saved_input_tokens: int
    saved_output_tokens: int


class GhostRow(NamedTuple):
    """What a response cache would have done for one model, by the lifetime of its entries."""

    provider: str
    model: str
    calls: int
    """Calls that were looked at."""
    not_looked_at: int
    """Calls whose keys could not be made, or not in time: they are in no other figure."""
    lifetimes: tuple[GhostFigures, ...]


def lookup_row(key: tuple[str, str, str], tally: LookupTally) -> ResponseCacheRow:
    """The row of one response cache and model."""
    money_even, time_even = _money_break_even(tally), _time_break_even(tally)
    # A cache that costs nothing and had no hit gained nothing and risks nothing: time decides.
    money = _judged(tally, money_even) if money_even or tally.hits else None
    time = _judged(tally, time_even)
    judgement = response_cache.overall(money, time)
    return ResponseCacheRow(
        *key,
        tally.hits,
        tally.misses,
        tally.errors,
        tally.bypasses,
        hit_ratio(tally.hits, tally.misses),
        tally.saved_input_tokens,
        tally.saved_output_tokens,
        _money_side(tally, money_even, money),
        _time_side(tally, time_even, time),
        judgement.verdict,
        judgement.lookups_needed,
    )


def _money_side(tally: LookupTally, break_even: float | None, judgement: Judgement | None) -> MoneySide:
    cost = _lookup_cost(tally)
    known = tally.unpriced_hits < tally.hits or not tally.hits
    return MoneySide(
        usd(tally.saved) if known else None,
        tally.unpriced_hits,
        usd(cost) if cost is not None else None,
        usd(response_cache.net_money(tally.saved, cost)) if known and cost is not None else None,
        break_even,
        judgement.verdict if judgement is not None else None,
    )


def _time_side(tally: LookupTally, break_even: float | None, judgement: Judgement | None) -> TimeSide:
    timed = tally.timed_by_original + tally.timed_by_model
    known = timed > 0 or not tally.hits
    return TimeSide(
        tally.seconds_saved if known else None,
        tally.seconds_lost,
        response_cache.net_time(tally.seconds_saved, tally.seconds_lost) if known else None,
        break_even,
        _time_basis(tally),
        tally.hits - timed,
        tally.hit_seconds.median,
        tally.hit_seconds.mean,
        tally.miss_seconds.median,
        tally.miss_seconds.mean,
        judgement.verdict if judgement is not None else None,
    )


def prompt_cache_row(key: tuple[str, str], tally: PromptCacheTally) -> PromptCacheRow:
    """The row of the prompt cache of one model."""
    waste = tally.writes.waste(tally.now)
    priced = tally.calls > tally.unpriced_calls
    reads = None
    if tally.priced_read_tokens and tally.priced_write_tokens:
        reads = break_even_reads(tally.premium / tally.priced_write_tokens, tally.saved / tally.priced_read_tokens)
    return PromptCacheRow(
        *key,
        calls=tally.calls,
        read_tokens=tally.read_tokens,
        write_tokens=tally.write_tokens,
        write_1h_tokens=tally.write_1h_tokens,
        saved_usd=usd(tally.saved) if priced else None,
        premium_usd=usd(tally.premium) if priced else None,
        net_usd=usd(tally.saved - tally.premium) if priced else None,
        unpriced_calls=tally.unpriced_calls,
        break_even_reads=reads,
        reads_per_write=tally.read_tokens / tally.write_tokens if tally.write_tokens else None,
        wasted_write_tokens_at_least=waste.least_tokens,
        wasted_write_tokens_at_most=waste.most_tokens,
        wasted_premium_usd_at_least=usd(waste.least_premium),
        wasted_premium_usd_at_most=usd(waste.most_premium),
        pending_write_tokens=waste.pending_tokens,
    )


def ghost_row(key: tuple[str, str], tally: GhostTally) -> GhostRow:
    """The row of the imagined caches of one model."""
    return GhostRow(
        *key,
        tally.calls,
        tally.not_looked_at,
        tuple(_ghost_figures(tally, index) for index in range(len(LIFETIMES))),
    )


def _ghost_figures(tally: GhostTally, index: int) -> GhostFigures:
    hits, unpriced = tally.hits[index], tally.unpriced_hits[index]
    return GhostFigures(
        LIFETIME_NAMES[index],
        hits,
        hit_ratio(hits, tally.calls - hits),
        usd(tally.saved[index]) if unpriced < hits or not hits else None,
        unpriced,
        tally.seconds_saved[index],
        tally.saved_input_tokens[index],
        tally.saved_output_tokens[index],
    )


def _lookup_cost(tally: LookupTally) -> int | None:
    """Of all look-ups and writes, those without a cost taken at the mean of the others; None where none has one."""
    if not tally.costed_lookups:
        return None if tally.hits + tally.misses + tally.errors else 0
    asked = tally.hits + tally.misses + tally.errors
    cost = tally.lookup_cost * asked / tally.costed_lookups
    if tally.costed_writes:
        cost += tally.write_cost * tally.stored / tally.costed_writes
    return round(cost)


def _money_break_even(tally: LookupTally) -> float | None:
    cost = _lookup_cost(tally)
    if cost is None:
        return None
    if not cost:
        return 0.0
    priced_hits = tally.hits - tally.unpriced_hits
    if priced_hits:
        call = tally.saved / priced_hits
    elif tally.priced_misses:
        call = tally.miss_cost / tally.priced_misses
    else:
        return None
    lookup = tally.lookup_cost / tally.costed_lookups
    write = tally.write_cost / tally.costed_writes if tally.costed_writes else 0.0
    return response_cache.money_break_even(lookup, call, write)


def _time_break_even(tally: LookupTally) -> float | None:
    timed_hits = tally.timed_by_original + tally.timed_by_model
    hit, miss = tally.hit_seconds.mean, tally.miss_seconds.mean
    if timed_hits:
        call = tally.expected_seconds / timed_hits
    elif tally.timed_calls:
        call = tally.call_seconds / tally.timed_calls
    else:
        return None
    if hit is None:
        hit = miss
    if miss is None:
        miss = hit
    return None if hit is None or miss is None else response_cache.time_break_even(miss, hit, call)


def _judged(tally: LookupTally, break_even: float | None) -> Judgement | None:
    if break_even is None:
        return None
    return response_cache.judge(tally.hits, tally.hits + tally.misses, break_even)


def _time_basis(tally: LookupTally) -> TimeBasis | None:
    if tally.timed_by_original and tally.timed_by_model:
        return "both"
    if tally.timed_by_original:
        return "measured"
    return "estimated" if tally.timed_by_model else None


def json_ready(value: object) -> object:
    """A row as JSON has it: money as decimal strings, so that nothing is rounded, and an infinite break-even as `never`."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float) and math.isinf(value):
        return "never"
    if hasattr(value, "_asdict"):
        return {name: json_ready(field) for name, field in value._asdict().items()}
    if isinstance(value, tuple):
        return [json_ready(item) for item in value]
    return value
