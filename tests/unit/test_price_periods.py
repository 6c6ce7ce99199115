"""Cards are kept for as long as they hold and no longer: a kept price is always the one that would be found anew."""

import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from langmeter.errors import PriceFileError
from langmeter.events import PricingTerms, ReportedUsage, TokenUsage
from langmeter.pricing.catalog import Catalog
from langmeter.settings import Settings

START = int(datetime(2026, 8, 10, tzinfo=UTC).timestamp())
END = int(datetime(2026, 11, 30, tzinfo=UTC).timestamp())
HALF_HOUR = 1_800
SCOPED = (
    PricingTerms(base_model="deepseek/deepseek-v4-flash", multiplier=Decimal(2)),
    PricingTerms(base_model="x/b"),
)
BASES = ("b", "b", "gpt-4o", {"provider": "deepseek", "model": "deepseek-v4-flash"})


def instant(chance):
    return datetime.fromtimestamp(chance.randrange(START, END, HALF_HOUR), UTC).isoformat()


def entry(chance):
    match = {"model": chance.choice(("gpt-4o", "deepseek-v4-flash", "b", "b", "gpt-*", "*"))}
    provider = chance.choice((None, None, "openai", "deepseek"))
    facts = {"match": match if provider is None else {**match, "provider": provider}}
    if chance.random() < 0.4:
        facts["price"] = {"input_mtok": chance.randint(1, 9), "output_mtok": chance.randint(1, 9)}
    else:
        facts |= {"base_model": chance.choice(BASES), "multiplier": chance.choice((1, 2, "0.5"))}
    since, until = sorted((instant(chance), instant(chance)))
    if chance.random() < 0.6:
        facts["from"] = since
    if chance.random() < 0.6 and since < until:
        facts["until"] = until
    if chance.random() < 0.4:
        facts["hours"] = chance.choice(("01:00-04:00", ["22:00-02:00", "10:00-11:30"], "23:59-00:00"))
    if chance.random() < 0.4:
        facts["weekdays"] = chance.choice(("mon-fri", "sat-mon", ["tue", "sun"]))
    return facts


def overrides(chance):
    discounts = [{"provider": chance.choice(("openai", "deepseek")), "multiplier": "0.9"}]
    return {"models": [entry(chance) for _ in range(chance.randint(1, 6))], "discounts": discounts}


def catalog(chance):
    while True:
        try:
            return Catalog(Settings(cost_overrides=overrides(chance)))
        except PriceFileError:  # entries that contradict one another
            continue


def call(chance):
    provider = chance.choice(("openai", "deepseek", "x"))
    model = chance.choice(("gpt-4o", "deepseek-v4-flash", "b", "zz"))
    tier, terms = chance.choice((None, "batch")), chance.choice((None, *SCOPED))
    return provider, model, ReportedUsage(TokenUsage(1_000, 500, cache_read=100), tier), terms


@pytest.mark.parametrize("seed", range(8))
def test_a_kept_price_is_the_one_that_would_be_found_anew(seed):
    chance = random.Random(seed)
    for _ in range(20):
        kept, calls = catalog(chance), [call(chance) for _ in range(3)]
        found = {}
        instants = [chance.randrange(START, END, HALF_HOUR) - chance.choice((0, 0.001, 700)) for _ in range(40)]
        for at in instants:
            provider, model, usage, terms = asked = chance.choice(calls)
            found[asked, at] = kept.price(provider, model, usage, at=at, terms=terms)
        for (asked, at), cost in found.items():
            provider, model, usage, terms = asked
            kept.forget()
            assert kept.price(provider, model, usage, at=at, terms=terms) == cost
