"""The arithmetic of what caches are worth, against figures worked out by hand."""

from __future__ import annotations

import json
import math
import os
import random
import signal
import statistics
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

import langmeter
from langmeter import worker
from langmeter.caches import CacheAdvisor
from langmeter.events import (
    CacheLookup,
    Cost,
    CostParts,
    Failure,
    ModelCall,
    ModelRequest,
    ModelResponse,
    PricedCall,
    ReportedUsage,
    TokenUsage,
)
from langmeter.listeners import listeners
from langmeter.value import response_cache
from langmeter.value.durations import Durations
from langmeter.value.experience import Experience
from langmeter.value.ghost import GhostCache
from langmeter.value.lookup_costs import LookupCosts
from langmeter.value.prompt_cache import Waste, WriteWindow, break_even_reads, prefix_net
from langmeter.value.response_cache import (
    NEVER,
    Judgement,
    hit_ratio,
    judge,
    money_break_even,
    overall,
    time_break_even,
)

MILLION = 10**6
USAGE = TokenUsage(800, 1_000)
DOLLAR = 10**12

# -- response caches ----------------------------------------------------------------------------------------------------


def test_the_hit_ratio_is_of_answered_look_ups_only():
    assert (hit_ratio(0, 0), hit_ratio(0, 4), hit_ratio(3, 1), hit_ratio(2, 0)) == (None, 0.0, 0.75, 1.0)


@pytest.mark.parametrize(
    ("seconds", "share"),
    [
        pytest.param(15e-6, 0.00001, id="in memory 15 µs"),
        pytest.param(1e-3, 0.0006667, id="Redis 1 ms"),
        pytest.param(2e-3, 0.001333, id="SQLite 2 ms"),
        pytest.param(60e-3, 0.04, id="semantic 60 ms"),
    ],
)
def test_the_break_even_in_time_against_a_call_of_a_second_and_a_half(seconds, share):
    assert time_break_even(seconds, seconds, 1.5) == pytest.approx(share, rel=0.001)


@pytest.mark.parametrize(
    ("input_price", "output_price", "output_tokens", "share"),
    [
        # 800 tokens embedded at $0.02 a million are $0.000016.
        pytest.param(2.50, 10, 1_000, 0.000016 / 0.012, id="gpt-4o, 800 in and 1,000 out: $0.012, 0.13 %"),
        pytest.param(0.15, 0.60, 200, 0.000016 / 0.00024, id="gpt-4o-mini, 800 in and 200 out: $0.00024, 6.7 %"),
        pytest.param(0.20, 0.50, 200, 0.000016 / 0.00026, id="gpt-6-luna, 800 in and 200 out: $0.00026, 6.2 %"),
    ],
)
def test_the_break_even_in_money_of_a_semantic_cache(input_price, output_price, output_tokens, share):
    lookup = 800 * 0.02 / MILLION
    call = (800 * input_price + output_tokens * output_price) / MILLION
    assert money_break_even(lookup, call) == pytest.approx(share)


def test_at_the_break_even_nothing_is_gained_and_nothing_lost():
    lookup, write, call = 16, 4, 240
    ratio = money_break_even(lookup, call, write)
    hits = ratio * 1_000
    assert hits * call - 1_000 * lookup - (1_000 - hits) * write == pytest.approx(0, abs=1e-9)

    miss, hit, model = 0.2, 0.5, 1.5
    ratio = time_break_even(miss, hit, model)
    assert ratio * (model - hit) - (1 - ratio) * miss == pytest.approx(0)


def test_a_cache_that_costs_nothing_breaks_even_at_once_and_one_dearer_than_the_call_never():
    assert (money_break_even(0, 100), money_break_even(0, 0)) == (0.0, 0.0)
    assert (money_break_even(101, 100), time_break_even(0.1, 2.0, 1.5)) == (NEVER, NEVER)
    assert time_break_even(0.0, 0.0, 1.5) == 0.0


def test_net_value_is_what_hits_saved_less_what_look_ups_took():
    assert response_cache.net_money(1_000, 16 * 20, 4 * 5) == 660
    assert response_cache.net_time(10.0, 12.5) == -2.5


