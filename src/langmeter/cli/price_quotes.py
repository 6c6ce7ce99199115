"""`langmeter prices price`: what a usage costs."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import typer
from rich.console import Console
from rich.text import Text

import langmeter
from langmeter.cli.price_figures import aligned, complain, figures, iso, matched, pairs, plain, print_json
from langmeter.cli.price_lookup import UNKNOWN_PROVIDER, claim_notices, explain_missing, missing, unix_seconds
from langmeter.events import CostParts, TokenUsage, usd
from langmeter.pricing.catalog import Subject
from langmeter.pricing.usage import reported_usage
from langmeter.pricing.whatif.model_providers import providers_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from langmeter.events import Cost

_NO_PRICE = 1


class Counts(NamedTuple):
    """Tokens as the options give them."""

    input_tokens: int | None
    output_tokens: int | None
    cache_read: int
    cache_write: int
    reasoning: int


def usage_metadata(counts: Counts, usage: str | None) -> dict[str, Any]:
    """LangChain's form of the tokens that were given, as counts or as JSON.

    Raises:
        BadParameter: both or neither is given, or they contradict themselves.
    """
    if usage is not None:
        if any(counts):
            raise typer.BadParameter("give either --usage or the counts, not both")
        return _parsed(usage)
    if counts.input_tokens is None or counts.output_tokens is None:
        raise typer.BadParameter("give --input and --output, or --usage")
    cached = counts.cache_read + counts.cache_write
    if cached > counts.input_tokens:
        raise typer.BadParameter(f"--input includes cached tokens: it must be at least {cached:,}")
    if counts.reasoning > counts.output_tokens:
        raise typer.BadParameter(f"--output includes reasoning: it must be at least {counts.reasoning:,}")
    return {
        "input_tokens": counts.input_tokens,
        "output_tokens": counts.output_tokens,
        "total_tokens": counts.input_tokens + counts.output_tokens,
        "input_token_details": {"cache_read": counts.cache_read, "cache_creation": counts.cache_write},
        "output_token_details": {"reasoning": counts.reasoning},
    }


def _parsed(usage: str) -> dict[str, Any]:
    try:
        document = json.loads(usage)
    except ValueError as error:
        raise typer.BadParameter(f"--usage is no JSON: {error}") from None
    if not isinstance(document, dict) or reported_usage(document).tokens is None:
        raise typer.BadParameter('--usage must be an object with "input_tokens" and "output_tokens"')
    return document


def show_quote(
    model: str, provider: str | None, usage: Mapping[str, Any], tier: str | None, at: datetime | None, *, as_json: bool
) -> int:
    """Print what a usage costs; the exit status is 1 where nobody knows."""
    instant = unix_seconds(at)
    chosen = provider or next(iter(providers_of(model, instant)), UNKNOWN_PROVIDER)
    claim_notices(Subject(chosen, model, tier))
    offline = langmeter.Settings(auto_update=False)
    cost = langmeter.price(
        provider=chosen, model=model, usage_metadata=usage, service_tier=tier, at=instant, settings=offline
    )
    if cost.parts is None:
        return _no_price(Subject(chosen, model, tier), cost, as_json=as_json)
    tokens = reported_usage(usage).tokens or TokenUsage(0, 0)
    if as_json:
        print_json(_facts(model, chosen, instant, cost, tokens))
    else:
        _print(Console(highlight=False), chosen, model, cost, tokens)
    return 0


def _no_price(subject: Subject, cost: Cost, *, as_json: bool) -> int:
    facts = missing(subject)
    if cost.reason == "no_usage":  # although there is one: the model has no price per token
        facts["reason"] = f"model {subject.model!r} is paid by the hour: its cost depends on time, not on tokens"
    if as_json:
        print_json(facts)
    elif "reason" in facts:
        complain(f"langmeter prices price: {facts['reason']}.")
    else:
        explain_missing("price", facts)
    return _NO_PRICE


def _facts(model: str, provider: str, at: float, cost: Cost, tokens: TokenUsage) -> dict[str, Any]:
    return {
        "provider": provider,
        "model": model,
        "at": iso(at),
        "usage": {name: count for name, count in tokens._asdict().items() if count is not None},
        "usd": plain(usd(sum(cost.parts or ()))),
        "parts_usd": {name: plain(usd(part)) for name, part in (cost.parts or CostParts())._asdict().items()},
        "status": cost.status,
        "source": cost.source,
        "version": cost.version,
        "match": cost.match,
        "tier": cost.tier,
        "tier_unmatched": cost.tier_unmatched,
    }


def _print(console: Console, provider: str, model: str, cost: Cost, tokens: TokenUsage) -> None:
    console.print(Text.assemble((model, "bold"), f"  {provider}"))
    console.print()
    rows = list(_rows(cost, tokens))
    table = figures("", "tokens", "cost")
    for (name, count, _), amount in zip(rows, aligned([amount for *_, amount in rows]), strict=True):
        style = "bold" if name == "total" else ""
        table.add_row(Text(name, style), f"{count:,}" if count else "", Text(amount, f"{style} green" if style else ""))
    console.print(table)
    console.print()
    console.print(pairs(_remarks(cost, tokens)))


def _rows(cost: Cost, tokens: TokenUsage) -> Iterator[tuple[str, int, Decimal]]:
    """Name, tokens and US dollars of every category that has any."""
    parts = cost.parts or CostParts()
    read, write = tokens.cache_read or 0, tokens.cache_write or 0
    categories = (
        ("input", max(tokens.input_tokens - read - write, 0), parts.input),
        ("cache read", read, parts.cache_read),
        ("cache write", write, parts.cache_write),
        ("output", tokens.output_tokens, parts.output),
        ("request fee", 0, parts.other),
    )
    yield from ((name, count, usd(amount)) for name, count, amount in categories if count or amount)
    yield "total", tokens.total_tokens, usd(sum(parts))


def _remarks(cost: Cost, tokens: TokenUsage) -> Iterator[tuple[str, str | Text]]:
    if cost.status == "cached":
        yield "status", "cached: the usage is one that a response cache replayed, so nothing is charged"
        return
    if cost.status == "partial":
        why = "a rate is missing" if tokens.consistent else "the counts contradict one another"
        yield "status", Text(f"partial: {why}, so this is what is certain", "yellow")
    else:
        yield "status", cost.status
    if cost.tier_unmatched:
        yield "tier", Text(f"{cost.tier} has no price of its own: this is the standard price", "yellow")
    else:
        yield "tier", cost.tier or "standard"
    yield "source", cost.version or cost.source or ""
    yield "match", matched(cost.match)
