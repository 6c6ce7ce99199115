"""Run the demo's agent once, check that its numbers add up, print the run as a tree and draw it to docs/pictures/agent-run.svg.

The numbers are those of real spans and metrics: the totals on the agent's span, the sums over the spans of its model calls,
and the metrics have to be the same. Exit codes: 0 when they are, 1 when they are not; the picture is written either way.
"""

from __future__ import annotations

import argparse
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import langmeter
from langmeter import semconv
from langmeter.demo import shop
from langmeter.demo.clients import Clients
from langmeter.demo.handbook_search import HandbookSearch
from langmeter.demo.logbook import Logbook
from langmeter.demo.order_agent import asked, order_agent
from langmeter.demo.provider import Provider
from trace_picture import Figures, Row, draw

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

PICTURE = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "agent-run.svg"
_NANOSECONDS = 1_000_000_000
_NANODOLLARS = 9


class Run(NamedTuple):
    """What one run of the agent left behind."""

    spans: tuple[ReadableSpan, ...]
    totals: dict[tuple[str, str | None], Decimal]
    """Sums of the metrics, by name and operation: counters as they are, histograms by the sum of what was recorded."""

    def of(self, operation: str) -> list[ReadableSpan]:
        """The spans of one operation."""
        return [span for span in self.spans if _operation(span) == operation]


def run_agent() -> Run:
    """One run of the demo's agent against the demo's provider."""
    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    with Provider() as provider:
        clients, logbook = Clients(provider.base_url), Logbook()
        handbook = HandbookSearch(clients, logbook)
        handbook.index()  # before anybody watches: it is not part of the run
        agent = order_agent(clients, logbook, [handbook.tool])
        with langmeter.track():  # the first run of a process also pays for what Python loads
            agent.invoke(asked("Is a bell in stock?"))
        langmeter.instrument(tracer_provider=tracers, meter_provider=meters)
        agent.invoke(asked(shop.LONG_ORDER_QUESTION.format(order=4790)))
        langmeter.uninstrument()
    return Run(spans.get_finished_spans(), _totals(reader))


def rows(spans: Sequence[ReadableSpan]) -> tuple[Row, ...]:
    """The spans as a tree, parents before their children, in the order of their starts."""
    root = next(span for span in spans if span.parent is None)

    def below(span: ReadableSpan, depth: int) -> Iterator[Row]:
        yield _row(span, root, depth)
        children = [
            child for child in spans if child.parent is not None and child.parent.span_id == span.context.span_id
        ]
        for child in sorted(children, key=lambda child: child.start_time or 0):
            yield from below(child, depth + 1)

    return tuple(below(root, 0))


def problems(run: Run) -> list[str]:
    """What does not add up, one sentence each; empty when everything does."""
    agent, calls = run.of(semconv.INVOKE_AGENT), run.of(semconv.CHAT)
    embeddings, tools = run.of(semconv.EMBEDDINGS), run.of(semconv.EXECUTE_TOOL)
    comparisons = [
        ("inference calls in metrics", Decimal(len(calls)), run.totals[semconv.AGENT_INFERENCE_CALLS.name, None]),
        ("tool calls in metrics", Decimal(len(tools)), run.totals[semconv.AGENT_TOOL_CALLS.name, None]),
        ("input tokens on the agent's span", _sum(calls, _READ), _sum(agent, _READ)),
        ("output tokens on the agent's span", _sum(calls, _WRITTEN), _sum(agent, _WRITTEN)),
        ("input tokens in metrics", _sum(calls, _READ), run.totals[_INPUT, semconv.CHAT]),
        ("output tokens in metrics", _sum(calls, _WRITTEN), run.totals[_OUTPUT, semconv.CHAT]),
        ("embedded tokens in metrics", _sum(embeddings, _READ), run.totals[_EMBEDDED, semconv.EMBEDDINGS]),
        ("cost in metrics", _sum(calls, _COST), run.totals[_SPENT, semconv.CHAT]),
        ("cost of embeddings in metrics", _sum(embeddings, _COST), run.totals[_SPENT, semconv.EMBEDDINGS]),
    ]
    return [
        f"{title}: {theirs.normalize():f}, where the spans inside the run say {ours.normalize():f}"
        for title, ours, theirs in comparisons
        if ours != theirs or not ours
    ]


