"""Prices of an application's own: which entry answers, what it costs, for how long, and in which order sources are asked."""

import gc
import json
import logging
import math
import os
import subprocess
import sys
import threading
import weakref
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from langmeter import worker
from langmeter.errors import PriceFileError, SettingsError
from langmeter.events import Cost, CostParts, PricingTerms, ReportedUsage, TokenUsage
from langmeter.pricing.cards import Source
from langmeter.pricing.catalog import Catalog, Subject, own_prices
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.overrides import Book
from langmeter.pricing.price_files.rows import read_rows
from langmeter.pricing.quote import price
from langmeter.pricing.terms import call_pricing
from langmeter.settings import Settings

NOON = datetime(2026, 11, 16, 12, tzinfo=UTC).timestamp()  # a Monday
DAY, HOUR = 86_400.0, 3_600.0
USED = ReportedUsage(TokenUsage(1_000, 100))
MICRO = 10**6  # pico-dollars per token of one dollar per million


def entry(match, **facts):
    return {"match": match, **facts}


def priced(match, amount=1, **facts):
    """An entry in which input costs `amount` and output as much again."""
    return entry(match, price={"input_mtok": amount, "output_mtok": amount}, **facts)


def catalog(*models, discounts=()):
    overrides = {"models": list(models), "discounts": list(discounts)}
    return Catalog(Settings(cost_overrides=overrides))


def ask(catalog, provider="openai", model="gpt-4o", usage=USED, at=NOON, **facts):
    return catalog.price(provider, model, usage, at=at, **facts)


def dollars(catalog, *args, **facts):
    """US dollars per million tokens of a call for which input and output cost the same."""
    cost = ask(catalog, *args, **facts)
    return None if cost.amount is None else cost.amount * 10**6 / 1_100


GPT_4O = dollars(catalog(priced({"model": "other"})), usage=ReportedUsage(TokenUsage(1_100, 0)))


# -- which entry -----------------------------------------------------------------------------------------------------

ARN = "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc"
MATCHES = {
    "exact, any case": ({"model": "ACME-Large"}, ("openai", "acme-large"), {}, True),
    "another model": ({"model": "acme-large"}, ("openai", "acme-large-2"), {}, False),
    "any provider": ({"model": "acme"}, ("whoever", "acme"), {}, True),
    "any model of a provider": ({"provider": "ollama"}, ("ollama", "llama3"), {}, True),
    "another provider": ({"provider": "ollama"}, ("openai", "llama3"), {}, False),
    "provider as LangChain spells it": ({"provider": "azure_openai"}, ("azure.ai.openai", "x"), {}, True),
    "provider as the table spells it": ({"provider": "aws"}, ("bedrock_converse", "x"), {}, True),
    "provider as the conventions spell it": ({"provider": "gcp.vertex_ai"}, ("google_vertexai", "x"), {}, True),
    "pattern": ({"model": "ft:gpt-4.1:acme:*"}, ("openai", "ft:gpt-4.1:acme:support:AbC"), {}, True),
    "pattern that does not fit": ({"model": "ft:gpt-4.1:acme:*"}, ("openai", "ft:gpt-4.1:other:x"), {}, False),
    "a name that could be a pattern": ({"model": "acme[1m]"}, ("openai", "acme[1m]"), {}, True),
    "the whole name": ({"model": "acme*"}, ("openai", "my-acme-1"), {}, False),
    "the name that was asked for": ({"model": "acme"}, ("openai", "acme-2026-01-01"), {"requested": "acme"}, True),
    "a path before the name": ({"model": "models/acme"}, ("google_genai", "models/acme"), {}, True),
    "an ARN": ({"model": ARN}, ("aws.bedrock", ARN), {}, True),
    "deployment": (
        {"provider": "azure", "deployment": "Chat-EU"},
        ("azure", "gpt-4o"),
        {"deployment": "chat-eu"},
        True,
    ),
    "deployment without a model": ({"deployment": "chat-*"}, ("azure", None), {"deployment": "chat-eu"}, True),
    "another deployment": ({"deployment": "chat-eu"}, ("azure", "acme"), {"deployment": "chat-us"}, False),
    "no deployment": ({"deployment": "*"}, ("azure", "acme"), {}, False),
}


