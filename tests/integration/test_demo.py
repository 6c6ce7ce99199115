"""The demo's figures against the books of its own provider: what was sent is what was counted, priced and exported."""

from __future__ import annotations

import io
import subprocess
import sys
from collections import Counter
from decimal import Decimal

import pytest
from rich.console import Console

import langmeter
from langmeter import semconv
from langmeter.demo import extras, session, workload
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


def test_embeddings_are_in_the_bill(result):
    usage, books = result.usage.by_model["text-embedding-3-small"], result.ledger.by_model()["text-embedding-3-small"]
    assert (usage.calls, usage.input_tokens) == (books.calls, books.input_tokens) == (4, books.input_tokens)
    # 0.02 US dollars for a million tokens
    assert usage.cost_usd == Decimal(books.input_tokens) * Decimal("0.02") / 1_000_000


def test_spans_and_metrics_tell_the_work_that_the_application_did(result, instrumented):
    operations = {
        "agent": "invoke_agent",
        "tool": "execute_tool",
        "retrieval": "retrieval",
        "workflow": "invoke_workflow",
    }
    expected = Counter({f"{operations[work.kind]} {work.name}": number for work, number in result.logbook.done.items()})
    failed = Counter({f"{operations[work.kind]} {work.name}": number for work, number in result.logbook.failed.items()})
    steps = [span for span in instrumented.spans() if span.name.split()[0] in operations.values()]
    assert Counter(span.name for span in steps) == expected
    assert Counter(span.name for span in steps if not span.status.is_unset) == +failed
    assert expected == {
        "invoke_agent order_agent": 2,
        "execute_tool look_up_order": 2,
        "execute_tool search_handbook": 1,
        "execute_tool stock_level": 2,
        "execute_tool give_refund": 1,
        "invoke_workflow handbook_answer": 2,
        "invoke_workflow refund_desk": 3,
        "retrieval handbook": 3,
    }
    assert result.logbook.stopped.total() == 1
    metrics = instrumented.metrics()

    def recorded(metric: semconv.Metric) -> int:
        return sum(point.count for _attributes, point in metrics[metric.name])

    assert recorded(semconv.AGENT_DURATION) == result.logbook.total("agent")
    assert recorded(semconv.TOOL_DURATION) == result.logbook.total("tool")
    assert recorded(semconv.WORKFLOW_DURATION) == result.logbook.total("workflow")
    assert recorded(semconv.OPERATION_DURATION) == result.logbook.total("retrieval")


def test_the_totals_of_agents_are_the_sums_of_their_calls(result, instrumented):
    spans = instrumented.spans()
    agents = [span for span in spans if span.name == "invoke_agent order_agent"]
    for agent in agents:
        calls = [
            span
            for span in spans
            if span.name.startswith("chat ")
            and span.parent is not None
            and span.parent.span_id == agent.context.span_id
        ]
        for name in (semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS):
            assert agent.attributes[name] == sum(call.attributes[name] for call in calls) > 0
    assert len(agents) == result.logbook.total("agent")


MISSING = """
import sys

sys.modules.update(dict.fromkeys(sys.argv[1].split(","), None))
from langmeter.demo import session
from langmeter.demo.view import Nothing

result = session.serve(lambda _usage, _title: Nothing(), rounds=1, seed=7, speed=0)
books = result.ledger.by_model()
assert {model: usage.calls for model, usage in result.usage.by_model.items()} == {
    model: totals.calls for model, totals in books.items()
}
print([extra.package for extra in result.missing], sorted(result.logbook.to_dict()), result.failures)
"""


@pytest.mark.parametrize(
    ("missing", "done"),
    [("langchain", ["retrieval", "tool", "workflow"]), ("langchain,langgraph,numpy", ["tool"])],
)
def test_without_its_extras_the_demo_leaves_out_what_needs_them(missing, done):
    ran = subprocess.run(
        [sys.executable, "-c", MISSING, missing], capture_output=True, text=True, timeout=120, check=False
    )
    if "agent" not in done:
        done = ["agent", *done]  # a loop of the application's own does the work
    assert (ran.returncode, ran.stderr.count("Traceback")) == (0, 0), ran.stderr
    assert ran.stdout == f"{missing.split(',')} {done} 3\n"


def test_every_extra_is_there_in_the_tests():
    assert extras.missing() == ()


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
    embeddings = usage.by_model["text-embedding-3-small"]
    assert total(semconv.REQUESTS) == usage.calls
    assert total(semconv.INFERENCE_INPUT_TOKENS) == usage.input_tokens - embeddings.input_tokens
    assert total(semconv.EMBEDDINGS_USAGE_INPUT_TOKENS) == embeddings.input_tokens
    assert total(semconv.INFERENCE_OUTPUT_TOKENS) == usage.output_tokens
    assert total(semconv.INFERENCE_CACHE_READ_TOKENS) == usage.cache_read_tokens
    assert total(semconv.INFERENCE_REASONING_TOKENS) == usage.reasoning_tokens
    assert total(semconv.UNPRICED_REQUESTS) == usage.unpriced_calls
    assert round(total(semconv.COST), 9) == round(float(usage.cost_usd), 9)
    assert round(total(semconv.CACHE_SAVED_COST), 9) == round(float(usage.saved_usd), 9)
    assert len(instrumented.spans()) == usage.calls + usage.cache_hits + result.logbook.done.total()


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


@pytest.mark.parametrize(("width", "height", "left_out"), [(80, 24, 2), (120, 40, 0)])
def test_the_dashboard_fits_its_terminal(instrumented, width, height, left_out):
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
    by_cost = sorted(result.usage.by_model.items(), key=lambda item: item[1].cost_usd, reverse=True)
    for model, usage in by_cost[: len(by_cost) - left_out]:
        row = next(line for line in lines if line.startswith(f"{model} "))
        assert f" {usage.calls} " in row
    assert (f"and {left_out} more" in capture.get()) == bool(left_out)


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
        console,
        result.usage,
        Outcome(1.25, interrupted=False, remarks=("a remark",), logbook=result.logbook),
        [("sent to", "nowhere")],
    )
    text = console.file.getvalue()
    assert "summary after 1.2 s" in text
    assert f"spent             ${result.usage.cost_usd:.6f}" in text
    assert f"{result.usage.calls}, {result.usage.errors} failed, {result.usage.unpriced_calls} without a price" in text
    assert "agents            order_agent 2" in text
    assert "6: give_refund 1, look_up_order 2, search_handbook 1, stock_level 2 (1 failed)" in text
    assert "5: handbook_answer 2, refund_desk 3 (1 waited for approval)" in text
    assert "retrievals        handbook 3" in text
    assert "embeddings        4, 1,15" in text
    assert "a remark" in text
    assert "sent to   nowhere" in text
    assert "\x1b" not in text