def sums(run: Run) -> tuple[tuple[str, Figures], ...]:
    """The same totals from three places, each with its name, and those of the embeddings."""
    agent, calls = run.of(semconv.INVOKE_AGENT), run.of(semconv.CHAT)
    totals = run.totals
    chat, embedded = semconv.CHAT, semconv.EMBEDDINGS
    counted = Figures(int(totals[_INPUT, chat]), int(totals[_OUTPUT, chat]), totals[_SPENT, chat])
    return (
        ("on the agent's span", Figures(int(_sum(agent, _READ)), int(_sum(agent, _WRITTEN)))),
        (
            f"sum of its {len(calls)} model calls",
            Figures(int(_sum(calls, _READ)), int(_sum(calls, _WRITTEN)), _sum(calls, _COST)),
        ),
        ("in the metrics: chat", counted),
        ("in the metrics: embeddings", Figures(int(totals[_EMBEDDED, embedded]), cost=totals[_SPENT, embedded])),
    )


def tree(run_rows: Iterable[Row]) -> Iterator[str]:
    """The rows as lines of text."""
    yield f"{'':44}{'ms':>8}{'in':>9}{'out':>7}{'cost':>13}"
    for row in run_rows:
        read, written, cost = row.figures.texts()
        yield f"{'  ' * row.depth + row.name:44}{row.seconds * 1000:8.1f}{read:>9}{written:>7}{cost:>13}"


_READ, _WRITTEN, _COST = semconv.USAGE_INPUT_TOKENS, semconv.USAGE_OUTPUT_TOKENS, semconv.COST_AMOUNT
_INPUT, _OUTPUT = semconv.INFERENCE_INPUT_TOKENS.name, semconv.INFERENCE_OUTPUT_TOKENS.name
_EMBEDDED, _SPENT = semconv.EMBEDDINGS_USAGE_INPUT_TOKENS.name, semconv.COST.name


def _operation(span: ReadableSpan) -> str:
    return str((span.attributes or {})[semconv.OPERATION_NAME])


def _row(span: ReadableSpan, root: ReadableSpan, depth: int) -> Row:
    start, end, origin = span.start_time or 0, span.end_time or 0, root.start_time or 0
    read, written, cost = (
        _sum([span], name) if name in (span.attributes or {}) else None for name in (_READ, _WRITTEN, _COST)
    )
    figures = Figures(None if read is None else int(read), None if written is None else int(written), cost)
    return Row(
        depth, span.name, _operation(span), (start - origin) / _NANOSECONDS, (end - start) / _NANOSECONDS, figures
    )


def _sum(spans: Sequence[ReadableSpan], name: str) -> Decimal:
    """The sum of one attribute, to the nano-dollar where it is money: floats do not add up to the last bit."""
    return _rounded((span.attributes or {}).get(name, 0) for span in spans)


def _rounded(numbers: Iterable[object]) -> Decimal:
    return round(sum((Decimal(str(number)) for number in numbers), Decimal(0)), _NANODOLLARS)


def _totals(reader: InMemoryMetricReader) -> dict[tuple[str, str | None], Decimal]:
    data = reader.get_metrics_data()
    found: dict[tuple[str, str | None], list[object]] = {}
    for resource in data.resource_metrics if data is not None else ():
        for metric in (metric for scope in resource.scope_metrics for metric in scope.metrics):
            for point in metric.data.data_points:
                operation = (point.attributes or {}).get(semconv.OPERATION_NAME)
                key = metric.name, None if operation is None else str(operation)
                found.setdefault(key, []).append(point.sum if isinstance(point, HistogramDataPoint) else point.value)
    return {key: _rounded(values) for key, values in found.items()}


def main() -> int:
    """Run, print, draw, check."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--output", type=Path, default=PICTURE, help="where the picture goes")
    output: Path = parser.parse_args().output
    run = run_agent()
    run_rows, run_sums = rows(run.spans), sums(run)
    sys.stdout.write("\n".join([*tree(run_rows), ""]) + "\n")
    for title, figures in run_sums:
        read, written, cost = figures.texts()
        sys.stdout.write(f"{title:52}{read:>9}{written:>7}{cost:>13}\n")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(draw(run_rows, run_sums), encoding="utf-8")
    wrong = problems(run)
    for problem in wrong:
        sys.stderr.write(f"does not add up: {problem}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