@pytest.mark.parametrize(("match", "call", "facts", "fits"), MATCHES.values(), ids=MATCHES)
def test_an_entry_fits_the_calls_that_it_names(match, call, facts, fits):
    cost = ask(catalog(priced(match, 8)), *call, **facts)
    assert (cost.source == "override") == fits


def test_the_first_entry_that_fits_wins_in_the_order_of_the_file():
    prices = catalog(priced({"model": "acme-1"}, 1), priced({"model": "acme-*"}, 2), priced({"model": "acme-2"}, 3))
    assert [dollars(prices, "x", f"acme-{number}") for number in (1, 2, 3)] == [1, 2, 2]


def test_the_cost_of_an_override_says_so():
    document = {"models": [priced({"provider": "openai", "model": "acme"}, "1.5")]}
    cost = ask(Catalog(Settings(cost_overrides=document)), "openai", "acme")
    version = f"ovr:{read_rows(document, name='x').digest()}"
    parts = CostParts(1_500 * MICRO, 0, 0, 150 * MICRO)
    assert cost == Cost("priced", parts, "override", version, "override")


def test_an_explicit_zero_is_a_price():
    cost = ask(catalog(priced({"provider": "ollama"}, 0)), "ollama", "llama3.1:8b")
    assert (cost.status, cost.amount, cost.match) == ("priced", 0, "override")


def test_missing_rates_follow_the_same_rules_as_the_tables():
    prices = catalog(entry({"model": "acme"}, price={"input_mtok": 2, "cache_write_mtok": 3, "output_mtok": 8}))
    tokens = TokenUsage(100, 10, cache_read=30, cache_write=20, cache_write_1h=20)
    assert ask(prices, "x", "acme", ReportedUsage(tokens)).parts == CostParts(
        100 * MICRO, 60 * MICRO, 60 * MICRO, 80 * MICRO
    )
    assert ask(prices, "x", "acme", ReportedUsage(TokenUsage(100, 10, input_audio=5))).status == "partial"


# -- tiers and long contexts -----------------------------------------------------------------------------------------

LARGE = entry(
    {"model": "acme"},
    price={"input_mtok": 8, "output_mtok": 40, "cache_read_mtok": "0.8"},
    tiers={
        "batch": {"input_mtok": 4, "output_mtok": 20},
        "flex": {"input_mtok": 5, "long_context": {"above": 272_000, "input_mtok": 10}},
        "batch+geo-us": {"input_mtok": 6},
        "scale": {"input_mtok": 7},
    },
    long_context={"above": 272_000, "input_mtok": 16, "output_mtok": 60},
)


@pytest.mark.parametrize(
    ("tier", "size", "expected"),
    [
        (None, 272_000, (8, 40, False)),
        (None, 272_001, (16, 60, False)),
        ("batch", 1_000, (4, 20, False)),
        ("batch", 272_001, (4, 20, False)),
        ("flex", 272_000, (5, 40, False)),
        ("flex", 272_001, (10, 40, False)),
        ("priority", 1_000, (8, 40, True)),
        ("priority", 272_001, (16, 60, True)),
        ("geo-us+batch", 1_000, (6, 40, False)),
        ("batch+geo-eu", 1_000, (4, 20, True)),
        ("scale+geo-us+batch", 1_000, (6, 40, True)),
        ("scale", 272_001, (7, 60, False)),
    ],
)
def test_a_tier_has_its_price_or_the_standard_one_and_says_so(tier, size, expected):
    cost = ask(catalog(LARGE), "x", "acme", ReportedUsage(TokenUsage(size, 100), tier))
    read = ask(catalog(LARGE), "x", "acme", ReportedUsage(TokenUsage(size, 100, cache_read=100), tier)).parts.cache_read
    rates = (cost.parts.input / size / MICRO, cost.parts.output / 100 / MICRO, cost.tier_unmatched)
    assert (*rates, read) == (*expected, 80 * MICRO)
    assert cost.tier == tier


# -- derived prices --------------------------------------------------------------------------------------------------


