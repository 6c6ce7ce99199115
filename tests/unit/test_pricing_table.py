"""Our cards against the real table: every change of a price, every threshold, and keys that the compiler does not know."""

import importlib.util
import random
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from genai_prices.data import providers

from langmeter.events import TokenUsage
from langmeter.pricing import compilation
from langmeter.pricing.cards import Source, scaled
from langmeter.pricing.catalog import GenaiPrices, Subject
from langmeter.pricing.compilation import compile_card

DAY = date(2026, 11, 17)
USED = TokenUsage(50_000, 1_000, 8_000, 3_000, 1_000)
ROUNDING = Decimal("3e-12")


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "pricing.py"
    specification = importlib.util.spec_from_file_location("pricing_benchmark_of_tables", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


BENCHMARK = load_benchmark()


def nothing_below(subject, at):
    return None


def models():
    return [(provider.id, model) for provider in providers for model in provider.models]


def constraints(model):
    entries = [
        *(model.prices if isinstance(model.prices, list) else ()),
        *(getattr(model, "price_variants", None) or ()),
    ]
    return [entry.constraint for entry in entries if entry.constraint is not None]


def changes(constraint):
    """The instants at which a constraint begins or stops to hold: one for a date, those of one day for hours."""
    if hasattr(constraint, "start_date"):
        return [datetime.combine(constraint.start_date, time(), UTC)]
    ends = (constraint.start_time, constraint.end_time)
    return [datetime.combine(DAY, end.replace(tzinfo=None), UTC) - (end.utcoffset() or timedelta()) for end in ends]


def tiers(model):
    named = {value for variant in getattr(model, "price_variants", None) or () for value in variant.when.values()}
    return [None, *sorted(named & set(BENCHMARK.TIERS[1:]))]


def same(cost, theirs):
    """Whether a cost is the library's price; where the table prices no tokens at all it says 0 and we say unpriced."""
    if cost is None or cost.amount is None:
        return not theirs
    return abs(cost.amount - (theirs or 0)) <= ROUNDING


def test_a_card_holds_until_the_second_of_the_next_change_for_every_change_in_the_table():
    table, order = GenaiPrices(), random.Random(20_261_122)
    checked = 0
    for provider, model in models():
        instants = sorted({change for constraint in constraints(model) for change in changes(constraint)})
        seconds = [instant.timestamp() + shift for instant in instants for shift in (-1, 0, 1)]
        order.shuffle(seconds)
        for tier in tiers(model) if seconds else ():
            card = None
            for at in seconds:
                if card is None or not card.valid_from <= at < card.valid_until:
                    card = table.card(Subject(provider, model.id, tier), at, nothing_below)
                    assert card is None or card.valid_from <= at < card.valid_until
                cost = card.cost(USED) if card else None
                theirs = BENCHMARK.library_price(provider, model.id, tier, at, USED)
                assert same(cost, theirs), (provider, model.id, tier, datetime.fromtimestamp(at, UTC))
                checked += 1
    assert checked > 400  # the oldest release has that many, newer ones thousands


def test_more_than_the_threshold_moves_the_whole_request_for_every_threshold_in_the_table():
    table, at = GenaiPrices(), datetime.combine(DAY, time(12), UTC).timestamp()
    checked = 0
    for provider, model in models():
        card = table.card(Subject(provider, model.id), at, nothing_below)
        for threshold, _ in card.long_context if card else ():
            for size in (threshold - 1, threshold, threshold + 1):
                tokens = TokenUsage(size, 1_000, size // 2, 100)
                theirs = BENCHMARK.library_price(provider, model.id, None, at, tokens)
                assert same(card.cost(tokens), theirs), (provider, model.id, size)
                checked += 1
    assert checked > 100


@pytest.mark.parametrize("forgotten", ["cache_read_mtok", "output_reasoning_mtok", "requests_kcount"])
def test_a_kind_of_price_that_we_do_not_know_is_left_to_the_tables_own_arithmetic(forgotten, monkeypatch):
    """Real prices of the library, read by a compiler that has forgotten one of their keys."""
    monkeypatch.setattr(compilation, "OVERRIDE_KEYS", compilation.OVERRIDE_KEYS - {forgotten})
    table, at = GenaiPrices(), datetime.combine(DAY, time(12), UTC).timestamp()
    tokens = TokenUsage(1_000, 500, 300, 100, 40, 200)
    checked = 0
    for provider, model in models()[::7] if forgotten == "cache_read_mtok" else models():
        card = table.card(Subject(provider, model.id), at, nothing_below)
        if card is None or card.slow_path is None:
            continue
        theirs = BENCHMARK.library_price(provider, model.id, None, at, tokens)
        cost = card.cost(tokens)
        assert same(cost, theirs), (provider, model.id)
        assert cost.parts is None or cost.picodollars == sum(cost.parts)
        checked += 1
    assert checked


def random_prices(rng):
    def price():
        return Decimal(rng.randrange(1, 5_000)) / rng.choice((100, 1_000, 10**7))

    keys = ["input_mtok", "output_mtok", *rng.sample(sorted(compilation.OVERRIDE_KEYS), rng.randrange(6))]
    return {key: price() for key in keys}


def test_the_short_way_of_a_card_gives_what_the_long_way_gives():
    rng, quick = random.Random(20_261_122), 0
    for _ in range(3_000):
        card = compile_card(random_prices(rng), Source("table", "table/1", "exact"))
        tokens = BENCHMARK.random_tokens(rng)
        assert card.cost(tokens) == replace(card, quick=None).cost(tokens)
        quick += card.quick is not None
    assert quick > 300


def test_a_scaled_card_costs_the_multiple_whatever_the_usage():
    rng = random.Random(20_261_122)
    for _ in range(2_000):
        card = compile_card(random_prices(rng), Source("table"))
        multiplier, tokens = Decimal(rng.randrange(1, 4_000)) / 1_000, BENCHMARK.random_tokens(rng)
        cost, multiple = card.cost(tokens), scaled(card, multiplier, Source("override")).cost(tokens)
        # Each of five categories is rounded once before and once after.
        assert abs(multiple.picodollars - cost.picodollars * multiplier) <= 3 * (1 + multiplier)
        assert multiple.status == cost.status


def test_every_model_at_every_tier_costs_what_the_library_says():
    result = BENCHMARK.compare(20_261_122, vectors=1)
    assert result.differences == []
    assert result.compared > 2_000
    assert result.priced > 0.9 * result.compared
