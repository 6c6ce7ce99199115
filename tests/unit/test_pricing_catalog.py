"""The catalogue over the real genai-prices table: names, tiers, periods, and what happens when there is no price."""

import importlib.util
import logging
import math
import socket
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime, time
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import genai_prices
import pytest
from genai_prices.data import providers

from langmeter import boundary
from langmeter.errors import SettingsError
from langmeter.events import Cost, CostParts, PricingTerms, ReportedUsage, TokenUsage
from langmeter.pricing.cards import Card, Source
from langmeter.pricing.catalog import Catalog, GenaiPrices, PricingUnavailableError, Subject, cached_cost
from langmeter.pricing.compilation import compile_card
from langmeter.pricing.names import clean_model, match_kind, nearest, price_provider
from langmeter.pricing.periods import period
from langmeter.pricing.quote import price
from langmeter.settings import Settings

NOON = datetime(2026, 11, 15, 12, tzinfo=UTC).timestamp()
USED = ReportedUsage(TokenUsage(1_000, 100))


@pytest.fixture
def catalog():
    return Catalog(Settings())


def at_tier(tier):
    return USED._replace(tier=tier)


# -- names -----------------------------------------------------------------------------------------------------------

PROVIDERS = {
    "openai": "openai",
    "OpenAI": "openai",
    "azure": "azure",
    "azure_openai": "azure",
    "azure.ai.openai": "azure",
    "anthropic": "anthropic",
    "anthropic-bedrock": "aws",
    "anthropic_bedrock": "aws",
    "amazon_bedrock": "aws",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "aws.bedrock": "aws",
    "google_genai": "google",
    "google_vertexai": "google",
    "google_anthropic_vertex": "google",
    "gcp.gemini": "google",
    "gcp.vertex_ai": "google",
    "gcp.gen_ai": "google",
    "mistralai": "mistral",
    "mistral": "mistral",
    "mistral_ai": "mistral",
    "xai": "x-ai",
    "x_ai": "x-ai",
    "moonshot": "moonshotai",
    "moonshot_ai": "moonshotai",
    "groq": "groq",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "perplexity": "perplexity",
    "together": "together",
    "together_ai": "together",
    "fireworks": "fireworks",
    "openrouter": "openrouter",
    "azure_ai": "azure_ai",
    "ollama": "ollama",
}


@pytest.mark.parametrize(("name", "expected"), PROVIDERS.items())
def test_provider_names(name, expected):
    assert price_provider(name) == expected


@pytest.mark.parametrize(
    "provider", ["ollama", "huggingface", "nvidia", "ibm", "sambanova", "litellm", "azure_ai", "my_openai_proxy", ""]
)
def test_a_provider_is_never_matched_by_a_part_of_its_name(catalog, provider):
    cost = catalog.price(provider, "gpt-4o", USED, at=NOON)
    assert (cost.status, cost.reason, cost.parts) == ("unpriced", "unknown_model", None)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("projects/p/locations/eu/publishers/anthropic/models/claude-sonnet-4-5", "claude-sonnet-4-5"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("arn:aws:bedrock:us-east-1::foundation-model/x", "arn:aws:bedrock:us-east-1::foundation-model/x"),
        ("accounts/fireworks/models/llama", "accounts/fireworks/models/llama"),
    ],
)
def test_model_names_lose_googles_paths_and_keep_everything_else(name, expected):
    assert clean_model(name) == expected