def test_a_base_model_lends_its_card():
    prices = catalog(
        entry({"model": "ft:acme:*"}, base_model="gpt-4o", multiplier="1.5"),
        entry({"provider": "azure", "deployment": "chat-eu"}, base_model={"provider": "openai", "model": "gpt-4o"}),
    )
    tuned = ask(prices, "openai", "ft:acme:1", ReportedUsage(TokenUsage(1_000, 100, cache_read=400), "batch"))
    base = ask(Catalog(Settings()), "openai", "gpt-4o", ReportedUsage(TokenUsage(1_000, 100, cache_read=400), "batch"))
    assert tuned.amount == base.amount * Decimal("1.5")
    assert tuned._replace(parts=base.parts, prompt_cache_saved=0, version=None) == base._replace(
        source="override", match="override", prompt_cache_saved=0, version=None
    )
    assert tuned.version.startswith(f"{base.version}+ovr:")
    assert ask(prices, "azure", "whatever", deployment="chat-eu").amount == ask(Catalog(Settings())).amount


def test_a_base_model_may_have_an_entry_of_its_own():
    prices = catalog(
        entry({"model": "tuned"}, base_model="acme", multiplier=2),
        entry({"model": "acme"}, base_model="gpt-4o", multiplier=3),
    )
    assert ask(prices, "openai", "tuned").amount == 6 * ask(Catalog(Settings())).amount


def test_an_entry_that_names_its_own_model_takes_the_tables_price():
    prices = catalog(entry({"provider": "openai", "model": "gpt-4o"}, base_model="gpt-4o", multiplier="1.1"))
    assert ask(prices).amount == ask(Catalog(Settings())).amount * Decimal("1.1")


def test_patterns_that_meet_each_other_end_at_the_table():
    prices = catalog(
        entry({"model": "gpt-4o*"}, base_model="gpt-4.1-x", multiplier=2),
        # A circle for one provider only, which no entry names: it shows when a call goes around.
        entry({"provider": "openai", "model": "gpt-4.1*"}, base_model="gpt-4o", multiplier=3),
    )
    assert ask(prices).amount == 6 * ask(Catalog(Settings())).amount


def test_an_unknown_base_model_is_unpriced_and_said_once(caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    # The table would find gpt-4o by its prefix: a wrong base must not fall back on that.
    prices = catalog(entry({"model": "gpt-4o-tuned"}, base_model="no-such-base-model", multiplier=2))
    for _ in range(2):
        assert ask(prices, "openai", "gpt-4o-tuned") == Cost("unpriced", reason="unknown_model")
    (record,) = caplog.records
    assert "no-such-base-model" in record.getMessage()
    assert "{model: gpt-4o-tuned}" in record.getMessage()


def test_a_model_that_is_paid_by_the_hour_is_allocated():
    prices = catalog(entry({"provider": "vllm", "model": "llama-*"}, per_hour={"usd": "2.50", "share": "in_flight"}))
    cost = ask(prices, "vllm", "llama-3", model_time=lambda: 1.8)
    assert cost == Cost("allocated", CostParts(other=1_250_000_000), "override", cost.version, "override")
    without_usage = ask(prices, "vllm", "llama-3", ReportedUsage(tier="flex"), model_time=lambda: 1.8)
    assert without_usage == cost._replace(tier="flex")
    assert ask(prices, "vllm", "llama-3") == Cost("unpriced", reason="no_usage")
    assert ask(prices, "openai", "gpt-4o", ReportedUsage(), model_time=lambda: 1.8).reason == "no_usage"
    assert ask(prices, "openai", "gpt-4o", model_time=lambda: 1.8).status == "priced"


def test_a_multiple_of_a_model_that_is_paid_by_the_hour():
    prices = catalog(
        entry({"model": "half"}, base_model="whole", multiplier="0.5"), entry({"model": "whole"}, per_hour={"usd": 3})
    )
    assert ask(prices, "x", "half", model_time=lambda: 3_600.0).amount == Decimal("1.5")


# -- discounts -------------------------------------------------------------------------------------------------------


def test_a_discount_is_on_what_the_table_says_and_not_on_overrides():
    prices = catalog(
        priced({"model": "acme"}, 8),
        entry({"model": "tuned"}, base_model="gpt-4o"),
        discounts=[
            {"provider": "openai", "model": "gpt-5*", "multiplier": "0.5"},
            {"provider": "openai", "multiplier": 0.9},
        ],
    )
    plain = Catalog(Settings())
    usage = ReportedUsage(TokenUsage(1_000, 100, cache_read=300), "batch")
    listed, ours = ask(plain, usage=usage), ask(prices, usage=usage)
    assert ours.amount == listed.amount * Decimal("0.9")
    assert ours.prompt_cache_saved == listed.prompt_cache_saved * 9 // 10
    assert (ours.source, ours.match, ours.tier) == (listed.source, listed.match, "batch")
    assert ours.version.startswith(f"{listed.version}+ovr:")
    assert ask(prices, model="gpt-5").amount == ask(plain, model="gpt-5").amount / 2
    assert dollars(prices, model="acme") == 8
    assert ask(prices, model="tuned").amount == ask(plain).amount
    assert ask(prices, "azure", "gpt-4o").amount == ask(plain, "azure", "gpt-4o").amount


def test_the_version_of_the_table_says_that_overrides_are_loaded():
    plain, loaded = ask(Catalog(Settings())).version, ask(catalog(priced({"model": "acme"}))).version
    digest = read_rows({"models": [priced({"model": "acme"})]}, name="x").digest()
    assert (plain.count("+ovr:"), loaded) == (0, f"{plain}+ovr:{digest}")


# -- order -----------------------------------------------------------------------------------------------------------


def test_sources_are_asked_from_the_most_particular_to_the_most_general(tmp_path):
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"models": [entry({"model": model}, price={"input_mtok": 3}) for model in "bcd"]}))

    class Given:
        name = "given"

        def card(self, subject, at, below):
            return compile_card({"input_mtok": Decimal(1)}, Source("given")) if subject.model == "a" else None

    document = {"models": [entry({"model": model}, price={"input_mtok": 2}) for model in "abc"]}
    prices = Catalog(Settings(prices=str(path), cost_overrides=document), overrides=(Given(),))
    usage = ReportedUsage(TokenUsage(1_100, 0))
    terms = PricingTerms(override=(("input_mtok", Decimal(9)),))
    assert [dollars(prices, "openai", model, usage) for model in ("a", "b", "c", "d", "gpt-4o")] == [1, 2, 2, 3, GPT_4O]
    assert [dollars(prices, "openai", model, usage, terms=terms) for model in "abd"] == [1, 9, 9]


