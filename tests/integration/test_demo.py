"""The demo's figures against the books of its own provider: what was sent is what was counted, priced and exported."""

from __future__ import annotations

import io
from decimal import Decimal

import pytest
from rich.console import Console

import langmeter
from langmeter import semconv
from langmeter.demo import session, workload
from langmeter.demo.answers import MODELS
from langmeter.demo.summary import Outcome, print_summary
from langmeter.demo.view import Dashboard, Nothing, PlainLines

ROUNDS = 1


@pytest.fixture
def result(instrumented):
    return session.serve(lambda _usage, _title: Nothing(), rounds=ROUNDS, seed=7, speed=0)


def hand_priced(entries) -> Decimal:
    """The bill by the provider's books: every answer priced on its own; what has no price is left out."""
    total = Decimal(0)
    for entry in entries:
        if entry.usage is not None:
            usage = {
                "input_tokens": entry.usage.input,
                "output_tokens": entry.usage.output,
                "input_token_details": {"cache_read": entry.usage.cached},
                "output_token_details": {"reasoning": entry.usage.reasoning},
            }
            model = MODELS[entry.model].release
            total += langmeter.price(provider="openai", model=model, usage_metadata=usage).amount or 0
    return total


def without_price(entries) -> int:
    """Successful calls whose model is in no price list."""
    return sum(entry.prompts for entry in entries if entry.status == 200 and entry.model == "pedal-7b")


def without_usage(entries) -> int:
    """Successful calls that told no usage."""
    return sum(entry.prompts for entry in entries if entry.status == 200 and entry.usage is None)


def reported(usage) -> Decimal:
    """What was spent by the provider's own figures, estimates left out."""
    return usage.cost_usd - usage.estimated_usd


def test_every_model_has_the_figures_of_the_provider(result):
    figures = {
        model: {
            "calls": usage.calls,
            "errors": usage.errors,
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cache_read_tokens": usage.cache_read_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
        }
        for model, usage in result.usage.by_model.items()
    }
    books = {model: totals._asdict() for model, totals in result.ledger.by_model().items()}
    for totals in books.values():
        del totals["requests"], totals["silent"]
    assert figures == books


def test_the_bill_is_the_providers_to_the_last_digit(result):
    entries = result.ledger.entries
    assert reported(result.usage) == hand_priced(entries) > 0
    for model, usage in result.usage.by_model.items():
        assert reported(usage) == hand_priced([entry for entry in entries if entry.model == model])
    assert result.usage.unpriced_calls == without_price(entries) > 0
    assert result.usage.estimated_calls == without_usage(entries) > 0
    assert result.usage.estimated_usd > 0


def test_the_workload_meets_everything_it_should_show(result):
    usage = result.usage
    assert set(usage.by_model) == {*MODELS, "gpt-4oo"}
    assert {entry.status for entry in result.ledger.entries} == {200, 400, 401, 404, 429, 500}
    assert result.failures == 3 * ROUNDS
    assert usage.cache_hits > 0
    assert usage.saved_usd > 0
    assert usage.time_to_first_chunk_percentile(0.5) is not None


def test_about_half_of_the_look_ups_hit_in_the_default_run(instrumented):
    result = session.serve(lambda _usage, _title: Nothing(), rounds=3, seed=7, speed=0)
    assert 0.4 < result.usage.hit_ratio < 0.6


def test_the_exported_totals_are_those_of_the_summary(result, instrumented):
    metrics = instrumented.metrics()

    def total(metric: semconv.Metric):
        return sum(value for _attributes, value in metrics.get(metric.name, ()))

    usage = result.usage
    assert total(semconv.REQUESTS) == usage.calls
    assert total(semconv.INFERENCE_INPUT_TOKENS) == usage.input_tokens
    assert total(semconv.INFERENCE_OUTPUT_TOKENS) == usage.output_tokens
    assert total(semconv.INFERENCE_CACHE_READ_TOKENS) == usage.cache_read_tokens
    assert total(semconv.INFERENCE_REASONING_TOKENS) == usage.reasoning_tokens
    assert total(semconv.UNPRICED_REQUESTS) == usage.unpriced_calls
    assert round(total(semconv.COST), 9) == round(float(usage.cost_usd), 9)
    assert round(total(semconv.CACHE_SAVED_COST), 9) == round(float(usage.saved_usd), 9)
    assert len(instrumented.spans()) == usage.calls + usage.cache_hits


