"""`langmeter prices` and `langmeter whatif`, as a user runs them: in a process of their own.

Prices come from a file written here wherever a figure is compared, so that a newer price table changes nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from langmeter.events import TokenUsage
from langmeter.version import __version__
from langmeter.whatif import Record

CLI = (sys.executable, "-m", "langmeter.cli")
PRICES = """\
version: 1
models:
  - match: {provider: openai, model: gpt-4o}
    from: 2026-01-01
    price: {input_mtok: 2, output_mtok: 8.125, cache_read_mtok: 0.5}
    tiers: {batch: {input_mtok: 1, output_mtok: 4}}
    long_context: {above: 200000, input_mtok: 4}
  - match: {provider: acme, model: "acme-*"}
    base_model: {provider: openai, model: gpt-4o}
    multiplier: 1.5
  - match: {provider: vllm, model: llama-3}
    per_hour: {usd: 2.5}
discounts:
  - {provider: anthropic, multiplier: 0.9}
"""


@pytest.fixture
def prices(tmp_path):
    path = tmp_path / "prices.yaml"
    path.write_text(PRICES)
    return path


def langmeter(*arguments, width=100, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "LANGMETER_"))}
    return subprocess.run(
        [*CLI, *map(str, arguments)],
        env={**kept, "COLUMNS": str(width), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines(text):
    """Without the spaces that fill a line up."""
    return [line.rstrip() for line in text.splitlines()]


def test_the_version_is_an_option_too():
    done = langmeter("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"langmeter {__version__}\n", "")


class TestShow:
    def test_rates_fees_and_where_they_are_from(self, prices):
        done = langmeter("prices", "show", "gpt-4o", LANGMETER_PRICES=str(prices))
        assert (done.returncode, done.stderr) == (0, "")
        shown = lines(done.stdout)
        assert shown[:12] == [
            "gpt-4o  openai",
            "",
            "             per 1M tokens   above 200,000 input tokens",
            "───────────────────────────────────────────────────────",
            "input               $2.000                       $4.000",
            "cache read          $0.500                       $0.500",
            "output              $8.125                       $8.125",
            "",
            "cache write   no rate of its own: billed as input",
            "tier          standard",
            f"source        override, {shown[10].split()[-1]}",
            "match         override",
        ]
        assert shown[12] == "in force      since 2026-01-01, no end known"

    def test_one_json_document(self, prices):
        done = langmeter("prices", "show", "gpt-4o", "--tier", "batch", "--json", LANGMETER_PRICES=str(prices))
        shown = json.loads(done.stdout)
        assert shown.pop("at").startswith("20")
        assert shown.pop("version").startswith("ovr:")
        assert "azure" in shown.pop("also_listed_by")
        assert (done.returncode, shown) == (
            0,
            {
                "provider": "openai",
                "model": "gpt-4o",
                "tier": "batch",
                "tier_unmatched": False,
                "price": {"input_mtok": "1", "cache_read_mtok": "0.5", "output_mtok": "4"},
                "requests_kcount": None,
                "long_context": [],
                "complete": True,
                "source": "override",
                "match": "override",
                "matched_model": "gpt-4o",
                "valid_from": "2026-01-01T00:00:00Z",
                "valid_until": None,
            },
        )

    def test_prices_of_another_day(self, prices):
        done = langmeter("prices", "show", "gpt-4o", "--at", "2025-12-31", "--json", LANGMETER_PRICES=str(prices))
        shown = json.loads(done.stdout)
        assert (shown["at"], shown["source"]) == ("2025-12-31T00:00:00Z", "genai-prices")
        assert shown["valid_until"] == "2026-01-01T00:00:00Z"

    def test_a_model_that_is_paid_by_the_hour(self, prices):
        done = langmeter("prices", "show", "llama-3", "--provider", "vllm", LANGMETER_PRICES=str(prices))
        assert lines(done.stdout)[2] == "price      $2.50 per hour, shared by the calls under way"

    def test_a_tier_without_a_price_and_a_name_found_by_rule_are_said(self):
        done = langmeter("prices", "show", "gpt-4o-mini-2024-07-18", "--tier", "ultrafast")
        assert "tier          ultrafast has no price of its own: this is the standard price" in lines(done.stdout)
        assert "dated: gpt-4o-mini, whose name differs by a date or version only" in done.stdout

    def test_an_unknown_model_names_the_nearest_and_the_override(self, tmp_path):
        done = langmeter("prices", "show", "gpt-4o-huge", "--provider", "openai")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[1].startswith("The nearest known model is 'gpt-4o")
        override = done.stderr[done.stderr.index("models:") :]
        assert override.splitlines() == [
            "models:",
            '  - match: {provider: "openai", model: "gpt-4o-huge"}',
            "    price: {input_mtok: ..., output_mtok: ...}",
        ]
        # The override works as it stands, once the prices are filled in.
        path = tmp_path / "prices.yaml"
        path.write_text(override.replace("...", "7"))
        again = langmeter("prices", "show", "gpt-4o-huge", "--json", "--provider", "openai", LANGMETER_PRICES=str(path))
        assert json.loads(again.stdout)["price"] == {"input_mtok": "7", "output_mtok": "7"}

    def test_an_unknown_model_of_no_known_provider_as_json(self):
        done = langmeter("prices", "show", "zzz", "--json")
        shown = json.loads(done.stdout)
        assert (done.returncode, shown["price"], shown["provider"]) == (1, None, None)
        assert shown["override"].splitlines()[0] == '  - match: {model: "zzz"}'

    def test_a_bad_price_file_of_the_environment_is_not_passed_over_in_silence(self, tmp_path):
        path = tmp_path / "prices.yaml"
        path.write_text("models: 7\n")
        done = langmeter("prices", "show", "gpt-4o", LANGMETER_PRICES=str(path))
        assert done.returncode == 0
        assert "prices.yaml, line 1" in done.stderr


class TestPrice:
    def test_counts_become_an_amount_with_its_parts(self, prices):
        arguments = ("--model", "gpt-4o", "--input", 1_000_000, "--output", 1_000, "--cache-read", 400_000)
        done = langmeter("prices", "price", *arguments, LANGMETER_PRICES=str(prices))
        assert (done.returncode, done.stderr) == (0, "")
        assert lines(done.stdout)[:9] == [
            "gpt-4o  openai",
            "",
            "                tokens        cost",
            "──────────────────────────────────",
            "input          600,000   $2.400000",
            "cache read     400,000   $0.200000",
            "output           1,000   $0.008125",
            "total        1,001,000   $2.608125",
            "",
        ]

    def test_usage_metadata_as_json(self, prices):
        usage = {
            "input_tokens": 1_000,
            "output_tokens": 100,
            "total_tokens": 1_100,
            "input_token_details": {"batch_cache_read": 400},
        }
        arguments = ("--model", "gpt-4o", "--at", "2026-11-15T12:00", "--usage", json.dumps(usage), "--json")
        done = langmeter("prices", "price", *arguments, LANGMETER_PRICES=str(prices))
        shown = json.loads(done.stdout)
        assert shown.pop("version").startswith("ovr:")
        assert (done.returncode, shown) == (
            0,
            {
                "provider": "openai",
                "model": "gpt-4o",
                "at": "2026-11-15T12:00:00Z",
                "usage": {"input_tokens": 1_000, "output_tokens": 100, "cache_read": 400, "consistent": True},
                "usd": "0.0012",
                "parts_usd": {
                    "input": "0.0006",
                    "cache_read": "0.0002",
                    "cache_write": "0",
                    "output": "0.0004",
                    "other": "0",
                },
                "status": "priced",
                "source": "override",
                "match": "override",
                "tier": "batch",
                "tier_unmatched": False,
            },
        )

    def test_no_price_is_no_zero(self):
        done = langmeter("prices", "price", "--model", "zzz", "--provider", "openai", "--input", 1, "--output", 1)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(
            "langmeter prices price: no price for model 'zzz' of provider 'openai' in genai-prices/"
        )

    def test_a_model_that_is_paid_by_the_hour_has_no_price_per_token(self, prices):
        arguments = ("--model", "llama-3", "--provider", "vllm", "--input", 1, "--output", 1)
        done = langmeter("prices", "price", *arguments, LANGMETER_PRICES=str(prices))
        assert (done.returncode, done.stdout) == (1, "")
        assert "paid by the hour" in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            ((), "give --input and --output, or --usage"),
            (("--input", 1), "give --input and --output, or --usage"),
            (("--input", 1, "--output", 1, "--cache-read", 2), "--input includes cached tokens: it must be at least 2"),
            (("--input", 1, "--output", 1, "--reasoning", 2), "--output includes reasoning: it must be at least 2"),
            (("--input", 1, "--usage", "{}"), "give either --usage or the counts, not both"),
            (("--usage", "{"), "--usage is no JSON"),
            (("--usage", "[]"), "--usage must be an object with"),
            (("--input", -1, "--output", 1), "--input"),
        ],
    )
    def test_wrong_usage_exits_with_2_and_names_it(self, arguments, named):
        done = langmeter("prices", "price", "--model", "gpt-4o", *arguments, width=200)
        assert (done.returncode, done.stdout) == (2, "")
        assert named in done.stderr


class TestCheck:
    def test_json_tells_the_table_and_the_overrides(self, prices):
        done = langmeter("prices", "check", "--json", LANGMETER_PRICES=str(prices))
        shown = json.loads(done.stdout)
        assert (shown["newest"], shown["problem"], shown["auto_update"]) == (None, None, False)
        assert shown["overrides"] == {"file": str(prices), "entries": 4, "problem": None}
        assert done.returncode == (1 if shown["suggestion"] else 0)

    def test_people_get_the_same_and_what_to_do(self, tmp_path):
        bad = tmp_path / "bad.yaml"
        bad.write_text("models: 7\n")
        done = langmeter("prices", "check", LANGMETER_PRICES=str(bad), width=200)
        assert done.returncode == 1
        assert "price table      genai-prices " in done.stdout
        assert f"overrides        {bad}, line 1: models must be a list, got 7" in done.stdout
        assert "to do  " in done.stdout


class TestValidate:
    def test_a_good_file_is_summed_up_with_what_it_overrides(self, prices):
        done = langmeter("prices", "validate", prices, "--json")
        shown = json.loads(done.stdout)
        assert (done.returncode, shown["valid"], len(shown["digest"])) == (0, True, 8)
        first, *others = shown["entries"]
        assert first.pop("replaces").endswith(" out")
        assert first == {
            "line": 3,
            "match": {"provider": "openai", "model": "gpt-4o"},
            "sets": "$2.00 in, $8.125 out, 1 more, more for long inputs; batch",
            "valid_from": "2026-01-01T00:00:00Z",
            "valid_until": None,
        }
        assert [(entry["line"], entry["sets"], entry["replaces"]) for entry in others] == [
            (8, "openai gpt-4o x 1.5", "models by pattern"),
            (11, "$2.50 an hour", "no published price"),
            (14, "published price x 0.9", "all its models"),
        ]

    def test_people_get_a_table(self, prices):
        done = langmeter("prices", "validate", prices, width=160)
        shown = lines(done.stdout)
        assert shown[0].split() == ["line", "for", "price", "instead", "of", "in", "force"]
        assert shown[3].split() == [
            "8",
            "acme",
            "acme-*",
            "openai",
            "gpt-4o",
            "x",
            "1.5",
            "models",
            "by",
            "pattern",
            "always",
        ]
        assert shown[-1].startswith(f"{prices}: 4 entries, no faults; costs will name it ovr:")

    def test_a_bad_file_shows_the_line_and_the_reason(self, tmp_path):
        path = tmp_path / "prices.yaml"
        path.write_text("models:\n  - match: {model: acme}\n    price: {input_mtok: -1}\n")
        done = langmeter("prices", "validate", path)
        assert (done.returncode, done.stdout) == (1, "")
        first, second = done.stderr.splitlines()
        assert first.startswith(f"langmeter prices validate: {path}, line 3: ")
        assert second == "     3 |     price: {input_mtok: -1}"
        shown = json.loads(langmeter("prices", "validate", path, "--json").stdout)
        assert (shown["file"], shown["valid"], shown["line"]) == (str(path), False, 3)
        assert shown["reason"] in first

    def test_what_is_no_file_is_not_read_for_the_message(self, tmp_path):
        pipe = tmp_path / "prices.yaml"
        os.mkfifo(pipe)  # whoever opens it waits for ever
        done = langmeter("prices", "validate", pipe)
        assert (done.returncode, done.stderr.splitlines()) == (
            1,
            [f"langmeter prices validate: {pipe}: is not a regular file"],
        )

    def test_the_line_at_fault_is_shown_short_and_cannot_drive_the_terminal(self, tmp_path):
        path = tmp_path / "prices.yaml"
        path.write_text("models: \x1b[2J" + "x" * 10_000)
        done = langmeter("prices", "validate", path)
        assert done.stderr.splitlines()[1] == "     1 | models: \N{REPLACEMENT CHARACTER}[2J" + "x" * 88 + "…"

    def test_a_file_that_is_not_there(self, tmp_path):
        done = langmeter("prices", "validate", tmp_path / "none.yaml")
        assert (done.returncode, "there is no such file" in done.stderr) == (1, True)


class TestWhatIf:
    @pytest.fixture
    def calls(self, tmp_path):
        call = Record("openai", "gpt-4.1", TokenUsage(1_000, 100), 1_794_744_000.0, cost=10**10, status="priced")
        records = [call, call, call._replace(cost=0, status="cached")]
        path = tmp_path / "calls.jsonl"
        path.write_text("".join(json.dumps(record.to_dict()) + "\n" for record in records))
        return path

    def test_models_by_what_they_would_have_saved(self, calls, prices):
        arguments = ("--model", "acme-7", "--model", "gpt-4o", "--prices", prices)
        done = langmeter("whatif", calls, "--provider", "acme", *arguments)
        shown = lines(done.stdout)
        # gpt-4o of acme is nobody's; acme-7 costs 1.5 x (1,000 x $2 + 100 x $8.125) = $0.00421875 a call.
        assert shown[:4] == [
            "model    calls   recorded   same caching   no caching    saving",
            "──────────────────────────────────────────────────────────────────────",
            "acme-7       2    $0.0200        $0.0084      $0.0084   $0.0116   58 %",
            "gpt-4o: no price for any of the calls",
        ]
        assert "Quality unknown: nothing here says that another model does the job as well." in shown
        assert "Left out, because a response cache answered at no cost: 1." in shown
        assert done.returncode == 0

    def test_one_json_document_with_exact_amounts(self, calls, prices):
        done = langmeter("whatif", calls, "--model", "gpt-4o", "--prices", prices, "--token-ratio", "1.5", "--json")
        (shown,) = json.loads(done.stdout)["candidates"]
        # 1,500 x $2 + 150 x $8.125 a call
        cost = "0.0084375"
        assert shown["recorded_usd"] == "0.02"
        assert shown["compared_usd"] == {"same_caching": cost, "no_caching": cost}
        assert shown["saving_usd"] == {"same_caching": "0.0115625", "no_caching": "0.0115625"}
        assert (shown["counts"]["scaled"], shown["counts"]["cache_hits"], shown["quality"]) == (2, 1, "unknown")

    def test_bad_records_are_named_or_left_out(self, calls):
        with calls.open("a") as file:
            file.write("{}\n")
        done = langmeter("whatif", calls, "--model", "gpt-4o")
        assert (done.returncode, done.stdout) == (1, "")
        assert f"{calls}, line 4: 'provider' must be a text that is not empty" in done.stderr
        assert "--skip-bad" in done.stderr
        done = langmeter("whatif", calls, "--model", "gpt-4o", "--skip-bad")
        assert (done.returncode, "Left out, because they could not be read: 1." in done.stdout) == (0, True)
