"""Known errors of the price table: put right by us, and still errors of the table, or else their row must go."""

import dataclasses
import json
import math
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import genai_prices
import pytest

from langmeter.events import ReportedUsage, TokenUsage
from langmeter.pricing import correction_rows
from langmeter.pricing.catalog import Catalog, GenaiPrices, Subject
from langmeter.pricing.correction_rows import CORRECTIONS, PEAK_HOURS, RESIDENCY
from langmeter.pricing.corrections import NAME, corrections
from langmeter.pricing.usage import reported_usage
from langmeter.settings import Settings
from langmeter.version import __version__

RELEASE = tuple(int(part) for part in genai_prices.__version__.split(".")[:3])
pytestmark = pytest.mark.skipif(RELEASE < (0, 2, 3), reason="the corrections are for a younger release of genai-prices")
CASES = json.loads((Path(__file__).parents[1] / "data" / "price-cases.json").read_text())["cases"]
VERSION = f"genai-prices/{genai_prices.__version__}+cor:{__version__}"
TEN_THOUSAND = TokenUsage(10_000, 1_000, cache_read=8_000)


def unix(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.fixture
def catalog():
    return Catalog(Settings())


@pytest.fixture
def cost(catalog):
    def cost(provider, model, tokens=TEN_THOUSAND, at="2026-11-18T12:00", tier=None):
        return catalog.price(provider, model, ReportedUsage(tokens, tier), at=unix(at))

    return cost


def library(provider, model, at, **context):
    """What the library itself says, US dollars per million tokens and per thousand requests by key."""
    found = genai_prices.calc_price(
        genai_prices.Usage(input_tokens=0, output_tokens=0),
        model,
        provider_id=provider,
        genai_request_timestamp=datetime.fromtimestamp(unix(at), UTC),
        price_context=context or None,
    )
    return {key: amount for key, amount in vars(found.model_price).items() if amount is not None}


# -- they are errors of the table still ------------------------------------------------------------------------------


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row.model)
def test_the_table_is_still_wrong_else_delete_the_row(row):
    day = row.since or ((row.until - timedelta(days=1)) if row.until else datetime(2026, 9, 1, tzinfo=UTC).date())
    says = library(row.providers[0], row.model, datetime.combine(day, time(2)).isoformat())
    assert {key: says.get(key) for key in row.wrong} == {
        key: amount and Decimal(amount) for key, amount in row.wrong.items()
    }


@pytest.mark.parametrize("row", CORRECTIONS, ids=lambda row: row.model)
def test_every_row_names_a_page_of_the_provider_and_changes_what_it_calls_wrong(row):
    assert row.source.startswith("https://")
    assert row.wrong.keys() <= row.right.keys()
    assert all(Decimal(amount) > 0 for amount in row.right.values())
    assert row.since is None or row.until is None or row.since < row.until


def test_there_are_at_most_ten_corrections():
    assert len(CORRECTIONS) + len(RESIDENCY) + len([correction_rows.OFF_PEAK_MODELS]) <= 10


def test_the_table_still_has_no_price_for_a_place_of_inference_else_delete_residency():
    anywhere = library("anthropic", "claude-opus-5-5", "2026-11-18T12:00")
    for key in ("inference_geo", "geo", "region", "data_residency"):
        assert library("anthropic", "claude-opus-5-5", "2026-11-18T12:00", **{key: "us"}) == anywhere


@pytest.mark.parametrize("model", sorted(correction_rows.OFF_PEAK_MODELS))
def test_the_table_still_has_peak_hours_on_saturdays_else_delete_the_quiet_days(model):
    assert library("deepseek", model, "2026-11-14T02:00") == library("deepseek", model, "2026-11-16T02:00")
    assert library("deepseek", model, "2026-11-14T02:00") != library("deepseek", model, "2026-11-14T12:00")


