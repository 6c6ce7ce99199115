"""A trace as the paths of its spans, and what a scenario must leave behind where it ran: nothing."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry import context as otel_context

from langmeter.langchain import instrumentor, state


def paths(spans: Iterable[Any]) -> list[str]:
    """The path from its root to each span, sorted: `SERVER > chat gpt-4o > POST`."""
    by_id = {span.context.span_id: span for span in spans}

    def path(span: Any) -> str:
        above = by_id.get(span.parent.span_id) if span.parent is not None else None
        if above is None:
            return span.name if span.parent is None else f"? > {span.name}"
        return f"{path(above)} > {span.name}"

    return sorted(path(span) for span in by_id.values())


def nothing_is_left() -> None:
    """No span is current, no frame is under way, no run is open."""
    gc.collect()
    assert otel_context.get_current() == {}
    assert state.current_frame() is None
    assert instrumentor.open_runs() == 0


def finish(scenario: Callable[..., Any], *arguments: Any) -> None:
    """Run a scenario, sync or async, and look at what it leaves behind where it ran."""

    async def run() -> None:
        await scenario(*arguments)
        nothing_is_left()

    if asyncio.iscoroutinefunction(scenario):
        asyncio.run(run())
    else:
        scenario(*arguments)
    nothing_is_left()
