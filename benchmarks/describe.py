"""What `langmeter.describe` costs, and what its setting adds to a model call that is described already.

Processor time, medians. The description is made once per object and on another thread; the setting acts on every call.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain_core.language_models import FakeListChatModel
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider

import langmeter
from langmeter import worker

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 15
CALLS = 300


@tool
def stock(boat: str) -> int:
    """How many boats of a kind there are."""
    return len(boat)


def processor_time(work: Callable[[], object], times: int) -> float:
    """Seconds for one."""
    started = time.thread_time_ns()
    for _ in range(times):
        work()
    return (time.thread_time_ns() - started) / times / 1e9


def descriptions() -> dict[str, Any]:
    model = ChatOpenAI(model="gpt-4o-mini", temperature=0.3, api_key="sk-none")
    prompt = ChatPromptTemplate.from_messages([("system", "You sell boats."), ("human", "{question}")])
    return {
        "model": model,
        "prompt | model | parser": prompt | model | StrOutputParser(),
        "agent with a tool": create_agent(model, [stock], system_prompt="You sell boats."),
    }


def calls(*, describe: bool) -> float:
    """Seconds for one call of a model that has been described."""
    langmeter.instrument(tracer_provider=TracerProvider(), meter_provider=MeterProvider(), describe=describe)
    try:
        model = FakeListChatModel(responses=["a"])
        model.invoke("first")
        assert worker.drain(10)
        return processor_time(lambda: model.invoke("?"), CALLS)
    finally:
        langmeter.uninstrument()


def main() -> None:
    for name, runnable in descriptions().items():
        assert langmeter.describe(runnable) == langmeter.describe(runnable)
        times = [processor_time(lambda it=runnable: langmeter.describe(it), 3) for _ in range(ROUNDS)]
        print(f"describe {name:28} {statistics.median(times) * 1e3:8.2f} ms")
    rounds = [(calls(describe=False), calls(describe=True)) for _ in range(ROUNDS)]
    off, on = (statistics.median(times) * 1e6 for times in zip(*rounds, strict=True))
    print(f"call, describe off {off:8.1f} µs, on {on:8.1f} µs: {on - off:+.1f} µs")


if __name__ == "__main__":
    main()
