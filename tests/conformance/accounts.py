"""Do the numbers of a run add up? Spans, metrics, `track()` and what the provider billed are four accounts of one thing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import HistogramDataPoint
from span_table import INFERENCE, MEMORY, OPERATIONS_WITH_PRICES, SPENT

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from shaped_servers import Billed
    from terms import Output

    from langmeter.tracking import Usage

# Span attribute -> the counter of the same tokens.
_COUNTED = {
    "gen_ai.usage.input_tokens": "gen_ai.client.inference.usage.input_tokens",
    "gen_ai.usage.output_tokens": "gen_ai.client.inference.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens": "gen_ai.client.inference.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_write.input_tokens": "gen_ai.client.inference.usage.cache_write.input_tokens",
    "gen_ai.usage.reasoning.output_tokens": "gen_ai.client.inference.usage.reasoning.output_tokens",
    "langchain.usage.estimated.output_tokens": "langchain.usage.estimated.output_tokens",
}
_COST = "langchain.usage.cost.amount"
_DURATIONS = {
    "execute_tool": "gen_ai.execute_tool.duration",
    "invoke_agent": "gen_ai.invoke_agent.duration",
    "invoke_workflow": "gen_ai.invoke_workflow.duration",
    "retrieval": "gen_ai.client.operation.duration",
    "embeddings": "gen_ai.client.embeddings.duration",
    **dict.fromkeys(MEMORY, "gen_ai.client.operation.duration"),
}


def discrepancies(
    output: Output, billed: list[Billed] | None, usage: Usage, switches: frozenset[str] = frozenset()
) -> list[str]:
    """Every two numbers that should be equal and are not.

    Args:
        output: a sampled run.
        billed: what the provider counted itself; None where the client did not wait for the bill.
        usage: what `track()` saw of the run.
        switches: settings that are on.
    """
    books = _Books(output)
    rows = [*_tokens(books), *_calls(books), *_money(books), *_steps(books), *_agents(books), *_caches(books)]
    rows += _tracked(books, usage)
    if "legacy_metrics" in switches:
        rows += _legacy(books)
    if "operation_cost" in switches:
        rows += _cost_per_call(books)
    if billed is not None:
        rows += _bill(books, billed)
    return [f"{what}: {one!r} and {other!r}" for what, one, other in rows if one != other]


def metrics_without_times(output: Output) -> dict[str, list[tuple[Any, Any]]]:
    """Every metric by name, as far as it does not depend on a clock: what two equal runs must have in common."""
    return {
        metric.name: sorted(
            (
                (sorted((point.attributes or {}).items()), _figure(metric.unit, point))
                for point in metric.data.data_points
            ),
            key=repr,
        )
        for _, metric in output.metrics
        if metric.name != "langchain.price.age"
    }


def _figure(unit: str, point: Any) -> Any:
    if isinstance(point, HistogramDataPoint):
        measured = unit in {"s", "{token}/s"}
        return point.count if measured else (point.count, point.sum, tuple(point.bucket_counts))
    return None if unit == "s" else point.value


Row = tuple[str, Any, Any]


class _Books:
    """The spans by operation, and sums over metrics."""

    def __init__(self, output: Output) -> None:
        self.spans = output.spans
        self._points = {metric.name: list(metric.data.data_points) for _, metric in output.metrics}
        self.by_id = {span.context.span_id: span for span in output.spans}
        self.calls = [span for span in output.spans if _operation(span) in INFERENCE and not _is_hit(span)]
        self.priced = [span for span in output.spans if _operation(span) in OPERATIONS_WITH_PRICES]

    def total(self, metric: str, **wanted: Any) -> Any:
        return sum(point.value for point in self._of(metric, wanted))

    def count(self, metric: str, **wanted: Any) -> int:
        return sum(point.count for point in self._of(metric, wanted))

    def sum(self, metric: str, **wanted: Any) -> Any:
        return sum(point.sum for point in self._of(metric, wanted))

    def _of(self, metric: str, wanted: Mapping[str, Any]) -> Iterator[Any]:
        for point in self._points.get(metric, ()):
            attributes = point.attributes or {}
            if all(attributes.get(name.replace("__", ".")) == value for name, value in wanted.items()):
                yield point

    def ancestor(self, span: ReadableSpan, operation: str) -> ReadableSpan | None:
        """The nearest span above with this operation."""
        while span.parent is not None and span.parent.span_id in self.by_id:
            span = self.by_id[span.parent.span_id]
            if _operation(span) == operation:
                return span
        return None


def _operation(span: ReadableSpan) -> str:
    return str(_get(span, "gen_ai.operation.name"))


def _get(span: ReadableSpan, name: str, default: Any = None) -> Any:
    return (span.attributes or {}).get(name, default)


def _is_hit(span: ReadableSpan) -> bool:
    return bool(_get(span, "langchain.cache.status") == "hit")


def _picodollars(dollars: float) -> int:
    return round(dollars * 10**12)


def _tokens(books: _Books) -> Iterator[Row]:
    for attribute, metric in _COUNTED.items():
        yield metric, sum(_get(span, attribute, 0) for span in books.calls), books.total(metric)
    estimated = "langchain.usage.estimated.input_tokens"
    yield estimated, sum(_get(span, estimated, 0) for span in books.priced), books.total(estimated)
    embedded = [span for span in books.spans if _operation(span) == "embeddings" and not _is_hit(span)]
    tokens = [count for span in embedded if (count := _get(span, "gen_ai.usage.input_tokens")) is not None]
    yield "tokens of embeddings", sum(tokens), books.total("langchain.embeddings.usage.input_tokens")
    per_call = "gen_ai.client.embeddings.operation.input_tokens"
    yield per_call, (len(tokens), sum(tokens)), (books.count(per_call), books.sum(per_call))
    for direction in ("input", "output"):
        answered = [
            count
            for span in books.calls
            if "error.type" not in (span.attributes or {})
            and _get(span, "gen_ai.response.finish_reasons") != ("error",)
            if (count := _get(span, f"gen_ai.usage.{direction}_tokens")) is not None
        ]
        metric = f"gen_ai.client.inference.operation.{direction}_tokens"
        yield metric, (len(answered), sum(answered)), (books.count(metric), books.sum(metric))


def _calls(books: _Books) -> Iterator[Row]:
    duration = "gen_ai.client.inference.duration"
    yield duration, len(books.calls), books.count(duration)
    outcomes = Counter(_get(span, "error.type") for span in books.calls)
    for error, number in outcomes.items():
        yield f"{duration} of {error}", number, books.count(duration, error__type=error)
    first = "gen_ai.client.inference.time_to_first_chunk"
    streams = [span for span in books.calls if "gen_ai.response.time_to_first_chunk" in (span.attributes or {})]
    yield first, len(streams), books.count(first)
    requests = "langchain.inference.requests"
    for operation in (*INFERENCE, "embeddings"):
        spans = [span for span in books.priced if _operation(span) == operation and not _is_hit(span)]
        yield f"{requests} of {operation}", len(spans), books.total(requests, gen_ai__operation__name=operation)


def _money(books: _Books) -> Iterator[Row]:
    spent = sum(_picodollars(_get(span, _COST, 0.0)) for span in books.priced)
    yield "langchain.usage.cost", spent, _picodollars(books.total("langchain.usage.cost"))
    for status in {_get(span, "langchain.usage.cost.status") for span in books.priced} - {None, "cached", "unpriced"}:
        one = [span for span in books.priced if _get(span, "langchain.usage.cost.status") == status]
        total = books.total("langchain.usage.cost", langchain__usage__cost__status=status)
        yield f"money {status}", sum(_picodollars(_get(span, _COST)) for span in one), _picodollars(total)
    unpriced = [span for span in books.priced if _get(span, "langchain.usage.cost.status") == "unpriced"]
    yield "unpriced requests", len(unpriced), books.total("langchain.usage.unpriced.requests")


def _steps(books: _Books) -> Iterator[Row]:
    for operation, metric in _DURATIONS.items():
        spans = [span for span in books.spans if _operation(span) == operation and not _is_hit(span)]
        wanted = {"gen_ai__operation__name": operation} if metric == "gen_ai.client.operation.duration" else {}
        yield metric, len(spans), books.count(metric, **wanted)
        for error, number in Counter(_get(span, "error.type") for span in spans).items():
            yield f"{metric} of {error}", number, books.count(metric, **wanted, error__type=error)


def _agents(books: _Books) -> Iterator[Row]:
    agents = [span for span in books.spans if _operation(span) == "invoke_agent"]
    issued: dict[int, list[ReadableSpan]] = {span.context.span_id: [] for span in agents}
    tools: Counter[int] = Counter()
    for span in books.spans:
        agent = books.ancestor(span, "invoke_agent")
        if agent is not None and span in books.calls:
            issued[agent.context.span_id].append(span)
        elif agent is not None and _operation(span) == "execute_tool":
            tools[agent.context.span_id] += 1
    for agent in agents:
        calls = issued[agent.context.span_id]
        for direction in ("input", "output"):
            name = f"gen_ai.usage.{direction}_tokens"
            known = [count for call in calls if (count := _get(call, name)) is not None]
            yield f"{name} of {agent.name}", sum(known) if known else None, _get(agent, name)
    for name in {_get(agent, "gen_ai.agent.name") for agent in agents}:
        ids = [agent.context.span_id for agent in agents if _get(agent, "gen_ai.agent.name") == name]
        for what, number in (
            ("inference_calls", sum(len(issued[span_id]) for span_id in ids)),
            ("tool_calls", sum(tools[span_id] for span_id in ids)),
        ):
            metric = f"gen_ai.invoke_agent.{what}"
            recorded = books.count(metric, gen_ai__agent__name=name), books.sum(metric, gen_ai__agent__name=name)
            yield f"{metric} of {name}", (len(ids), number), recorded


def _caches(books: _Books) -> Iterator[Row]:
    statuses = Counter(_get(span, "langchain.cache.status") for span in books.priced)
    for status in ("hit", "miss", "error", "bypass"):
        counted = books.total("langchain.cache.requests", langchain__cache__status=status)
        yield f"look-ups that are a {status}", statuses[status], counted
    timed = books.count("langchain.cache.lookup.duration")
    yield "look-ups with a duration", statuses["hit"] + statuses["miss"] + statuses["error"], timed


def _tracked(books: _Books, usage: Usage) -> Iterator[Row]:
    """`track()` counts calls of models and of embeddings alike."""
    called = [span for span in books.priced if not _is_hit(span)]
    yield "calls of track()", len(called), usage.calls
    tokens = "gen_ai.client.inference.usage."
    embedded = books.total("langchain.embeddings.usage.input_tokens")
    yield "input of track()", books.total(f"{tokens}input_tokens") + embedded, usage.input_tokens
    yield "output of track()", books.total(f"{tokens}output_tokens"), usage.output_tokens
    spent = _picodollars(books.total("langchain.usage.cost"))
    yield "cost of track()", spent, int(usage.cost_usd.scaleb(12))
    yield "hits of track()", books.total("langchain.cache.requests", langchain__cache__status="hit"), usage.cache_hits
    yield "saved of track()", _picodollars(books.total("langchain.cache.saved.cost")), int(usage.saved_usd.scaleb(12))


def _legacy(books: _Books) -> Iterator[Row]:
    """The older names say the same as the newer ones."""
    inference = "gen_ai.client.inference."
    for direction in ("input", "output"):
        new = books.sum(f"{inference}operation.{direction}_tokens")
        if direction == "input":
            new += books.sum("gen_ai.client.embeddings.operation.input_tokens")
        yield (
            f"{direction} by its older name",
            books.sum("gen_ai.client.token.usage", gen_ai__token__type=direction),
            new,
        )
    for operation in INFERENCE:
        wanted = {"gen_ai__operation__name": operation}
        old = books.count("gen_ai.client.operation.duration", **wanted)
        yield f"{operation} by its older name", old, books.count(f"{inference}duration", **wanted)
    for name in ("time_to_first_chunk", "time_per_output_chunk"):
        yield name, books.count(f"gen_ai.client.operation.{name}"), books.count(inference + name)


def _cost_per_call(books: _Books) -> Iterator[Row]:
    spent = [span for span in books.priced if _get(span, "langchain.usage.cost.status") in SPENT]
    total = sum(_picodollars(_get(span, _COST)) for span in spent)
    recorded = books.count("langchain.operation.cost"), _picodollars(books.sum("langchain.operation.cost"))
    yield "langchain.operation.cost", (len(spent), total), recorded


def _bill(books: _Books, billed: list[Billed]) -> Iterator[Row]:
    usage = "gen_ai.client.inference.usage."
    models = [bill for bill in billed if not bill.embeddings]
    for metric, field in (
        ("input_tokens", "input"),
        ("output_tokens", "output"),
        ("cache_read.input_tokens", "cache_read"),
        ("cache_write.input_tokens", "cache_write"),
        ("reasoning.output_tokens", "reasoning"),
    ):
        yield f"{field} as billed", sum(getattr(bill, field) for bill in models), books.total(usage + metric)
    embedded = sum(bill.input for bill in billed if bill.embeddings)
    yield "embeddings as billed", embedded, books.total("langchain.embeddings.usage.input_tokens")