# -- and right with us -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", [case for case in CASES if case.get("upstream_gap")], ids=lambda case: case["id"])
def test_the_public_cases_that_the_table_gets_wrong_are_right(catalog, case):
    cost = catalog.price(
        case["provider"], case["model"], reported_usage(case["usage_metadata"]), at=unix(case["price_date"][:-1])
    )
    assert (cost.amount, cost.status) == (Decimal(case["expected_usd"]), "priced")
    assert (cost.source, cost.version, cost.match) == (NAME, VERSION, "exact")


AUDIO = TokenUsage(1_200, 600, input_audio=1_000, output_audio=500)


@pytest.mark.parametrize(
    ("model", "expected", "match"),
    [
        # 200 x 0.15 + 1,000 x 10 + 100 x 0.60 + 500 x 20
        ("gpt-4o-mini-audio-preview", "0.02009", "exact"),
        ("gpt-4o-mini-audio-preview-2024-12-17", "0.02009", "dated"),
        # 200 x 2.50 + 1,000 x 40 + 100 x 10 + 500 x 80
        ("gpt-4o-audio-preview", "0.0815", "exact"),
        ("gpt-4o-audio-preview-2025-06-03", "0.0815", "dated"),
    ],
)
@pytest.mark.parametrize("provider", ["openai", "azure"])
def test_audio_has_its_own_price(cost, provider, model, expected, match):
    got = cost(provider, model, AUDIO)
    assert (got.amount, got.status, got.source, got.match) == (Decimal(expected), "priced", NAME, match)


def test_cached_audio_is_billed_as_audio_where_no_page_has_a_price_for_it(cost):
    tokens = TokenUsage(1_000, 0, cache_read=1_000, input_audio=1_000)
    assert cost("openai", "gpt-4o-mini-audio-preview", tokens).amount == Decimal("0.01")


def test_the_first_audio_snapshot_stays_partial_because_its_price_is_not_known(cost):
    got = cost("openai", "gpt-4o-audio-preview-2024-10-01", AUDIO)
    assert (got.status, got.source) == ("partial", "genai-prices")


@pytest.mark.parametrize("model", ["claude-sonnet-5-5", "claude-sonnet-5-5-20260915", "claude-sonnet-5.5"])
def test_sonnet_cache_reads_cost_twice_as_much_until_seven_october(cost, model):
    # 2,000 x 2 + 8,000 x 0.20 + 1,000 x 10, and with 0.10 from that day on
    before = cost("anthropic", model, at="2026-10-06T23:59:59")
    after = cost("anthropic", model, at="2026-10-07T00:00:00")
    again = cost("anthropic", model, at="2026-10-06T23:59:59")
    assert before == again
    assert (before.amount, before.source) == (Decimal("0.0156"), NAME)
    assert (after.amount, after.source) == (Decimal("0.0148"), "genai-prices")
    assert before.prompt_cache_saved == 8_000 * 1_800_000  # 2.00 - 0.20 a million


def test_a_row_is_not_remembered_for_other_dates(catalog):
    """The table has one price for all dates: its card must not outlive the row's period, in either direction."""
    for day in ("2026-11-15T12:00", "2026-10-01T12:00", "2026-11-15T12:00"):
        got = catalog.price("anthropic", "claude-sonnet-5-5", ReportedUsage(TEN_THOUSAND), at=unix(day))
        assert got.amount == Decimal("0.0156" if day < "2026-10-07" else "0.0148")


@pytest.mark.parametrize(
    ("at", "corrected", "period"),
    [
        ("2026-08-16T23:59:59", False, (None, "2026-08-17T00:00")),
        ("2026-08-17T00:00:00", True, ("2026-08-17T00:00", "2026-09-10T00:00")),
        ("2026-09-09T23:59:59", True, ("2026-08-17T00:00", "2026-09-10T00:00")),
        ("2026-09-10T00:00:00", False, ("2026-09-10T00:00", None)),
    ],
)
def test_a_card_never_holds_across_the_edge_of_a_row(at, corrected, period):
    peak = GenaiPrices().card(Subject("deepseek", "deepseek-v4-flash"), unix("2026-11-16T02:00"), None)
    for_ever = dataclasses.replace(peak, valid_from=-math.inf, valid_until=math.inf)
    card = corrections().card(Subject("deepseek", "deepseek-v4-flash"), unix(at), lambda *_: for_ever)
    assert (card.source.name == NAME) == corrected
    begin, end = period
    assert card.valid_from == (-math.inf if begin is None else unix(begin))
    assert card.valid_until == (math.inf if end is None else unix(end))


