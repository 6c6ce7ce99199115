"""The age of the price table's data, the gauge that shows it, and what `check` says."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from types import SimpleNamespace

import pytest
from genai_prices.data import providers
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langmeter import semconv
from langmeter.pricing import notices
from langmeter.pricing.catalog import GenaiPrices, freshness, status, updates
from langmeter.telemetry.instruments import Instruments

INSTALLED = version("genai-prices")


@pytest.fixture(autouse=True)
def dates(monkeypatch):
    """Dates of this test only: a noted one shows on every meter provider of the process."""
    monkeypatch.setattr(freshness, "_dates", {})
    monkeypatch.setattr(notices, "_said", set())


def table(*starts, variants=()):
    def dated(start):
        return SimpleNamespace(constraint=None if start is None else SimpleNamespace(start_date=start))

    model = SimpleNamespace(
        prices=[dated(start) for start in starts], price_variants=[dated(start) for start in variants]
    )
    always = SimpleNamespace(prices=object(), price_variants=None)
    return [SimpleNamespace(models=[always, model])]


TODAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (table(None, date(2026, 1, 5), date(2026, 11, 9), date(2026, 3, 1)), date(2026, 11, 9)),
        (table(date(2026, 1, 5), variants=(date(2026, 11, 10),)), date(2026, 11, 10)),
        (table(date(2026, 11, 9), date(2027, 1, 1), date(2026, 11, 23)), date(2026, 11, 9)),  # announced ahead
        (table(date(2026, 11, 22)), date(2026, 11, 22)),
        (table(None), None),
        ([], None),
    ],
)
def test_the_newest_price_in_force_dates_the_data(entries, expected):
    assert freshness.newest_price(entries, TODAY) == expected


def test_the_data_that_the_library_ships_with_has_a_date_of_this_autumn():
    assert date(2026, 10, 1) <= freshness.newest_price(providers, datetime.now(UTC).date())


def test_a_fetched_table_is_as_old_as_its_fetch_and_stays_fetched():
    freshness.note_newest_price("a table", table(date(2026, 1, 5)))
    assert freshness.data_date("a table") == (datetime(2026, 1, 5, tzinfo=UTC), False)
    fetched = datetime.now() - timedelta(minutes=5)  # noqa: DTZ005  (as the library gives it)
    freshness.note_fetched("a table", fetched)
    freshness.note_newest_price("a table", table(date(2026, 1, 5)))
    assert freshness.data_date("a table") == (fetched.astimezone(UTC), True)
    assert freshness.ages()["a table"] == pytest.approx(300, abs=60)


def gauge_points(reader):
    data = reader.get_metrics_data()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics if data is not None else ()
    return {
        metric.name: (metric, [(dict(p.attributes), p.value) for p in metric.data.data_points]) for metric in metrics
    }


def test_the_gauge_has_no_value_until_the_table_is_loaded_and_is_made_once():
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    instruments = Instruments(provider, 100)
    assert semconv.PRICE_AGE.name not in gauge_points(reader)
    GenaiPrices().preload()
    Instruments(provider, 100)  # the SDK drops the second one's callback
    metric, points = gauge_points(reader)[semconv.PRICE_AGE.name]
    assert (metric.name, metric.unit, metric.description) == (
        semconv.PRICE_AGE.name,
        semconv.PRICE_AGE.unit,
        semconv.PRICE_AGE.description,
    )
    newest = freshness.newest_price(providers, datetime.now(UTC).date())
    age = (datetime.now(UTC) - datetime(newest.year, newest.month, newest.day, tzinfo=UTC)).total_seconds()
    assert points == [({"langchain.price.source": "genai-prices"}, pytest.approx(age, abs=60))]
    assert instruments.totals is not None
    provider.shutdown()


def test_looking_at_the_age_loads_nothing():
    code = (
        "import sys\n"
        "from opentelemetry.sdk.metrics import MeterProvider\n"
        "from opentelemetry.sdk.metrics.export import InMemoryMetricReader\n"
        "from langmeter.telemetry.instruments import Instruments\n"
        "reader = InMemoryMetricReader()\n"
        "kept = Instruments(MeterProvider([reader], shutdown_on_exit=False), 100)\n"
        "print(reader.get_metrics_data(), 'genai_prices' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.split(), done.stderr) == (["None", "False"], "")


# -- check -----------------------------------------------------------------------------------------------------------


def test_check_says_what_is_installed_how_old_it_is_and_asks_nobody(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: pytest.fail("the package index was asked"))
    found = updates.check()
    newest = freshness.newest_price(providers, datetime.now(UTC).date())
    assert found[:3] == (INSTALLED, None, (datetime(newest.year, newest.month, newest.day, tzinfo=UTC), False))
    assert found.age == pytest.approx((datetime.now(UTC) - found.data.at).total_seconds(), abs=60)
    assert found[4:7] == (None, (), ())


def test_check_names_the_models_that_this_process_had_trouble_with():
    notices.first_time("loose", "anthropic", "claude-opus-9")
    notices.first_time("unknown", "openai", "acme")
    notices.first_time("unavailable", "genai-prices")
    found = updates.check()
    assert (found.loose_models, found.unknown_models) == ((("anthropic", "claude-opus-9"),), (("openai", "acme"),))
    assert found.suggestion == "look for a newer price table: pip install --upgrade genai-prices"


def answered(output):
    return lambda *_, **__: SimpleNamespace(stdout=output)


@pytest.mark.parametrize(
    ("output", "newest", "suggestion"),
    [
        (
            "genai-prices (9.9.9)\nAvailable versions: 9.9.9, 0.2.3\n",
            "9.9.9",
            "upgrade to 9.9.9: pip install --upgrade",
        ),
        (f"genai-prices ({INSTALLED})\nAvailable versions: {INSTALLED}\n", INSTALLED, None),
    ],
)
def test_check_compares_with_the_newest_release(monkeypatch, output, newest, suggestion):
    monkeypatch.setattr(subprocess, "run", answered(output))
    found = updates.check(online=True)
    assert found.newest == newest
    assert (found.suggestion or "").startswith(suggestion or "")
    assert (found.suggestion is None) == (suggestion is None)


@pytest.mark.parametrize("problem", [OSError(), subprocess.TimeoutExpired("pip", 20), None])
def test_without_an_answer_of_the_index_the_newest_release_is_not_known(monkeypatch, problem):
    def run(*_, **__):
        if problem is not None:
            raise problem
        return SimpleNamespace(stdout="ERROR: No matching distribution found for genai-prices")

    monkeypatch.setattr(subprocess, "run", run)
    assert updates.check(online=True).newest is None


def test_check_says_when_the_table_is_missing_or_broken(monkeypatch):
    monkeypatch.setitem(sys.modules, "genai_prices", None)
    broken = updates.check()
    assert (broken.installed, broken.data) == (INSTALLED, None)
    assert "genai-prices cannot be imported" in broken.problem
    assert broken.suggestion == "mend the price table: pip install --force-reinstall genai-prices"
    monkeypatch.setattr(status, "version", lambda name: (_ for _ in ()).throw(status.PackageNotFoundError(name)))
    missing = updates.check()
    assert (missing.installed, missing.problem) == (None, None)
    assert missing.suggestion == "install the price table: pip install --upgrade genai-prices"
