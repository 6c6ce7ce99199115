"""The arithmetic of rate cards, on prices written here."""

from decimal import Decimal
from types import SimpleNamespace

import pytest

from langmeter.events import Cost, CostParts, TokenUsage
from langmeter.pricing.cards import HourlyCard, Source, scaled
from langmeter.pricing.compilation import compile_card

SOURCE = Source("table", "table/1", "exact")


def card(source=SOURCE, **prices):
    amounts = {key: Decimal(value) if isinstance(value, str) else value for key, value in prices.items()}
    return compile_card(amounts, source)


def stepped(base, **steps):
    tiers = [SimpleNamespace(start=int(start[1:]), price=Decimal(price)) for start, price in steps.items()]
    return SimpleNamespace(base=Decimal(base), tiers=tiers)


FULL = card(
    input_mtok="2",
    cache_read_mtok="0.5",
    cache_write_mtok="2.5",
    cache_write_1h_mtok="4",
    input_audio_mtok="32",
    output_mtok="8",
    output_audio_mtok="64",
    requests_kcount="5",
)


def test_ruling_11_each_category_is_whole_picodollars_and_the_total_is_their_sum():
    cost = FULL.cost(TokenUsage(1_000, 10, cache_read=300, cache_write=200, cache_write_1h=50))
    assert cost == Cost(
        "priced",
        CostParts(500 * 2_000_000, 300 * 500_000, 150 * 2_500_000 + 50 * 4_000_000, 10 * 8_000_000, 5_000_000_000),
        "table",
        "table/1",
        "exact",
        prompt_cache_saved=300 * 1_500_000,
        prompt_cache_premium=150 * 500_000 + 50 * 2_000_000,
    )
    assert cost.picodollars == sum(cost.parts)
    assert cost.amount == Decimal("0.006805")


def test_ruling_11_a_rate_finer_than_a_picodollar_is_rounded_once_per_category():
    fine = card(input_mtok="0.0000004", cache_read_mtok="0.0000001", output_mtok="0.0000014")
    cost = fine.cost(TokenUsage(3, 1, cache_read=1))
    # 2 x 0.4 = 0.8 -> 1, 1 x 0.1 -> 0, 1 x 1.4 -> 1: three roundings, never one of the sum (2.3 -> 2 by chance).
    assert cost.parts == CostParts(1, 0, 0, 1, 0)
    assert all(type(part) is int for part in cost.parts)


@pytest.mark.parametrize(("tokens", "rate"), [(199_999, 2), (200_000, 2), (200_001, 4), (500_000, 4), (500_001, 6)])
def test_long_context_is_a_cliff_on_the_whole_input(tokens, rate):
    tiered = card(
        input_mtok=stepped("2", _500000="6", _200000="4"),
        cache_read_mtok=stepped("0.2", _200000="0.4"),
        output_mtok=stepped("20", _200000="40", _500000="60"),
    )
    cost = tiered.cost(TokenUsage(tokens, 100, cache_read=1_000))
    read = 0.2 if tokens <= 200_000 else 0.4
    assert cost.parts == CostParts(
        (tokens - 1_000) * rate * 10**6, round(1_000 * read * 10**6), 0, 100 * rate * 10**7, 0
    )