def test_an_override_of_the_file_does_not_go_before_what_a_gateway_charged():
    charged = ReportedUsage(TokenUsage(1, 1), None, 0.25)
    prices = catalog(priced({"model": "acme"}))
    assert ask(prices, "openrouter", "acme", charged).status == "reported"
    terms = PricingTerms(override=(("input_mtok", Decimal(9)),))
    assert ask(prices, "openrouter", "acme", charged, terms=terms).source == "override"


# -- time ------------------------------------------------------------------------------------------------------------


def asked_again(prices, subject, instants):
    """The amounts at some instants, and how often a card was compiled for them."""
    compiled = []
    real = prices._find

    class Counting(Catalog):
        __slots__ = ()

        def _find(self, key, at):
            compiled.append(at)
            return real(key, at)

    counting = Counting(Settings())
    return [dollars(counting, *subject, at=at) for at in instants], compiled


def test_dated_entries_change_with_the_second_and_cards_are_kept_in_between():
    start, end = NOON, NOON + 30 * DAY
    prices = catalog(
        priced({"model": "acme"}, 1, **{"from": "2026-11-16T12:00:00Z", "until": "2026-12-16T12:00:00Z"}),
        priced({"model": "acme"}, 2, **{"from": "2026-12-16T12:00:00Z"}),
    )
    instants = [start - 1, start - 2, start, start + 1, end - 1, end, end + 999 * DAY, start]
    amounts, compiled = asked_again(prices, ("x", "acme"), instants)
    assert amounts == [None, None, 1, 1, 1, 2, 2, 1]
    assert compiled == [start - 1, start, end, start]
    bounds = [
        (card.valid_from, card.valid_until)
        for card in (prices.card(Subject("x", "acme"), at) for at in (0, start, end))
    ]
    assert bounds == [(-math.inf, start), (start, end), (end, math.inf)]


def test_an_entry_that_begins_later_ends_the_tables_card_when_it_does():
    prices = catalog(priced({"model": "gpt-4o"}, 1, **{"from": "2026-11-16T12:00:00Z"}))
    card = prices.card(Subject("openai", "gpt-4o"), NOON - 1)
    assert (card.source.name, card.valid_until) == ("genai-prices", NOON)
    assert dollars(prices, at=NOON) == 1