@pytest.mark.parametrize(
    ("model", "expected", "fee"),
    [
        ("sonar", "0.006", 5),  # 500 x 1 + 500 x 1 a million, and 5 a thousand requests
        ("sonar-reasoning", "0.008", 5),  # 500 x 1 + 500 x 5
        ("sonar-pro", "0.015", 6),  # 500 x 3 + 500 x 15, and 6 a thousand
        ("sonar-reasoning-pro", "0.011", 6),  # 500 x 2 + 500 x 8
    ],
)
def test_perplexity_bills_the_fee_for_the_low_context(cost, model, expected, fee):
    got = cost("perplexity", model, TokenUsage(500, 500), at="2026-09-01T12:00")
    assert (got.amount, got.parts.other, got.status) == (Decimal(expected), fee * 10**9, "priced")


# -- peak hours ------------------------------------------------------------------------------------------------------

FLASH_PEAK, FLASH_QUIET = Decimal("0.001848"), Decimal("0.000924")  # 2,000 x 0.30 + 8,000 x 0.006 + 1,000 x 1.20


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-13T02:00", FLASH_PEAK),  # Friday
        ("2026-11-13T23:59:59", FLASH_QUIET),
        ("2026-11-14T00:59:59", FLASH_QUIET),  # Saturday
        ("2026-11-14T01:00:00", FLASH_QUIET),
        ("2026-11-14T03:59:59", FLASH_QUIET),
        ("2026-11-14T06:00:00", FLASH_QUIET),
        ("2026-11-15T09:59:59", FLASH_QUIET),  # Sunday
        ("2026-11-16T00:59:59", FLASH_QUIET),  # Monday
        ("2026-11-16T01:00:00", FLASH_PEAK),
        ("2026-11-16T03:59:59", FLASH_PEAK),
        ("2026-11-16T04:00:00", FLASH_QUIET),
        ("2026-11-16T06:00:00", FLASH_PEAK),
        ("2026-11-16T10:00:00", FLASH_QUIET),
        ("2026-10-01T02:00", FLASH_QUIET),  # National Day, a Thursday
        ("2026-10-07T08:00", FLASH_QUIET),
        ("2026-10-08T08:00", FLASH_PEAK),
        ("2026-09-25T08:00", FLASH_QUIET),  # Mid-Autumn Festival, a Friday
        ("2026-10-10T02:00", FLASH_QUIET),  # a Saturday that was worked
    ],
)
@pytest.mark.parametrize("model", ["deepseek-flash", "deepseek-v4-flash"])
def test_deepseek_has_no_peak_hours_on_weekends_and_holidays(cost, model, at, expected):
    assert cost("deepseek", model, at=at).amount == expected


@pytest.mark.parametrize("at", ["2026-11-14T02:00", "2026-11-15T09:59:59", "2026-10-01T06:00", "2026-08-14T08:00"])
def test_the_card_of_a_quiet_day_holds_at_the_instant_it_was_asked_for(catalog, at):
    card = catalog.card(Subject("deepseek", "deepseek-v4-flash"), unix(at))
    assert card.valid_from <= unix(at) < card.valid_until
    assert catalog.card(Subject("deepseek", "deepseek-v4-flash"), unix(at)) is card