MISSING = {
    "no cache rates: plain input": (
        {"input_mtok": "2", "output_mtok": "8"},
        TokenUsage(100, 0, cache_read=30, cache_write=20, cache_write_1h=5),
        ("priced", CostParts(100_000_000, 60_000_000, 40_000_000)),
    ),
    "no one-hour rate: the five-minute rate": (
        {"input_mtok": "2", "output_mtok": "8", "cache_write_mtok": "3"},
        TokenUsage(100, 0, cache_write=20, cache_write_1h=20),
        ("priced", CostParts(160_000_000, 0, 60_000_000)),
    ),
    "no audio rate: the text rate, and it says so": (
        {"input_mtok": "2", "output_mtok": "8"},
        TokenUsage(100, 10, input_audio=60),
        ("partial", CostParts(200_000_000, 0, 0, 80_000_000)),
    ),
    "no audio rate for the answer": (
        {"input_mtok": "2", "output_mtok": "8", "input_audio_mtok": "30"},
        TokenUsage(100, 10, output_audio=1),
        ("partial", CostParts(200_000_000, 0, 0, 80_000_000)),
    ),
    "no audio, nothing missing": (
        {"input_mtok": "2", "output_mtok": "8"},
        TokenUsage(100, 10, input_audio=0, output_audio=0),
        ("priced", CostParts(200_000_000, 0, 0, 80_000_000)),
    ),
    "no output rate, no output": (
        {"input_mtok": "2"},
        TokenUsage(100, 0),
        ("priced", CostParts(200_000_000)),
    ),
    "no output rate, output": (
        {"input_mtok": "2"},
        TokenUsage(100, 10),
        ("partial", CostParts(200_000_000)),
    ),
    "no rate for any token used": ({"input_mtok": "2"}, TokenUsage(0, 10), ("unpriced", None)),
    "contradictory figures": (
        {"input_mtok": "2", "output_mtok": "8"},
        TokenUsage(100, 10, consistent=False),
        ("partial", CostParts(200_000_000, 0, 0, 80_000_000)),
    ),
    "reasoning at a rate of its own": (
        {"input_mtok": "2", "output_mtok": "8", "output_reasoning_mtok": "3"},
        TokenUsage(0, 10, reasoning=4),
        ("priced", CostParts(output=6 * 8_000_000 + 4 * 3_000_000)),
    ),
    "nothing used": ({"input_mtok": "2", "output_mtok": "8"}, TokenUsage(0, 0), ("priced", CostParts())),
}


@pytest.mark.parametrize(("prices", "tokens", "expected"), MISSING.values(), ids=MISSING)
def test_what_stands_in_for_a_missing_rate(prices, tokens, expected):
    cost = card(**prices).cost(tokens)
    assert (cost.status, cost.parts) == expected


def test_text_is_taken_to_be_cached_before_audio():
    prices = {"input_mtok": "2", "cache_read_mtok": "1", "input_audio_mtok": "32", "output_mtok": "8"}
    tokens = TokenUsage(100, 0, cache_read=50, input_audio=70)
    # 30 text tokens and 20 of audio come from the cache, 50 of audio do not.
    assert card(**prices).cost(tokens).parts == CostParts(50 * 32_000_000, 50 * 1_000_000)
    del prices["cache_read_mtok"]
    assert card(**prices).cost(tokens).parts == CostParts(50 * 32_000_000, 30 * 2_000_000 + 20 * 32_000_000)
    prices["cache_read_mtok"] = "1"
    assert card(**prices, cache_audio_read_mtok="4").cost(tokens).parts == CostParts(
        50 * 32_000_000, 30 * 1_000_000 + 20 * 4_000_000
    )


def test_cached_audio_and_writes_together_never_count_a_token_twice():
    tokens = TokenUsage(100, 0, cache_read=40, cache_write=50, input_audio=70)
    cost = FULL.cost(tokens)
    # 30 text + 10 audio read, 50 audio written, 10 audio plain.
    assert cost.parts == CostParts(10 * 32_000_000, 40 * 500_000, 50 * 2_500_000, 0, 5_000_000_000)


def test_saving_and_premium_of_the_prompt_cache_never_fall():
    odd = card(input_mtok="2", cache_read_mtok="3", cache_write_mtok="1", output_mtok="8")
    cost = odd.cost(TokenUsage(100, 0, cache_read=10, cache_write=30))
    assert (cost.prompt_cache_saved, cost.prompt_cache_premium) == (30 * 1_000_000, 10 * 1_000_000)


def test_a_price_for_nothing_that_usage_counts_is_no_card():
    assert card(audio_hours="0.4") is None
    assert card() is None