def test_hours_and_weekdays_change_the_price_when_they_begin_and_end():
    prices = catalog(
        priced({"model": "acme"}, 1, weekdays="mon-fri", hours=["01:00-04:00"]),
        priced({"model": "acme"}, 2),
    )
    midnight = NOON - 12 * HOUR
    instants = [midnight, midnight + HOUR - 1, midnight + HOUR, midnight + 4 * HOUR - 1, midnight + 4 * HOUR]
    amounts, compiled = asked_again(prices, ("x", "acme"), [*instants, midnight + 5 * DAY + 2 * HOUR])
    assert amounts == [2, 2, 1, 1, 2, 2]
    assert compiled == [midnight, midnight + HOUR, midnight + 4 * HOUR, midnight + 5 * DAY + 2 * HOUR]
    weekend = prices.card(Subject("x", "acme"), midnight + 5 * DAY)
    assert (weekend.valid_from, weekend.valid_until) == (midnight + 4 * DAY + 4 * HOUR, midnight + 7 * DAY + HOUR)


def test_a_derived_card_holds_no_longer_than_its_bases_entry():
    prices = catalog(
        entry({"model": "tuned"}, base_model="acme", multiplier=2),
        priced({"model": "acme"}, 1, until="2026-11-16T12:00:00Z"),
        priced({"model": "acme"}, 5, **{"from": "2026-11-16T12:00:00Z"}),
    )
    assert [dollars(prices, "x", "tuned", at=at) for at in (NOON - 1, NOON, NOON - 1)] == [2, 10, 2]
    scoped = PricingTerms(base_model="acme")
    assert [dollars(prices, "x", "whatever", at=at, terms=scoped) for at in (NOON - 1, NOON)] == [1, 5]


def test_a_call_whose_base_model_has_no_price_yet_gets_one_when_its_base_does():
    prices = catalog(
        entry({"model": "tuned"}, base_model="acme", multiplier=2),
        priced({"model": "acme"}, 1, **{"from": "2026-11-16T12:00:00Z"}),
    )
    scoped = PricingTerms(base_model="x/tuned")
    assert [dollars(prices, "y", "hidden", at=at, terms=scoped) for at in (NOON - 1, NOON)] == [None, 2]


# -- at start-up -----------------------------------------------------------------------------------------------------

BAD = "models:\n  - match: {model: acme}\n    price: {input_mtok: -1}\n"
GOOD = "models:\n  - match: {model: acme}\n    price: {input_mtok: %s}\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(GOOD % 1)
    return path


def test_a_bad_file_or_dictionary_named_in_code_stops_the_start(file):
    file.write_text(BAD)
    with pytest.raises(PriceFileError, match=r"prices\.yaml, line 3: input_mtok .* at least 0, got -1") as caught:
        Catalog(Settings(prices=str(file)))
    assert (caught.value.path, caught.value.line) == (str(file), 3)
    with pytest.raises(PriceFileError, match=r"^cost_overrides: "):
        Catalog(Settings(cost_overrides={"models": [{}]}))
    with pytest.raises(PriceFileError, match="no such file"):
        price(provider="x", model="y", usage_metadata=None, settings=Settings(prices=str(file) + "x"))