def test_every_hour_of_a_month_agrees_with_the_published_rule_in_any_order(catalog):
    """One catalog, its cards kept from hour to hour, and asked backwards as well."""
    start = datetime(2026, 10, 1, tzinfo=UTC)
    instants = [start + timedelta(hours=hour, seconds=-1) for hour in range(1, 31 * 24)]
    for when in [*instants, *reversed(instants)]:
        working_day = when.weekday() < 5 and not (when.month == 10 and when.day <= 7)
        peak = working_day and any(begin <= when.hour < end for begin, end in PEAK_HOURS)
        got = catalog.price("deepseek", "deepseek-flash", ReportedUsage(TEN_THOUSAND), at=when.timestamp())
        assert got.amount == (FLASH_PEAK if peak else FLASH_QUIET), when


@pytest.mark.parametrize(
    ("model", "at", "prices"),
    [
        ("deepseek-v4-flash", "2026-08-14T02:00", ("0.14", "0.0028", "0.28")),  # one price at all hours
        ("deepseek-v4-pro", "2026-08-14T08:00", ("0.435", "0.003625", "0.87")),
        ("deepseek-v4-flash", "2026-08-18T02:00", ("0.44", "0.014", "1.32")),  # V4 at peak hours
        ("deepseek-v4-flash", "2026-08-18T12:00", ("0.22", "0.007", "0.66")),
        ("deepseek-v4-flash", "2026-08-22T02:00", ("0.44", "0.014", "1.32")),  # the last Saturday with peak hours
        ("deepseek-v4-flash", "2026-08-23T02:00", ("0.22", "0.007", "0.66")),
        ("deepseek-v4-flash", "2026-09-09T02:00", ("0.44", "0.014", "1.32")),
        ("deepseek-v4-flash", "2026-09-10T02:00", ("0.30", "0.006", "1.20")),  # V4.1
        ("deepseek-v4-pro", "2026-08-18T02:00", ("1.32", "0.044", "3.96")),
        ("deepseek-v4-pro", "2026-08-29T02:00", ("0.66", "0.022", "1.98")),
    ],
)
def test_deepseek_v4_as_its_prices_changed(cost, model, at, prices):
    fresh, read, output = map(Decimal, prices)
    assert cost("deepseek", model, at=at).amount == (2_000 * fresh + 8_000 * read + 1_000 * output) / 10**6


# -- residency -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "tier", "at", "expected"),
    [
        # 2,000 x 4 + 8,000 x 0.20 + 1,000 x 20, times 1.1
        ("claude-opus-5-5", "geo-us", "2026-11-18T12:00", "0.03256"),
        ("claude-opus-4-6", "geo-us", "2026-11-18T12:00", "0.0429"),  # 2,000 x 5 + 8,000 x 0.50 + 1,000 x 25
        ("claude-opus-5-5", "batch+geo-us", "2026-11-18T12:00", "0.01628"),  # half of it
        ("claude-opus-5-5", "fast+geo-us", "2026-11-18T12:00", "0.06512"),  # twice as much
        ("claude-sonnet-5-5", "geo-us", "2026-10-01T12:00", "0.01716"),  # 0.0156, with the row for its date, times 1.1
    ],
)
def test_inference_in_the_united_states_costs_a_tenth_more(cost, model, tier, at, expected):
    got = cost("anthropic", model, at=at, tier=tier)
    assert (got.amount, got.source, got.version) == (Decimal(expected), NAME, VERSION)
    assert (got.tier, got.tier_unmatched) == (tier, False)


def test_the_answer_of_anthropic_says_where_it_was_made(catalog):
    usage = reported_usage(
        {"input_tokens": 10_000, "output_tokens": 1_000, "total_tokens": 11_000},
        {"usage": {"inference_geo": "us", "service_tier": "standard"}},
    )
    got = catalog.price("anthropic", "claude-opus-5-5", usage, at=unix("2026-11-18T12:00"))
    assert got.amount == Decimal("0.066")


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("anthropic", "claude-opus-5-5", "geo-eu"),
        ("openai", "gpt-4o", "geo-us"),
        ("openai", "gpt-5.5", "ultrafast"),
        ("azure", "gpt-5.5", "ultrafast"),
        ("anthropic", "claude-opus-5-5", "ultrafast+geo-us"),
    ],
)
def test_a_tier_without_a_price_is_never_silently_right(cost, provider, model, tier):
    assert cost(provider, model, tier=tier).tier_unmatched