def test_an_unknown_kind_of_price_takes_the_tables_own_arithmetic():
    asked = []

    def slow(tokens):
        asked.append(tokens)
        return Decimal("0.25"), Decimal("0.5"), Decimal("0.8")

    prices = {"input_mtok": Decimal(2), "output_mtok": Decimal(8), "thought_mtok": Decimal(9)}
    tokens = TokenUsage(10, 10)
    cost = compile_card(prices, SOURCE, slow_path=slow).cost(tokens)
    assert (cost.status, cost.parts) == ("priced", CostParts(input=25 * 10**10, output=50 * 10**10, other=5 * 10**10))
    assert asked == [tokens]
    failing = compile_card(prices, SOURCE, slow_path=lambda _: None).cost(tokens)
    assert (failing.status, failing.reason, failing.amount) == ("unpriced", "pricing_unavailable", None)
    nothing_for_tokens = compile_card({"smell_kcount": Decimal(9)}, SOURCE, slow_path=lambda _: (Decimal(0),) * 3)
    assert nothing_for_tokens.cost(tokens).status == "unpriced"


# -- derived cards ---------------------------------------------------------------------------------------------------

CONTRACT = Source("override", "override+ovr:12345678", "override", "batch", provider_id="p", model_id="m")


def test_a_scaled_card_has_every_price_times_the_multiplier():
    tiered = card(
        input_mtok=stepped("2", _200="4"),
        cache_read_mtok="0.5",
        cache_write_mtok="2.5",
        cache_write_1h_mtok="4",
        output_mtok="8",
        output_audio_mtok="64",
        requests_kcount="5",
    )
    dearer = scaled(tiered, Decimal("1.1"), CONTRACT)
    small, large = TokenUsage(100, 10, 30, 20, 5), TokenUsage(201, 10, output_audio=4)
    assert dearer.cost(small) == Cost(
        "priced",
        CostParts(50 * 2_200_000, 30 * 550_000, 15 * 2_750_000 + 5 * 4_400_000, 10 * 8_800_000, 5_500_000_000),
        "override",
        "override+ovr:12345678",
        "override",
        "batch",
        prompt_cache_saved=30 * 1_650_000,
        prompt_cache_premium=15 * 550_000 + 5 * 2_200_000,
    )
    assert dearer.cost(large).parts == CostParts(201 * 4_400_000, 0, 0, 6 * 8_800_000 + 4 * 70_400_000, 5_500_000_000)
    assert (dearer.valid_from, dearer.valid_until) == (tiered.valid_from, tiered.valid_until)
    assert tiered.cost(small).source == "table"


@pytest.mark.parametrize(
    ("multiplier", "expected"),
    [("0.9", 900_000), ("1.0000001", 1_000_000.1), ("0", 0), ("3", 3_000_000), ("0.0000001", 0.1)],
)
def test_a_scaled_rate_is_whole_where_it_can_be(multiplier, expected):
    (rate,) = {scaled(card(input_mtok="1", output_mtok="1"), Decimal(multiplier), SOURCE).rates.input}
    assert (rate, type(rate)) == (expected, type(expected))


def test_a_scaled_rate_is_the_decimal_product_of_the_published_one():
    third = card(input_mtok="0.0000007", output_mtok="1")
    whole = scaled(third, Decimal(10), SOURCE).rates.input
    assert (whole, type(whole)) == (7, int)
    assert scaled(third, Decimal(3), SOURCE).rates.input == 2.1


def test_a_scaled_card_scales_the_tables_own_arithmetic_too():
    prices = {"input_mtok": Decimal(2), "output_mtok": Decimal(8), "thought_mtok": Decimal(9)}
    slow = compile_card(prices, SOURCE, slow_path=lambda _: (Decimal("0.25"), Decimal("0.5"), Decimal("0.8")))
    assert scaled(slow, Decimal("0.5"), CONTRACT).cost(TokenUsage(10, 10)).amount == Decimal("0.4")
    failing = compile_card(prices, SOURCE, slow_path=lambda _: None)
    assert scaled(failing, Decimal("0.5"), CONTRACT).cost(TokenUsage(10, 10)).reason == "pricing_unavailable"


def test_an_hourly_price_is_allocated_by_the_second():
    hourly = HourlyCard(2_500_000_000_000, CONTRACT, 10.0, 20.0)
    assert hourly.allocated(1.8, "flex") == Cost(
        "allocated",
        CostParts(other=1_250_000_000),
        "override",
        "override+ovr:12345678",
        "override",
        "flex",
    )
    assert hourly.allocated(-1.0).amount == 0
    assert (hourly.valid_from, hourly.valid_until) == (10.0, 20.0)