# With z = 1.96: no hit in n look-ups leaves up to 3.8416 / (n + 3.8416); n hits in n leave at least n / (n + 3.8416).
@pytest.mark.parametrize(
    ("hits", "lookups", "break_even", "judgement"),
    [
        pytest.param(19, 19, 0.1, Judgement("too early to say", 1), id="19 look-ups are too few, whatever they say"),
        pytest.param(20, 20, 0.83, Judgement("pays", 0), id="20 of 20 is above 83.9 % at least"),
        pytest.param(20, 20, 0.84, Judgement("too early to say", 1), id="but not surely above 84 %: 21 of 21 would be"),
        pytest.param(0, 100, 0.04, Judgement("does not pay", 0), id="0 of 100 is below 3.7 % at most"),
        pytest.param(0, 92, 0.04, Judgement("too early to say", 1), id="0 of 92 is not below 4 %: 0 of 93 is"),
        pytest.param(1, 100, 0.0, Judgement("pays", 0), id="a free look-up pays with the first hit"),
        pytest.param(0, 100, 0.0, Judgement("too early to say", None), id="without one, nothing can be said"),
        pytest.param(50, 100, 0.5, Judgement("too early to say", None), id="nor at the break-even itself"),
        pytest.param(20, 20, NEVER, Judgement("does not pay", 0), id="not even a hit every time pays"),
        pytest.param(5, 5, NEVER, Judgement("too early to say", 15), id="but five look-ups may be bad luck"),
        pytest.param(0, 0, 0.1, Judgement("too early to say", 20), id="nothing seen"),
    ],
)
def test_a_verdict_takes_enough_look_ups(hits, lookups, break_even, judgement):
    assert judge(hits, lookups, break_even) == judgement


def test_rounding_never_finds_a_hit_where_there_was_none():
    assert {judge(0, lookups, 0.0).verdict for lookups in range(20, 3_000)} == {"too early to say"}
    assert {judge(lookups, lookups, 1.0).verdict for lookups in range(20, 3_000)} == {"too early to say"}


def test_as_many_more_look_ups_as_it_says_do_settle_it():
    early = judge(12, 300, 0.05)
    assert early.verdict == "too early to say"
    factor = (300 + early.lookups_needed) / 300
    assert judge(round(12 * factor), 300 + early.lookups_needed, 0.05).verdict == "does not pay"


PAYS, DOES_NOT, EARLY = Judgement("pays", 0), Judgement("does not pay", 0), Judgement("too early to say", 7)


@pytest.mark.parametrize(
    ("money", "time", "verdict"),
    [
        (PAYS, PAYS, PAYS),
        (DOES_NOT, DOES_NOT, DOES_NOT),
        (PAYS, DOES_NOT, Judgement("trade-off", 0)),
        (DOES_NOT, PAYS, Judgement("trade-off", 0)),
        (PAYS, EARLY, EARLY),
        (EARLY, Judgement("too early to say", 9), Judgement("too early to say", 9)),
        (EARLY, Judgement("too early to say", None), Judgement("too early to say", None)),
        (None, DOES_NOT, DOES_NOT),
        (PAYS, None, PAYS),
        (None, None, Judgement("too early to say", 20)),
    ],
)
def test_money_and_time_together(money, time, verdict):
    assert overall(money, time) == verdict


