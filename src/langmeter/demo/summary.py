"""The end of the demo: the bill, and where to look at the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from langmeter.demo.clients import EMBEDDING_MODEL
from langmeter.demo.figures import duration, money, rate, share
from langmeter.demo.tables import models_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from langmeter.demo.logbook import Kind, Logbook
    from langmeter.tracking import Usage


class Outcome(NamedTuple):
    """How the run went, beside its figures."""

    seconds: float
    interrupted: bool
    remarks: tuple[str, ...] = ()
    """What a reader should know about the figures, one line each."""
    logbook: Logbook | None = None
    """What was done beside model calls."""


def print_summary(console: Console, usage: Usage, outcome: Outcome, where_to_look: Sequence[tuple[str, str]]) -> None:
    """The closing summary: the sums, the models, and pairs of what to look at and where."""
    title = "interrupted, so far" if outcome.interrupted else "summary"
    console.print(Rule(Text(f"{title} after {outcome.seconds:.1f} s", "bold"), style="dim", align="left"))
    console.print()
    console.print(_pairs([*_figures(usage), *_work(usage, outcome.logbook)]))
    console.print()
    console.print(models_table(usage, console.width, footer=True))
    for remark in outcome.remarks:
        console.print()
        console.print(Text(remark, "dim"))
    console.print()
    console.print(Rule(Text("where to look", "bold"), style="dim", align="left"))
    console.print()
    console.print(_pairs(where_to_look))


def _figures(usage: Usage) -> list[tuple[str, str]]:
    looked_up = usage.cache_hits + usage.cache_misses
    calls = f"{usage.calls:,}, {usage.errors} failed, {usage.unpriced_calls} without a price"
    latency = f"p50 {duration(usage.duration_percentile(0.5))}, p95 {duration(usage.duration_percentile(0.95))}"
    read = f"{usage.input_tokens:,} in ({usage.cache_read_tokens:,} cached)"
    written = f"{usage.output_tokens:,} out ({usage.reasoning_tokens:,} reasoning)"
    estimated = f", {money(usage.estimated_usd)} of it estimated" if usage.estimated_calls else ""
    first_chunk = duration(usage.time_to_first_chunk_percentile(0.5))
    return [
        ("spent", f"{money(usage.cost_usd)}{estimated}"),
        ("saved by caches", f"{money(usage.saved_usd)} and {usage.saved_tokens:,} tokens"),
        ("cache hits", f"{share(usage.hit_ratio)} ({usage.cache_hits} of {looked_up} look-ups)"),
        ("calls", calls),
        (
            "tokens",
            f"{read}, {written}",
        ),
        ("latency", f"{latency}; first chunk of a stream p50 {first_chunk}"),
        ("speed", f"{rate(usage.tokens_per_second)} output tokens/s"),
    ]


def _work(usage: Usage, logbook: Logbook | None) -> list[tuple[str, str]]:
    """Agents, tools, workflows and retrievals as the application counted them; embeddings as they were billed."""
    pairs = []
    if logbook is not None:
        kinds: tuple[tuple[Kind, str], ...] = (
            ("agent", "agents"),
            ("tool", "tools"),
            ("workflow", "workflows"),
            ("retrieval", "retrievals"),
        )
        pairs = [(title, _by_name(logbook, kind)) for kind, title in kinds if logbook.total(kind)]
    embeddings = usage.by_model.get(EMBEDDING_MODEL)
    if embeddings is not None:
        pairs.append(
            ("embeddings", f"{embeddings.calls}, {embeddings.input_tokens:,} tokens, {money(embeddings.cost_usd)}")
        )
    return pairs


def _by_name(logbook: Logbook, kind: Kind) -> str:
    parts = []
    for work, number in sorted(logbook.done.items()):
        remarks = ((logbook.failed[work], "failed"), (logbook.stopped[work], "waited for approval"))
        told = ", ".join(f"{times} {what}" for times, what in remarks if times)
        if work.kind == kind:
            parts.append(f"{work.name} {number}" + (f" ({told})" if told else ""))
    return parts[0] if len(parts) == 1 else f"{logbook.total(kind)}: {', '.join(parts)}"


def _pairs(pairs: Sequence[tuple[str, str]]) -> Table:
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in pairs:
        grid.add_row(name, Text(text))
    return grid