def test_the_same_seed_gives_the_same_bill(instrumented):
    def bill(seed):
        result = session.serve(lambda _usage, _title: Nothing(), rounds=1, seed=seed, speed=0)
        usage = result.usage
        return result.ledger.to_dict(), reported(usage), usage.saved_usd, usage.cache_hits, usage.cache_bypasses

    first = bill(3)
    assert bill(3) == first
    assert bill(4) != first


def test_ctrl_c_leaves_the_figures_of_what_was_done(instrumented):
    class Impatient(Nothing):
        actions = 0

        def action(self, action: workload.Action) -> None:
            self.actions += 1
            if self.actions == 5:
                raise KeyboardInterrupt

    result = session.serve(lambda _usage, _title: Impatient(), rounds=1, seed=7, speed=0)
    assert result.interrupted
    assert result.usage.calls == len(result.ledger.entries) == 5
    assert reported(result.usage) == hand_priced(result.ledger.entries)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40)])
def test_the_dashboard_fits_its_terminal(instrumented, width, height):
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True)
    seen: list[Dashboard] = []

    def view_of(usage, title) -> Dashboard:
        seen.append(Dashboard(console, usage, title, "OTLP goes nowhere"))
        return seen[0]

    result = session.serve(view_of, rounds=1, seed=7, speed=0)
    drawn = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    with drawn.capture() as capture:
        drawn.print(seen[0])
    lines = capture.get().splitlines()
    assert len(lines) < height
    assert max(map(len, lines)) == width
    for model, usage in result.usage.by_model.items():
        row = next(line for line in lines if line.startswith(f"{model} "))
        assert f" {usage.calls} " in row


def test_a_small_terminal_names_the_costly_models_and_counts_the_rest(instrumented):
    result = session.serve(lambda _usage, _title: Nothing(), rounds=1, seed=7, speed=0)
    console = Console(file=io.StringIO(), width=80, height=20)
    console.print(Dashboard(console, result.usage, "a title", "OTLP goes nowhere"))
    drawn = console.file.getvalue()
    assert "gpt-4o " in drawn
    assert "pedal-7b" not in drawn
    assert f"and {len(result.usage.by_model) - 4} more" in drawn
    assert len(drawn.splitlines()) < 20


def test_plain_lines_tell_one_action_each(instrumented):
    console = Console(file=io.StringIO(), width=120)
    result = session.serve(
        lambda usage, title: PlainLines(console, usage, title, "OTLP goes nowhere"), rounds=1, seed=7, speed=0
    )
    text = console.file.getvalue()
    assert text.startswith("langmeter demo: the support desk of a bicycle shop\nOTLP goes nowhere\n\nround 1 of 1\n")
    assert text.count(" failed ") == result.failures == 3
    assert text.count("gpt-4.1 + gpt-4o") == 1
    assert "recovered" in text
    assert "\x1b" not in text


def test_the_summary_names_every_sum(result):
    console = Console(file=io.StringIO(), width=120)
    print_summary(
        console, result.usage, Outcome(1.25, interrupted=False, remarks=("a remark",)), [("sent to", "nowhere")]
    )
    text = console.file.getvalue()
    assert "summary after 1.2 s" in text
    assert f"spent             ${result.usage.cost_usd:.6f}" in text
    assert f"{result.usage.calls}, {result.usage.errors} failed, {result.usage.unpriced_calls} without a price" in text
    assert "a remark" in text
    assert "sent to   nowhere" in text
    assert "\x1b" not in text