# -- the provider's prompt cache ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("write", "nets", "reads"),
    [
        pytest.param(5, ["-0.020", "0.056", "0.132"], 1, id="kept for five minutes"),
        pytest.param(8, ["-0.080", "-0.004", "0.072"], 2, id="kept for an hour"),
    ],
)
def test_a_prefix_of_20_000_tokens_on_opus(write, nets, reads):
    """Dollars a million tokens: 4 plain, 0.20 read, 5 or 8 written; they are pico-dollars a token times a million."""
    prices = {"plain": 4 * MILLION, "read": MILLION // 5, "write": write * MILLION}
    assert [Decimal(prefix_net(20_000, n, **prices)) / DOLLAR for n in range(3)] == [Decimal(net) for net in nets]
    assert break_even_reads(write - 4, 4 - 0.2) == reads


@pytest.mark.parametrize(
    ("written", "net"), [("ephemeral_5m_input_tokens", "-0.020"), ("ephemeral_1h_input_tokens", "-0.080")]
)
def test_the_price_table_agrees_about_that_prefix(written, net):
    def cost(kind):
        usage = {
            "input_tokens": 20_000,
            "output_tokens": 0,
            "total_tokens": 20_000,
            "input_token_details": {kind: 20_000},
        }
        return langmeter.price(provider="anthropic", model="claude-opus-5-5", usage_metadata=usage)

    wrote, read = cost(written), cost("cache_read")
    assert Decimal(-wrote.prompt_cache_premium) / DOLLAR == Decimal(net)
    assert Decimal(read.prompt_cache_saved) / DOLLAR == Decimal("0.076")


def test_writing_that_costs_nothing_extra_needs_no_read_and_reading_that_saves_nothing_never_pays():
    assert (break_even_reads(0, 0), break_even_reads(0, 5), break_even_reads(1, 0)) == (0, 0, None)
    assert break_even_reads(0.3, 0.1) == 3


def _window(*calls: tuple[float, int, int, int]) -> WriteWindow:
    window = WriteWindow()
    for at, read, written_5m, written_1h in calls:
        window.record(at, read=read, written_5m=written_5m, written_1h=written_1h, premium=written_5m + 4 * written_1h)
    return window


@pytest.mark.parametrize(
    ("calls", "now", "waste"),
    [
        pytest.param([(0, 0, 100, 0)], 300, Waste(pending_tokens=100), id="still alive"),
        pytest.param([(0, 0, 100, 0)], 301, Waste(100, 100, 100, 100), id="expired unread"),
        pytest.param([(0, 0, 0, 100)], 3_600, Waste(pending_tokens=100), id="an hour is longer"),
        pytest.param([(0, 0, 0, 100)], 3_601, Waste(100, 100, 400, 400), id="and costs more"),
        pytest.param([(0, 0, 100, 0), (10, 100, 0, 0)], 5_000, Waste(), id="read"),
        pytest.param([(0, 0, 100, 0), (10, 60, 0, 0)], 5_000, Waste(40, 40, 40, 40), id="read in part"),
        pytest.param(
            [(0, 0, 100, 0), (400, 100, 0, 0)], 5_000, Waste(100, 100, 100, 100), id="read too late: another's"
        ),
        pytest.param(
            # The second read may be of the second write, or of the first again.
            [(0, 0, 100, 0), (10, 0, 100, 0), (20, 100, 0, 0), (30, 100, 0, 0)],
            5_000,
            Waste(0, 100, 0, 100),
            id="one prefix read twice, or two once each",
        ),
        pytest.param(
            # Each turn reads all before it and writes its own: only the last turn's 10 are never read.
            [(0, 0, 100, 0), (10, 100, 10, 0), (20, 110, 10, 0), (30, 120, 10, 0)],
            5_000,
            Waste(10, 10, 10, 10),
            id="a conversation",
        ),
        pytest.param(
            # Read every 200 seconds: alive at 600 although written at 0.
            [(0, 0, 100, 0), (200, 100, 0, 0), (300, 0, 50, 0), (400, 100, 0, 0), (590, 100, 0, 0)],
            5_000,
            Waste(0, 50, 0, 50),
            id="a read makes an entry live on",
        ),
    ],
)
def test_writes_that_nobody_reads_again(calls, now, waste):
    assert _window(*calls).waste(now) == waste


def test_the_least_waste_is_never_more_than_the_most():
    random.seed(7)
    for _ in range(50):
        now, calls = 0.0, []
        for _ in range(60):
            now += random.expovariate(1 / 120)
            calls.append((now, random.choice([0, 50, 200]), random.choice([0, 0, 80]), random.choice([0, 0, 30])))
        waste = _window(*calls).waste(now + 10_000)
        written = sum(call[2] + call[3] for call in calls)
        assert 0 <= waste.least_tokens <= waste.most_tokens <= written
        assert 0 <= waste.least_premium <= waste.most_premium


def test_the_window_of_writes_is_bounded():
    window = WriteWindow()
    for second in range(20_000):
        for _ in range(3):
            window.record(second / 2, read=0, written_5m=1, written_1h=1, premium=2)
    batches = sum(len(kept) for kept in window._most._fresh.values())
    assert batches <= 300 + 3_600 + 4
    assert window._most.fresh_tokens() + window.waste(10_000).most_tokens == 120_000


# -- ghost mode -----------------------------------------------------------------------------------------------------------


def _looks(*calls: tuple[int, float, float]) -> list[str]:
    """For each (key, began, ended) the lifetimes that would have hit, as letters: minute, hour, day, unlimited."""
    ghost = GhostCache()
    found = [ghost.look(key, began, ended, answered=True) for key, began, ended in calls]
    return ["".join(letter for letter, hit in zip("mhdu", hits, strict=True) if hit) for hits in found]


def test_a_ghost_hits_what_was_answered_before_for_as_long_as_it_lives():
    assert _looks((1, 0, 1), (2, 0, 1), (1, 2, 3), (1, 62, 63), (1, 5_000, 5_001), (1, 90_000, 90_001)) == [
        "",
        "",
        "mhdu",
        "hdu",  # the minute's entry was written at 1
        "du",
        "u",
    ]


def test_a_ghost_writes_again_after_a_miss():
    # Missed by the minute's cache at 100, which then has it until 161.
    assert _looks((1, 0, 1), (1, 100, 101), (1, 160, 161)) == ["", "hdu", "mhdu"]


def test_a_ghost_does_not_write_where_it_hit():
    # At 3,605 the hour's cache misses, while the minute's has what was written at 3,590 and keeps that, until 3,650.
    calls = [(1, 0, 0), (1, 3_590, 3_590), (1, 3_605, 3_660), (1, 3_670, 3_671)]
    assert _looks(*calls) == ["", "hdu", "mdu", "hdu"]


def test_a_ghost_has_no_answer_before_the_call_that_makes_it_has_ended():
    assert _looks((1, 0, 10), (1, 5, 11), (1, 10.5, 12)) == ["", "", "mhdu"]


def test_a_ghost_keeps_no_answer_of_a_failed_call():
    ghost = GhostCache()
    assert not any(ghost.look(1, 0, 1, answered=False))
    assert not any(ghost.look(1, 2, 3, answered=True))
    assert all(ghost.look(1, 4, 5, answered=False))


def test_a_ghost_forgets_what_was_asked_longest_ago():
    ghost = GhostCache(limit=2)
    for key in (1, 2, 1, 3):
        ghost.look(key, key, key, answered=True)
    assert len(ghost) == 2
    assert [any(ghost.look(key, 10, 10, answered=False)) for key in (1, 2, 3)] == [True, False, True]


# -- small parts ----------------------------------------------------------------------------------------------------------


def test_durations_have_an_exact_mean_and_a_close_median():
    random.seed(3)
    values = [random.lognormvariate(-5, 2) for _ in range(5_001)]
    durations = Durations()
    for value in values:
        durations.add(value)
    assert (durations.count, durations.mean) == (5_001, pytest.approx(statistics.fmean(values)))
    assert durations.median == pytest.approx(statistics.median(values), rel=0.026)
    assert (Durations().mean, Durations().median) == (None, None)


def test_what_a_look_up_costs_depends_on_the_cache():
    usage = TokenUsage(800, 10)
    free, given = LookupCosts(), LookupCosts(lookup=Decimal("0.000016"), write=0.00001)
    by_type, embedding = LookupCosts(lookup={"mine": 0.5}), LookupCosts(embedding=0.02)
    assert [free.lookup("redis", usage), free.lookup("redis_semantic", usage), free.lookup(None, None)] == [0, None, 0]
    assert [given.lookup("redis", usage), given.lookup("gptcache", usage)] == [0, 16_000_000]
    assert [given.write("redis_semantic", usage), given.write("sqlite", usage)] == [10_000_000, 0]
    assert [by_type.lookup("mine", None), by_type.write("mine", None), by_type.lookup("redis_semantic", usage)] == [
        DOLLAR // 2,
        DOLLAR // 2,
        None,
    ]
    assert [embedding.lookup("redis_semantic", usage), embedding.write("redis_semantic", usage)] == [16_000_000] * 2
    assert [embedding.lookup("redis_semantic", None), embedding.lookup("redis", usage)] == [None, 0]


@pytest.mark.parametrize("amount", [-1, math.nan, math.inf, "1", True])
def test_a_price_that_is_none_is_refused(amount):
    with pytest.raises(langmeter.SettingsError, match=r"lookup_cost_usd\['mine'\] must be US dollars"):
        CacheAdvisor(lookup_cost_usd={"mine": amount})


def _experience(window: int, *, hits: int, misses: int, lookup: float, call: float) -> Experience:
    experience = Experience(window)
    for _ in range(hits):
        experience.add_lookup(lookup, hit=True)
    for _ in range(misses):
        experience.add_lookup(lookup, hit=False)
        experience.add_call(call)
    return experience


def test_experience_says_that_a_slow_cache_without_hits_does_not_pay():
    assert _experience(500, hits=0, misses=100, lookup=0.06, call=1.5).judgement(0, 0).verdict == "does not pay"


def test_one_hit_is_enough_where_look_ups_are_free():
    assert _experience(500, hits=1, misses=400, lookup=0.06, call=1.5).judgement(0, 0).verdict == "trade-off"


def test_what_nobody_can_price_is_not_said_not_to_pay():
    experience = _experience(500, hits=0, misses=100, lookup=0.06, call=1.5)
    assert experience.judgement(16, 16).verdict == "too early to say"
    experience.add_price(240)
    assert experience.judgement(16, 16).verdict == "does not pay"


def test_experience_forgets_what_is_older_than_two_windows():
    experience = _experience(100, hits=50, misses=250, lookup=0.06, call=1.5)
    assert (experience.lookups, experience.hits) == (200, 0)


# -- the advisor ----------------------------------------------------------------------------------------------------------


def _call(
    status: str | None = None,
    *,
    cache_type: str = "redis",
    model: str = "gpt-4o",
    cost: int | None = 12_000_000_000,
    usage: TokenUsage | None = USAGE,
    failure: Failure | None = None,
    prompt_cache: tuple[int, int] = (0, 0),
    at: float = 1_000.0,
    key: int | None = None,
    **lookup: Any,
) -> PricedCall:
    """A call of 1.5 seconds besides its look-up. `lookup` is the rest of its `CacheLookup`."""
    cache = CacheLookup(status, cache_type, **lookup) if status is not None else None
    hit = status == "hit"
    spent = (
        Cost("unpriced", reason="unknown_model")
        if cost is None
        else Cost("priced", CostParts(output=cost), source="test")
    )
    spent = spent._replace(prompt_cache_saved=prompt_cache[0], prompt_cache_premium=prompt_cache[1])
    call = ModelCall(
        ModelRequest("chat", "openai", model),
        failure or ModelResponse(ReportedUsage(usage)),
        int(at * 1e9),
        (lookup.get("duration") or 0.0) + (0.0 if hit else 1.5),
        cache=cache,
        key=None if key is None else lambda: key,
    )
    return PricedCall(call, Cost("cached", CostParts()) if hit else spent, spent if hit else None)


def _advised(*calls: PricedCall, **options: Any) -> CacheAdvisor:
    advisor = CacheAdvisor(**options)
    for call in calls:
        advisor.record(call)
    return advisor


def test_the_report_on_an_exact_cache():
    saved = TokenUsage(800, 1_000)
    hit = _call("hit", duration=0.001, saved=saved, expected_duration=2.0, expected_from="original")
    slow = _call("hit", duration=0.001, saved=saved, expected_duration=0.0005, expected_from="model")
    unknown = _call("hit", duration=0.001, cost=None)
    miss, failed = _call("miss", duration=0.001), _call("error", duration=0.5, failure=Failure("error", "E"))
    calls = [*[hit] * 18, slow, unknown, *[miss] * 20, failed, _call("bypass")]

    (row,) = _advised(*calls).report().response_caches
    assert (row.cache_type, row.provider, row.model) == ("redis", "openai", "gpt-4o")
    assert (row.hits, row.misses, row.errors, row.bypasses, row.hit_ratio) == (20, 20, 1, 1, 0.5)
    assert (row.saved_input_tokens, row.saved_output_tokens) == (19 * 800, 19 * 1_000)
    assert row.money._asdict() == {
        "saved_usd": Decimal("0.228"),  # 19 hits at $0.012
        "unpriced_hits": 1,
        "lookup_cost_usd": Decimal(0),
        "net_usd": Decimal("0.228"),
        "break_even": 0.0,
        "verdict": "pays",
    }
    # Gained 18 * 1.999 s; lost 0.0005 s on the slow hit, 20 * 0.001 s on misses and 0.5 s on the error.
    assert (row.time.saved, row.time.lost, row.time.net) == pytest.approx((35.982, 0.5205, 35.4615))
    assert row.time.break_even == pytest.approx(0.001 / (36.0005 / 19))
    assert (row.time.basis, row.time.untimed_hits, row.time.verdict) == ("both", 1, "pays")
    assert (row.time.hit_mean, row.time.miss_mean) == pytest.approx((0.001, 0.001))
    assert (row.time.hit_median, row.time.miss_median) == pytest.approx((0.001, 0.001), rel=0.026)
    assert (row.verdict, row.lookups_needed) == ("pays", 0)


def test_the_report_on_a_semantic_cache_that_saves_money_and_costs_time():
    saved = TokenUsage(800, 1_000)
    hit = _call(
        "hit", duration=0.2, saved=saved, cache_type="redis_semantic", expected_duration=1.5, expected_from="model"
    )
    miss = _call("miss", duration=0.2, cache_type="redis_semantic")

    (row,) = _advised(*[hit] * 40, *[miss] * 960, lookup_cost_usd=0.000016, write_cost_usd=0).report().response_caches
    # 40 hits at $0.012 are $0.48, 1,000 look-ups at $0.000016 are $0.016.
    assert (row.money.net_usd, row.money.break_even) == (Decimal("0.464"), pytest.approx(0.016 / 12))
    assert row.time.net == pytest.approx(40 * 1.3 - 960 * 0.2)
    assert row.time.break_even == pytest.approx(0.2 / 1.5)
    assert (row.money.verdict, row.time.verdict, row.verdict) == ("pays", "does not pay", "trade-off")


def test_a_miss_of_a_semantic_cache_embeds_twice():
    miss = _call("miss", duration=0.06, cache_type="redis_semantic")
    hit = _call("hit", duration=0.06, cache_type="redis_semantic", saved=TokenUsage(800, 1_000))
    (row,) = _advised(miss, hit, embedding_usd_per_million_tokens=0.02).report().response_caches
    assert row.money.lookup_cost_usd == Decimal("0.000048")


def test_look_ups_and_writes_that_cannot_be_priced_are_taken_at_the_mean_of_the_others():
    miss = _call("miss", duration=0.06, cache_type="redis_semantic")
    silent = _call("miss", duration=0.06, cache_type="redis_semantic", usage=None)
    (row,) = _advised(miss, silent, embedding_usd_per_million_tokens=0.02).report().response_caches
    assert row.money.lookup_cost_usd == Decimal("0.000064")  # each 800 tokens to look up and 800 to store


def test_a_semantic_cache_whose_look_ups_have_no_price_gets_no_verdict_on_money():
    hit = _call("hit", duration=0.01, cache_type="redis_semantic", expected_duration=1.5, expected_from="model")
    (row,) = _advised(*[hit] * 30).report().response_caches
    assert (row.money.saved_usd, row.money.lookup_cost_usd, row.money.net_usd) == (Decimal("0.36"), None, None)
    assert (row.money.break_even, row.money.verdict, row.time.verdict) == (None, None, "pays")


def test_unknown_is_not_nothing():
    (row,) = _advised(*[_call("hit", duration=0.001, cost=None)] * 3).report().response_caches
    assert (row.money.saved_usd, row.money.net_usd, row.time.saved, row.time.net) == (None, None, None, None)


def test_a_hit_whose_look_up_nobody_timed_claims_no_time():
    seen = _call("hit", duration=0.5, expected_duration=2.0, expected_from="model")
    unseen = _call("hit", expected_duration=2.0, expected_from="model")
    (row,) = _advised(seen, unseen).report().response_caches
    assert (row.time.saved, row.time.untimed_hits) == (1.5, 1)


def test_before_a_verdict_it_says_how_many_look_ups_are_missing():
    (row,) = _advised(*[_call("miss", duration=0.06)] * 5).report().response_caches
    # 0 hits must stay below 0.06 / 1.5 = 4 %: 3.8416 / (n + 3.8416) < 0.04 from n = 93 on.
    assert (row.verdict, row.lookups_needed) == ("too early to say", 88)


def test_the_report_on_a_prompt_cache():
    """Opus prices: a read token saves 3.8 millionths of a dollar, a written one costs 1 (5 minutes) more."""
    wrote = TokenUsage(20_100, 5, cache_write=20_000)
    read = TokenUsage(20_100, 5, cache_read=20_000)
    calls = [
        _call(usage=wrote, prompt_cache=(0, 20_000 * MILLION), at=0),
        _call(usage=read, prompt_cache=(20_000 * 3_800_000, 0), at=100),
        _call(usage=read, prompt_cache=(20_000 * 3_800_000, 0), at=200),
        _call(usage=wrote, prompt_cache=(0, 20_000 * MILLION), at=1_000),
        _call(usage=TokenUsage(5, 5), at=1_100),
        _call(usage=wrote, prompt_cache=(0, 20_000 * MILLION), at=2_000),
    ]
    report = _advised(*calls).report()
    (row,) = report.prompt_caches
    assert report.response_caches == ()
    assert row._asdict() == {
        "provider": "openai",
        "model": "gpt-4o",
        "calls": 5,
        "read_tokens": 40_000,
        "write_tokens": 60_000,
        "write_1h_tokens": 0,
        "saved_usd": Decimal("0.152"),
        "premium_usd": Decimal("0.06"),
        "net_usd": Decimal("0.092"),
        "unpriced_calls": 0,
        "break_even_reads": 1,
        "reads_per_write": pytest.approx(2 / 3),
        "wasted_write_tokens_at_least": 20_000,
        "wasted_write_tokens_at_most": 20_000,
        "wasted_premium_usd_at_least": Decimal("0.02"),
        "wasted_premium_usd_at_most": Decimal("0.02"),
        "pending_write_tokens": 20_000,
    }


def test_ghost_mode_values_the_hits_that_nobody_had():
    first, again = _call(key=1, at=0), _call(key=1, at=100)
    other, unpriced = _call(key=2, at=200), _call(key=2, at=4_000, cost=None)
    unreadable = _call(at=300)
    served = _call("hit", key=1, at=400, duration=0.001)

    advisor = _advised(first, again, other, unpriced, unreadable, served, ghost=True)
    (row,) = advisor.report().ghost
    assert (row.calls, row.not_looked_at) == (4, 1)
    assert [(each.lifetime, each.hits, each.saved_usd, each.unpriced_hits) for each in row.lifetimes] == [
        ("1 minute", 0, Decimal(0), 0),
        ("1 hour", 1, Decimal("0.012"), 0),  # the second one of key 2 came 3,798.5 seconds after the first had ended
        ("1 day", 2, Decimal("0.012"), 1),
        ("no limit", 2, Decimal("0.012"), 1),
    ]
    assert row.lifetimes[3].hit_ratio == 0.5
    assert (row.lifetimes[3].seconds_saved, row.lifetimes[3].saved_input_tokens) == (3.0, 1_600)


def test_embeddings_are_nothing_that_a_response_cache_could_answer():
    call = _call(usage=TokenUsage(800, 0), model="text-embedding-3-small")
    embedded = call._replace(call=call.call._replace(request=call.call.request._replace(operation="embeddings")))
    assert _advised(embedded, ghost=True).report().ghost == ()


def test_a_key_that_cannot_be_made_is_not_looked_at(monkeypatch):
    monkeypatch.setattr("langmeter.boundary._strict", False)
    broken = _call(key=1)
    broken = broken._replace(call=broken.call._replace(key=lambda: 1 // 0))
    (row,) = _advised(broken, ghost=True).report().ghost
    assert (row.calls, row.not_looked_at) == (0, 1)


def test_rows_are_bounded_and_the_surplus_is_one_row():
    calls = [
        _call("miss", duration=0.001, model=f"m{number}", usage=TokenUsage(9, 9, cache_read=1)) for number in range(600)
    ]
    report = _advised(*calls).report()
    for rows in (report.response_caches, report.prompt_caches):
        assert len(rows) == 501
    (surplus,) = (row for row in report.response_caches if row.model == "__other__")
    assert (surplus.cache_type, surplus.provider, surplus.misses) == ("__other__", "__other__", 100)


def test_nothing_is_lost_between_threads():
    advisor, call = CacheAdvisor(ghost=True), _call("miss", duration=0.001, key=5)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(advisor.record, [call] * 4_000))
    assert worker.drain(30)
    report = advisor.report()
    assert report.response_caches[0].misses == 4_000
    assert report.ghost[0].calls + report.ghost[0].not_looked_at == 4_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_starts_afresh_even_if_the_lock_was_held():
    advisor = _advised(_call("miss", duration=0.001))
    with advisor._lock:
        child = os.fork()
        if not child:
            advisor.record(_call("hit", duration=0.001))
            rows = advisor.report().response_caches
            os._exit(0 if [(row.hits, row.misses) for row in rows] == [(1, 0)] else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert advisor.report().response_caches[0].misses == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_can_start_and_stop_even_if_another_thread_was_doing_so():
    advisor = CacheAdvisor()
    with listeners._lock:
        child = os.fork()
        if not child:
            signal.alarm(5)
            with advisor:
                os._exit(0 if advisor in listeners.all else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_report_is_ready_for_json_and_reads_as_tables():
    never = _call("hit", duration=2.0, saved=TokenUsage(1, 1), expected_duration=1.0, expected_from="model")
    wrote = _call(
        usage=TokenUsage(20_100, 5, cache_read=100, cache_write=20_000),
        prompt_cache=(3_800_000 * 100, 20_000 * MILLION),
        key=3,
    )
    report = _advised(*[never] * 25, wrote, ghost=True).report()

    data = json.loads(json.dumps(report.to_dict()))
    assert list(data) == ["response_caches", "prompt_caches", "ghost"]
    assert data["response_caches"][0]["time"]["break_even"] == "never"
    assert data["response_caches"][0]["money"]["saved_usd"] == "0.3"
    assert str(report).splitlines() == [
        "Response caches",
        "  cache  model          hits  look-ups  ratio    look-up  saved    net      pays from  net time  saves from  verdict",
        "  redis  openai/gpt-4o  25    25        100.00%  1.99 s   $0.3000  $0.3000  0.00%      ~-25 s    never       trade-off",
        "Prompt caches of the providers",
        "  model          calls  read  written  saved    premium  net       even after  never read again",
        "  openai/gpt-4o  1      100   20000    $0.0004  $0.0200  -$0.0196  1 read      0 to 0",
        "Ghost: what a response cache would have done",
        "  model          entries live  calls  hits  ratio  would save  time  not looked at",
        "  openai/gpt-4o  1 minute      1      0     0.00%  $0.0000     0 µs  0",
        "  openai/gpt-4o  1 hour        1      0     0.00%  $0.0000     0 µs  0",
        "  openai/gpt-4o  1 day         1      0     0.00%  $0.0000     0 µs  0",
        "  openai/gpt-4o  no limit      1      0     0.00%  $0.0000     0 µs  0",
    ]
    assert str(CacheAdvisor().report()) == "no call has used a cache so far"