@pytest.mark.parametrize(
    ("requested", "found", "listed", "expected"),
    [
        ("gpt-4o", "gpt-4o", True, "exact"),
        ("GPT-4o", "gpt-4o", False, "exact"),
        ("gpt-4o-2024-08-06", "gpt-4o", True, "dated"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5", False, "dated"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5", False, "dated"),
        ("claude-sonnet-4.5", "claude-sonnet-4-5", False, "dated"),
        ("us.anthropic.claude-haiku-5-v1:0", "regional.anthropic.claude-haiku-5", False, "dated"),
        ("mistral-large-latest", "mistral-large", False, "dated"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash", False, "dated"),
        ("ft:gpt-4o-mini-2024-07-18:acme:support:AbC", "ft:gpt-4o-mini", False, "dated"),
        ("gpt-5-codex", "gpt-5", True, "exact"),
        ("claude-opus-5-5", "claude-opus-5", False, "loose"),
        ("gpt-6.2-astra", "gpt-6", False, "loose"),
        ("global.anthropic.claude-haiku-5", "regional.anthropic.claude-haiku-5", False, "loose"),
    ],
)
def test_match_kinds(requested, found, listed, expected):
    assert match_kind(requested, found, listed=listed) == expected


def test_the_nearest_name_keeps_family_and_size():
    known = ["gpt-4o", "gpt-6-luna", "gpt-6-astra", "gpt-5.5", "o3"]
    assert nearest("gpt-6.2-astra", known) == "gpt-6-astra"
    assert nearest("zzz", known) is None


# -- tiers -----------------------------------------------------------------------------------------------------------


def nothing(subject, at):
    return None


def rates(provider, model, tier, at=NOON):
    card = GenaiPrices().card(Subject(provider, model, tier), at, nothing)
    return (card.rates.input, card.rates.output, card.source.tier, card.source.tier_unmatched)


TIERS = {
    "flex": ("openai", "gpt-5", "flex", (625_000, 5_000_000, "flex", False)),
    "priority": ("openai", "gpt-5.5", "priority", (12_500_000, 75_000_000, "priority", False)),
    "batch": ("openai", "gpt-4o", "batch", (1_250_000, 5_000_000, "batch", False)),
    "anthropic fast": ("anthropic", "claude-opus-5", "fast", (10_000_000, 50_000_000, "fast", False)),
    "no variant": ("openai", "gpt-4o-2024-05-13", "flex", (5_000_000, 15_000_000, "flex", True)),
    "unknown tier": ("openai", "gpt-5", "ultrafast", (1_250_000, 10_000_000, "ultrafast", True)),
    "a fact that has no price beside one that has": (
        "anthropic",
        "claude-sonnet-4-5",
        "batch+geo-us",
        (1_500_000, 7_500_000, "batch+geo-us", True),
    ),
    "borrowed by Azure": ("azure", "gpt-5", "batch", (625_000, 5_000_000, "batch", False)),
    "borrowed by Azure, unknown tier": ("azure", "gpt-5", "ultrafast", (1_250_000, 10_000_000, "ultrafast", True)),
    "Azure's own entry": ("azure", "o3-mini", "batch", None),
}


@pytest.mark.skipif(genai_prices.__version__ < "0.2", reason="this release of genai-prices has few prices by tier")
@pytest.mark.parametrize(("provider", "model", "tier", "expected"), TIERS.values(), ids=TIERS)
def test_a_tier_has_its_price_or_says_that_it_has_none(provider, model, tier, expected):
    standard = rates(provider, model, None)
    assert standard[2:] == (None, False)
    assert rates(provider, model, tier) == (expected or (*standard[:2], tier, True))


# -- periods ---------------------------------------------------------------------------------------------------------


def test_a_price_changes_with_the_second(catalog):
    cut = datetime(2026, 7, 30, tzinfo=UTC).timestamp()
    amounts = [catalog.price("openai", "gpt-5.6-luna", USED, at=cut + shift).amount for shift in (-1, 0, 1, -1)]
    assert amounts[0] > amounts[1]
    assert amounts[1] == amounts[2]
    assert amounts[3] == amounts[0]


@pytest.mark.parametrize(
    ("clock", "expected"),
    [("00:59:59", 1), ("01:00:00", 2), ("03:59:59", 2), ("04:00:00", 1), ("06:00:00", 2), ("10:00:00", 1)],
)
def test_a_price_changes_with_the_hour(catalog, clock, expected):
    monday = datetime.combine(datetime(2026, 11, 16, tzinfo=UTC), time.fromisoformat(clock), UTC)
    off_peak = TokenUsage(1_000, 100).input_tokens * 150_000 + 100 * 600_000
    for _ in range(2):
        assert (
            catalog.price("deepseek", "deepseek-flash", USED, at=monday.timestamp()).picodollars == off_peak * expected
        )


def test_a_card_is_kept_until_its_price_changes():
    asked = []

    class Table:
        name = "table"

        def card(self, subject, at, below):
            asked.append(at)
            prices = {"input_mtok": Decimal(int(at)), "output_mtok": Decimal(1)}
            return compile_card(prices, Source("table"), valid_from=at // 10 * 10, valid_until=at // 10 * 10 + 10)

    catalog = Catalog(Settings(), overrides=(Table(),))
    used = ReportedUsage(TokenUsage(1, 0))
    amounts = [catalog.price("p", "m", used, at=at).picodollars for at in (10.0, 11.0, 19.999, 20.0, 21.0, 9.999, 9.0)]
    assert amounts == [10 * 10**6] * 3 + [20 * 10**6] * 2 + [9 * 10**6] * 2
    assert asked == [10.0, 20.0, 9.999]


def test_a_period_starts_with_the_second_of_its_change():
    model = next(m for p in providers if p.id == "deepseek" for m in p.models if m.id == "deepseek-flash")
    start = datetime(2026, 11, 16, 1, tzinfo=UTC)
    assert period(model, start) == (start.timestamp(), start.timestamp() + 3 * 3_600)


def test_a_kind_of_period_that_is_not_known_is_asked_again_every_time():
    always = SimpleNamespace(active=lambda _: True)
    start = datetime(2026, 11, 16, 1, tzinfo=UTC)
    model = SimpleNamespace(prices=[SimpleNamespace(constraint=always)], price_variants=None)
    since, until = period(model, start)
    assert since == start.timestamp()
    assert until - since < 1e-5


def load_benchmark():
    path = Path(__file__).parents[2] / "benchmarks" / "pricing.py"
    specification = importlib.util.spec_from_file_location("pricing_benchmark", path)
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    return module


def test_random_usage_of_random_models_costs_what_the_library_says():
    result = load_benchmark().compare(20_261_122, share=0.06, vectors=2)
    assert result.differences == []
    assert result.compared > 300
    assert result.priced > 250


# -- statuses --------------------------------------------------------------------------------------------------------


def test_what_a_gateway_charged_needs_no_table(catalog):
    cost = catalog.price("openrouter", "no/such-model", ReportedUsage(None, "flex", 0.00375), at=NOON)
    assert cost == Cost("reported", CostParts(other=3_750_000_000), "provider", tier="flex")


def test_no_usage_is_not_an_unknown_model(catalog):
    assert catalog.price("openai", "gpt-4o", ReportedUsage(), at=NOON) == Cost("unpriced", reason="no_usage")


def test_a_replayed_usage_is_priced_as_given_and_a_cached_call_costs_nothing(catalog):
    assert catalog.price("openai", "gpt-4o", USED._replace(replayed=True), at=NOON).amount == Decimal("0.0035")
    assert cached_cost() == Cost("cached", CostParts())
    assert cached_cost().amount == 0


def test_a_free_model_is_priced_at_nothing_and_an_entry_without_prices_is_not(catalog):
    free = next(model.id for p in providers if p.id == "openrouter" for model in p.models if model.id.endswith(":free"))
    assert catalog.price("openrouter", free, USED, at=NOON).amount == 0
    assert catalog.price("cerebras", "qwen-3-coder-480b", USED, at=NOON).amount is None


def test_a_model_that_is_not_billed_by_token_is_unpriced(catalog):
    assert catalog.price("openai", "whisper-1", USED, at=NOON).amount is None


def test_an_unknown_model_is_said_once_with_the_nearest_name_and_the_override(catalog, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    for tier in (None, None, "flex"):
        cost = catalog.price("openai", "gpt-6.2-test-astra", at_tier(tier), at=NOON)
        assert cost == Cost("unpriced", tier=tier, reason="unknown_model")
    Catalog(Settings()).price("openai", "gpt-6.2-test-astra", USED, at=NOON)
    (record,) = [record for record in caplog.records if "gpt-6.2-test-astra" in record.getMessage()]
    assert record.name == "langmeter.pricing"
    assert "'gpt-6-astra'" in record.getMessage()
    assert record.getMessage().endswith(
        "in the file that LANGMETER_PRICES names:\n"
        "models:\n"
        '  - match: {provider: "openai", model: "gpt-6.2-test-astra"}\n'
        "    price: {input_mtok: ..., output_mtok: ...}"
    )


def test_a_loose_match_is_priced_and_said_once(catalog, caplog):
    caplog.set_level(logging.WARNING, "langmeter.pricing")
    for _ in range(2):
        cost = catalog.price("anthropic", "claude-opus-4-5-turbo", USED, at=NOON)
        assert (cost.status, cost.match) == ("priced", "loose")
    assert [record.getMessage().count("claude-opus-4-5-turbo") for record in caplog.records] == [1]


def test_ruling_11_the_origin_of_a_price_is_on_the_cost(catalog):
    cost = catalog.price("openai", "gpt-5-2025-08-07", at_tier("flex"), at=NOON)
    assert cost._replace(version=cost.version.partition("/")[0]) == Cost(
        "priced",
        CostParts(1_000 * 625_000, 0, 0, 100 * 5_000_000, 0),
        "genai-prices",
        "genai-prices",
        "dated",
        "flex",
    )


# -- bounds and robustness -------------------------------------------------------------------------------------------


class Everything:
    """A source that knows every model."""

    name = "everything"

    def card(self, subject, at, below):
        return compile_card({"input_mtok": Decimal(1), "output_mtok": Decimal(1)}, Source(self.name))


def test_at_most_4096_cards_are_kept():
    catalog = Catalog(Settings(), overrides=(Everything(),))
    for number in range(10_000):
        assert catalog.price("p", f"m{number}", USED, at=NOON).picodollars == 1_100 * 10**6
        assert len(catalog._cards) <= 4_096
    assert len(catalog._cards) > 1
    for number in range(5_000):
        terms = PricingTerms(multiplier=Decimal(number % 20))
        catalog.price("p", "m", USED, at=NOON, terms=terms, deployment=f"d{number}")
        assert len(catalog._cards) <= 4_096


def test_threads_agree(catalog):
    expected = price(
        provider="openai", model="gpt-4o", usage_metadata={"input_tokens": 1_000, "output_tokens": 100}, at=NOON
    )
    seen = []

    def work():
        seen.extend(catalog.price("openai", "gpt-4o", USED, at=NOON) for _ in range(200))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [expected] * 1_600


def test_the_first_source_that_knows_wins():
    class Knows(Everything):
        name = "override"

        def card(self, subject, at, below):
            return super().card(subject, at, below) if subject.model == "gpt-4o" else None

    catalog = Catalog(Settings(), overrides=(Knows(), Everything()))
    assert catalog.price("openai", "gpt-4o", USED, at=NOON).source == "override"
    assert catalog.price("openai", "gpt-5", USED, at=NOON).source == "everything"
    assert Catalog(Settings()).price("openai", "gpt-5", USED, at=NOON).source == "genai-prices"


def test_a_broken_source_hides_no_other(caplog):
    class Broken:
        name = "broken-test-source"

        def card(self, subject, at, below):
            raise PricingUnavailableError("gone")

    caplog.set_level(logging.WARNING, "langmeter.pricing")
    catalog = Catalog(Settings(), overrides=(Broken(),))
    assert catalog.price("openai", "gpt-4o", USED, at=NOON).status == "priced"
    assert catalog.price("openai", "no-such-model-here", USED, at=NOON).reason == "pricing_unavailable"
    assert [record.getMessage().count("broken-test-source") for record in caplog.records] == [1]


def test_a_source_is_asked_once_even_if_one_before_it_has_asked_already():
    asked = []

    class Table(Everything):
        def card(self, subject, at, below):
            asked.append(subject.model)

    class Delegating:
        name = "delegating"

        def card(self, subject, at, below):
            return below(subject, at)

    catalog = Catalog(Settings(), overrides=(Delegating(), Delegating(), Table()))
    assert catalog.price("openai", "gpt-4o", USED, at=NOON).status == "priced"
    assert asked == ["gpt-4o"]


def test_a_source_whose_silence_ends_is_asked_again_then():
    class Later(Everything):
        def card(self, subject, at, below):
            return super().card(subject, at, below) if at >= NOON else None

        def period(self, subject, at):
            return (NOON, math.inf) if at >= NOON else (-math.inf, NOON)

    catalog = Catalog(Settings(), overrides=(Later(),))
    for model, before in (("gpt-4o", "genai-prices"), ("no-such-model-yet", None)):
        found = [catalog.price("openai", model, USED, at=NOON + shift).source for shift in (-1, 0, -1)]
        assert found == [before, "everything", before]


def test_a_card_is_found_once_and_again_after_it_was_forgotten():
    found = []

    class Counting(Everything):
        def card(self, subject, at, below):
            found.append(subject.model)
            return super().card(subject, at, below)

    catalog = Catalog(Settings(), overrides=(Counting(),))
    subject = Subject("openai", "gpt-4o")
    assert catalog.card(subject, NOON) is catalog.card(subject, NOON)
    assert catalog.price("openai", "gpt-4o", USED, at=NOON).source == "everything"
    assert found == ["gpt-4o"]
    catalog.forget()
    assert catalog.card(subject, NOON).source.name == "everything"
    assert found == ["gpt-4o"] * 2


def test_garbage_never_raises(catalog):
    boundary.set_strict(False)
    try:
        for provider in ("openai", None, 3, [], ""):
            for model in ("gpt-4o", None, 3, [], "", "x" * 10_000):
                for at in (NOON, math.nan, math.inf, -1e300, None):
                    for usage in (USED, at_tier("+"), at_tier("flex+"), None, 3):
                        assert isinstance(catalog.price(provider, model, usage, at=at), Cost)
    finally:
        boundary.reset_counts()
        boundary.set_strict(True)


def test_a_failure_at_one_time_spoils_the_price_of_no_other(catalog):
    boundary.set_strict(False)
    end_of_time = datetime(9999, 12, 31, tzinfo=UTC).timestamp()  # the hours of DeepSeek's price go beyond it
    assert catalog.price("deepseek", "deepseek-chat", USED, at=end_of_time).reason == "pricing_unavailable"
    assert catalog.price("deepseek", "deepseek-chat", USED, at=NOON).status == "priced"


def test_a_slow_path_of_the_real_library_is_right(catalog):
    table = GenaiPrices()
    found = table._look_up("openai", "gpt-4o", datetime.fromtimestamp(NOON, UTC))
    tokens = TokenUsage(1_000, 100, cache_read=300)
    assert table._library_price(found.model_price, tokens) == (
        Decimal("0.002125"),
        Decimal("0.001"),
        Decimal("0.003125"),
    )
    # The library refuses audio that overlaps with the cache: it is asked again without.
    overlapping = TokenUsage(100, 0, cache_read=80, input_audio=80)
    audio = table._look_up("openai", "gpt-audio", datetime.fromtimestamp(NOON, UTC))
    assert table._library_price(audio.model_price, overlapping) is not None


def test_without_network_the_prices_are_the_same(monkeypatch):
    expected = Catalog(Settings()).price("openai", "gpt-4o", USED, at=NOON)

    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    catalog = Catalog(Settings())
    catalog.preload()
    assert catalog.price("openai", "gpt-4o", USED, at=NOON) == expected


def run(code):
    """A fresh interpreter, warnings as errors; its output."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip(), result.stderr.strip()


PRICE_ONE = """
from langmeter.events import ReportedUsage, TokenUsage
from langmeter.pricing.catalog import Catalog
from langmeter.settings import Settings
catalog = Catalog(Settings())
catalog.preload()
used = ReportedUsage(TokenUsage(1, 1))
print(*(catalog.price("openai", model, used, at=0.0).reason for model in ("gpt-4o", "gpt-4o", "gpt-5")))
print(catalog.price("openai", "gpt-4o", used._replace(cost_usd=0.5), at=0.0).status)
"""

BROKEN = {
    "missing": "import sys; sys.modules['genai_prices'] = None",
    "raising when imported": """
import sys
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == 'genai_prices': raise RuntimeError('broken')
sys.meta_path.insert(0, Finder())
""",
    "raising when asked": """
import genai_prices
def calc_price(*args, **kwargs): raise ValueError('broken')
genai_prices.calc_price = calc_price
""",
}


@pytest.mark.parametrize("breakage", BROKEN.values(), ids=BROKEN)
def test_a_missing_or_broken_library_costs_prices_and_nothing_else(breakage):
    output, errors = run(breakage + PRICE_ONE)
    assert output.split() == ["pricing_unavailable"] * 3 + ["reported"]
    assert errors.count("are not available") == 1


def test_importing_us_does_not_import_the_table():
    output, _ = run(
        """
        import sys
        import langmeter.pricing, langmeter.pricing.quote, langmeter.pricing.catalog, langmeter.pricing.usage
        before = [name for name in sys.modules if name.startswith("genai_prices")]
        langmeter.pricing.catalog.Catalog(langmeter.pricing.quote.Settings()).preload()
        print(before, "genai_prices.data" in sys.modules)
        """
    )
    assert output == "[] True"


# -- the public door -------------------------------------------------------------------------------------------------

METADATA = {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100}


def test_price_takes_a_datetime_seconds_or_nothing():
    moment = datetime(2025, 6, 1, 12, tzinfo=UTC)
    quotes = [
        price(provider="openai", model="o3", usage_metadata=METADATA, at=at)
        for at in (moment, moment.replace(tzinfo=None), moment.timestamp())
    ]
    assert [quote.amount for quote in quotes] == [Decimal("0.014")] * 3
    assert price(provider="openai", model="o3", usage_metadata=METADATA).amount == Decimal("0.0028")


def test_price_of_a_cached_answer_is_nothing_even_for_an_unknown_model():
    assert price(provider="x", model="y", usage_metadata=METADATA, cache_hit=True) == cached_cost()
    assert price(provider="openai", model="o3", usage_metadata=METADATA | {"total_cost": 0}) == cached_cost()


def test_an_override_wins_over_the_table_and_over_a_gateway():
    override = {"input_mtok": "8", "output_mtok": 40, "cache_read_mtok": 0.8, "requests_kcount": Decimal(1)}
    cost = price(
        provider="openai",
        model="gpt-4o",
        usage_metadata=METADATA | {"input_token_details": {"cache_read": 500}},
        response_metadata={"cost": 7.0},
        override=override,
    )
    assert cost._replace(version=None) == Cost(
        "priced",
        CostParts(500 * 8_000_000, 500 * 800_000, 0, 100 * 40_000_000, 10**9),
        "override",
        match="override",
        prompt_cache_saved=500 * 7_200_000,
    )
    assert cost.version.startswith("ovr:")
    assert price(provider="x", model="y", usage_metadata=None, override=override).reason == "no_usage"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ({"input": 1}, "no key 'input'; did you mean 'input_mtok'"),
        ({"input_mtok": -1}, "at least 0"),
        ({"input_mtok": "cheap"}, "got 'cheap'"),
        ({"input_mtok": math.nan}, "got NaN"),
        ({"input_mtok": True}, "got True"),
        ({"input_mtok": None}, "got None"),
        ({}, "sets no price"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override, message):
    with pytest.raises(SettingsError, match=message):
        price(provider="openai", model="gpt-4o", usage_metadata=METADATA, override=override)


def test_cards_are_immutable():
    card = GenaiPrices().card(Subject("openai", "gpt-4o"), NOON, nothing)
    assert isinstance(card, Card)
    with pytest.raises(AttributeError):
        card.fee = 1.0