# -- what is left alone ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("openai", "gpt-4o"),
        ("anthropic", "claude-opus-5-5"),
        ("deepseek", "deepseek-chat"),
        ("perplexity", "sonar-deep-research"),
        ("google_genai", "gemini-2.5-pro"),
        ("openai", "gpt-audio"),
        ("google_vertexai", "claude-sonnet-5-5"),
    ],
)
def test_whatever_is_right_is_the_tables_own_answer(provider, model):
    table = GenaiPrices()
    subject, at = Subject(provider, model), unix("2026-11-18T02:00")
    ours, theirs = (
        corrections().card(subject, at, lambda *asked: table.card(*asked, None)),
        table.card(subject, at, None),
    )
    assert ours is None or (ours.rates, ours.fee, ours.source, ours.priced_keys) == (
        theirs.rates,
        theirs.fee,
        theirs.source,
        theirs.priced_keys,
    )


@pytest.mark.parametrize("model", ["acme-private-7b", "gpt-6.2-astra"])
def test_an_unknown_model_stays_unpriced(cost, model):
    assert (cost("openai", model).status, cost("openai", model).amount) == ("unpriced", None)


def test_a_row_does_nothing_once_the_table_says_anything_else():
    """As after an update over the network: the wrong price has become another one, which is not for us to judge."""
    table = GenaiPrices()
    seen = table.card(Subject("perplexity", "sonar"), unix("2026-11-18T12:00"), None)
    assert seen.fee == 12 * 10**9
    updated = dataclasses.replace(seen, fee=7 * 10**9)
    assert corrections().card(Subject("perplexity", "sonar"), unix("2026-11-18T12:00"), lambda *_: updated) is updated


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("anthropic", "claude-opus-5-5", "batch+fast"),
        ("openai", "gpt-5.5", "batch+priority"),
        ("azure", "gpt-5.5", "batch+priority"),
    ],
)
def test_of_two_tiers_that_exclude_each_other_one_is_unmatched(cost, provider, model, tier):
    """The library takes the first price that it finds and says nothing of the other."""
    both, alone = cost(provider, model, tier=tier), [cost(provider, model, tier=one) for one in tier.split("+")]
    assert both.amount in [one.amount for one in alone]
    assert both.tier_unmatched
    assert not any(one.tier_unmatched for one in alone)


@pytest.mark.parametrize(
    ("provider", "origin", "model", "tier"),
    [
        ("azure", "openai", "gpt-4o", "batch"),
        ("azure_openai", "openai", "gpt-5-mini", "flex"),
        ("azure", "openai", "gpt-5.5", "priority"),
        ("azure", "anthropic", "claude-opus-5-5", "batch"),
    ],
)
def test_a_borrowed_model_has_the_tiers_of_its_origin(cost, provider, origin, model, tier):
    borrowed, original = cost(provider, model, tier=tier), cost(origin, model, tier=tier)
    assert (borrowed.amount, borrowed.tier_unmatched) == (original.amount, False)
    assert borrowed.amount != cost(provider, model).amount


@pytest.mark.parametrize(
    ("provider", "model", "tier"),
    [
        ("bedrock_converse", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", "batch"),
        ("google_vertexai", "claude-opus-5-5", "batch"),
        ("bedrock_converse", "us.amazon.nova-pro-v1:0", "priority"),
    ],
)
def test_a_tier_that_a_cloud_has_no_price_for_costs_the_standard_price_and_says_so(cost, provider, model, tier):
    assert (cost(provider, model, tier=tier).amount, cost(provider, model, tier=tier).tier_unmatched) == (
        cost(provider, model).amount,
        True,
    )