def test_a_bad_file_named_by_the_environment_is_warned_about_once_and_table_prices_are_used(file, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    file.write_text(BAD)
    monkeypatch.setenv("LANGMETER_PRICES", str(file))
    for _ in range(2):
        prices = Catalog(Settings())
        assert dollars(prices, usage=ReportedUsage(TokenUsage(1_100, 0))) == GPT_4O
    (record,) = caplog.records
    assert f"{file}, line 3: input_mtok" in record.getMessage()
    assert "Published prices are used instead" in record.getMessage()


def test_a_file_named_by_the_environment_counts(file, monkeypatch):
    monkeypatch.setenv("LANGMETER_PRICES", str(file))
    assert ask(Catalog(Settings()), "x", "acme").parts.input == 1_000 * MICRO


# -- at run time -----------------------------------------------------------------------------------------------------


def write(path, text):
    """As an editor does: another file in its place."""
    other = path.with_suffix(".new")
    other.write_text(text)
    other.replace(path)


@pytest.fixture
def soon(monkeypatch):
    """Files are looked at all the time; `soon(condition)` waits until the worker has brought it about."""
    monkeypatch.setattr(own_prices, "SECONDS_BETWEEN_LOOKS", 0.005)
    ticked = threading.Event()

    def soon(condition):
        for _ in range(2_000):
            if condition():
                return
            ticked.wait(0.005)
        raise AssertionError("nothing changed within ten seconds")

    return soon


def test_a_changed_file_is_read_again_and_a_bad_one_changes_nothing(file, soon, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    prices = Catalog(Settings(prices=str(file)))
    versions = set()

    def amount():
        cost = ask(prices, "x", "acme")
        versions.add(cost.version)
        return cost.parts.input / 1_000 / MICRO

    assert amount() == 1
    write(file, GOOD % 2)
    soon(lambda: amount() == 2)
    write(file, BAD)
    soon(lambda: caplog.records)
    assert amount() == 2
    file.unlink()
    soon(lambda: len(caplog.records) == 2)
    assert amount() == 2
    write(file, GOOD % 3)
    soon(lambda: amount() == 3)
    messages = [record.getMessage() for record in caplog.records]
    assert "line 3: input_mtok" in messages[0]
    assert "there is no such file" in messages[1]
    assert all("Those read before stay in force" in message for message in messages)
    assert len(versions) == 3


def test_a_fork_does_not_wait_for_a_slow_path(file, soon, monkeypatch):
    forks_wait = []

    def slow(path):
        forks_wait.append(not worker._worker._imported.is_set())
        return real(path)

    real = own_prices.signature
    prices = Catalog(Settings(prices=str(file)))
    monkeypatch.setattr(own_prices, "signature", slow)
    write(file, GOOD % 2)
    soon(lambda: dollars(prices, "x", "acme", usage=ReportedUsage(TokenUsage(1_100, 0))) == 2)
    assert set(forks_wait) == {False}


def test_a_file_that_was_bad_at_the_start_is_used_once_it_is_mended(file, soon, monkeypatch):
    monkeypatch.setenv("LANGMETER_PRICES", str(file))
    file.write_text(BAD)
    prices = Catalog(Settings())
    assert ask(prices, "x", "acme").reason == "unknown_model"
    write(file, GOOD % 4)
    soon(lambda: ask(prices, "x", "acme").amount is not None)


def test_looking_at_a_file_does_not_keep_its_catalogue_alive(file, soon):
    prices = Catalog(Settings(prices=str(file)))
    keys = {key for key in worker._worker._repetitions if key.startswith("prices-")}
    gone = weakref.ref(prices)
    del prices
    gc.collect()
    assert gone() is None
    assert {key for key in worker._worker._repetitions if key.startswith("prices-")} < keys


def test_threads_see_one_set_or_the_other_while_a_file_changes(file, soon):
    prices = Catalog(Settings(prices=str(file)))
    seen, stop = set(), threading.Event()

    def work():
        while not stop.is_set():
            cost = ask(prices, "x", "acme")
            seen.add((cost.version, cost.parts.input))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        write(file, GOOD % number)
        soon(lambda number=number: ask(prices, "x", "acme").parts.input == number * 1_000 * MICRO)
    stop.set()
    for thread in threads:
        thread.join()
    # Every version has one price: no card was left over from the set before.
    assert len({version for version, _ in seen}) == len(seen)


# -- the public door -------------------------------------------------------------------------------------------------

METADATA = {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100}


def test_price_takes_the_overrides_of_the_settings_that_it_is_given(file):
    settings = Settings(prices=str(file), cost_overrides={"models": [priced({"model": "gpt-4o"}, 7)]})
    for given in (settings, settings.model_copy()):
        cost = price(provider="openai", model="gpt-4o", usage_metadata=METADATA, settings=given)
        assert (cost.amount, cost.source) == (Decimal("0.0077"), "override")
        assert price(provider="x", model="acme", usage_metadata=METADATA, settings=given).parts.input == 1_000 * MICRO
    other = Settings(cost_overrides={"models": [priced({"model": "gpt-4o"}, 9)]})
    assert price(provider="openai", model="gpt-4o", usage_metadata=METADATA, settings=other).amount == Decimal("0.0099")
    assert price(provider="openai", model="gpt-4o", usage_metadata=METADATA).source == "genai-prices"


INSTANTS = {
    "nanoseconds": NOON * 10**9,
    "milliseconds": NOON * 1_000,
    "no number": math.nan,
    "infinite": math.inf,
    "beyond all years": -1e20,
    "beyond all years in UTC": datetime.max.replace(tzinfo=timezone(-timedelta(hours=12))),
    "text": "2026-11-16",
    "a date": datetime(2026, 11, 16, tzinfo=UTC).date(),
    "a truth value": True,
}


@pytest.mark.parametrize("at", INSTANTS.values(), ids=INSTANTS)
def test_an_instant_that_is_none_is_refused_and_spoils_no_later_price(at):
    usage = {"input_tokens": 1_000, "output_tokens": 100}
    with pytest.raises(SettingsError, match="at must be a datetime or unix seconds, got"):
        price(provider="openai", model="gpt-4o-mini", usage_metadata=usage, at=at)
    assert price(provider="openai", model="gpt-4o-mini", usage_metadata=usage, at=NOON).status == "priced"


def test_price_honours_the_file_of_the_environment(file):
    code = (
        "import langmeter\n"
        "print(langmeter.price(provider='x', model='acme', "
        "usage_metadata={'input_tokens': 1000000, 'output_tokens': 0}).amount)"
    )
    environment = {**os.environ, "LANGMETER_PRICES": str(file)}
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout.strip() == "1"


def test_wrong_terms_are_refused_with_the_fix():
    for facts, reason in (
        ({"processing": "bulk"}, "processing must be 'batch' or 'standard', got 'bulk'"),
        ({"speed": 3}, "speed must be 'fast' or 'standard', got 3"),
        ({"service_tier": ""}, "service_tier must be a tier like 'flex', got ''"),
        ({"base_model": ""}, "base_model must be a model's name"),
        ({"base_model": {"provider": "openai"}}, "base_model must be a model's name"),
        ({"multiplier": -1}, "multiplier must be a number of at least 0, got -1"),
        ({"multiplier": True}, "multiplier must be a number, got True"),
        ({"multiplier": 90}, "multiplier must be at most 20, got 90"),
        ({"override": {"input": 1}}, "override has no key 'input'; did you mean 'input_mtok'"),
        ({"override": {}}, "override sets no price"),
        ({"override": 3}, "override must be a mapping, got 3"),
    ):
        with pytest.raises(SettingsError, match=f"^call_pricing: {reason}"):
            call_pricing(**facts)


def test_terms_of_a_call_decide_its_price():
    prices, plain = catalog(discounts=[{"provider": "openai", "multiplier": 0.9}]), Catalog(Settings())
    listed = ask(plain)

    def at(terms, provider="openai", model=ARN):
        return ask(prices, provider, model, terms=terms)

    assert at(PricingTerms(base_model="gpt-4o")).amount == listed.amount
    assert at(PricingTerms(base_model="openai/gpt-4o"), "aws.bedrock").amount == listed.amount
    assert at(PricingTerms(base_model="gpt-4o", multiplier=Decimal("1.1"))).amount == listed.amount * Decimal("1.1")
    assert at(PricingTerms(multiplier=Decimal(0)), model="gpt-4o").amount == 0
    own = at(PricingTerms(override=(("input_mtok", Decimal(2)),), multiplier=Decimal(3)))
    assert own.parts.input == 6_000 * MICRO
    assert (own.source, own.match, own.version[:4]) == ("override", "override", "ovr:")
    derived = at(PricingTerms(base_model="gpt-4o"))
    assert (derived.source, derived.match) == ("genai-prices", "override")
    assert at(PricingTerms(service_tier="flex"), model="gpt-4o").match == "exact"
    assert at(PricingTerms(base_model="no/such-base")).reason == "unknown_model"
    assert at(PricingTerms(multiplier=Decimal(2))).reason == "unknown_model"


def test_a_book_may_have_another_name():
    book = Book(read_rows({"models": [priced({"model": "a"})]}, name="x"), name="ours", match="exact", version="ours/1")
    card = book.card(Subject("x", "a"), NOON, lambda *_: None)
    assert card.source == Source("ours", "ours/1", "exact", None, False, "x", "a")
    assert book.card(Subject("x", "b"), NOON, lambda *_: None) is None
