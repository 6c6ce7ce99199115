"""Added time of chains, tools, retrievers, graphs and agents: langmeter against no handler and an empty one.

    python benchmarks/steps.py [--repeats 3] [--json FILE]

Runs without a span (prompts, lambdas, nodes) cost a look at the caller's stack and an entry in a table; they are shown per
run. Whatever has a span costs that span and the histograms of its kind; the model calls inside an agent are those of
model_calls.py. Each variant runs in processes of its own, for the reason given there. Figures are processor time of the
calling thread, the best block of all repeats, in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from pathlib import Path

from langchain.agents import create_agent
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool
from langchain_core.tracers.context import register_configure_hook
from langgraph.graph import START, MessagesState, StateGraph
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from model_calls import FACTS, SAMPLERS, SLOT, USAGE, Chat, hooked, instrumented, nothing, providers

CALLS = 20
WARM_BLOCKS = 6
BLOCKS = 15
RUNS_OF_FIVE = 6
"""Five lambdas and the sequence around them."""


class Empty(BaseCallbackHandler):
    """What LangChain itself charges for having a handler."""

    run_inline = True


class Agent(Chat):
    """Asks for a tool, then answers."""

    def bind_tools(self, tools, **kwargs):
        return self

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        calls = [] if messages[-1].type == "tool" else [{"name": "double", "args": {"x": 1}, "id": "call-1"}]
        message = AIMessage("hello", tool_calls=calls, usage_metadata=USAGE, response_metadata=dict(FACTS))
        return ChatResult(generations=[ChatGeneration(message=message)])


class Retriever(BaseRetriever):
    """Finds the same at once."""

    def _get_relevant_documents(self, query, *, run_manager):
        return [Document("a")]


@tool
def double(x: int) -> int:
    """Twice a number."""
    return 2 * x


VARIANTS = {
    "no handler": lambda *_: nothing,
    "empty handler": lambda *_: hooked(Empty()),
    "langmeter": instrumented,
}


def workloads(loop):
    same = RunnableLambda(lambda value: value)
    five = same | same | same | same | same
    retriever = Retriever()
    builder = StateGraph(MessagesState)
    previous = START
    for name in ("a", "b", "c"):
        builder.add_node(name, lambda state: {"messages": []}).add_edge(previous, name)
        previous = name
    graph = builder.compile(name="three nodes")
    agent = create_agent(Agent(), [double], name="calculator")
    question = {"messages": [("user", "how much?")]}

    async def ask():
        for _ in range(CALLS):
            await agent.ainvoke(question)

    def repeat(work):
        return lambda: [work() for _ in range(CALLS)]

    return {
        "chain of five, per run": (repeat(lambda: five.invoke("x")), CALLS * RUNS_OF_FIVE),
        "tool": (repeat(lambda: double.invoke({"x": 1})), CALLS),
        "retriever": (repeat(lambda: retriever.invoke("x")), CALLS),
        "graph of three nodes": (repeat(lambda: graph.invoke(question)), CALLS),
        "agent, 2 calls + 1 tool": (repeat(lambda: agent.invoke(question)), CALLS),
        "the same, ainvoke": (lambda: loop.run_until_complete(ask()), CALLS),
    }


def measure(variant, sampling):
    """The best block of each workload, in microseconds: what one process prints."""
    register_configure_hook(SLOT, inheritable=True)
    loop = asyncio.new_event_loop()
    best = {}
    with VARIANTS[variant](*providers(SAMPLERS[sampling]))():
        for title, (work, per) in workloads(loop).items():
            for _ in range(WARM_BLOCKS):
                work()
            blocks = []
            for _ in range(BLOCKS):
                gc.collect()
                gc.disable()
                started = time.thread_time()
                work()
                blocks.append((time.thread_time() - started) / per * 1e6)
                gc.enable()
            best[title] = min(blocks)
    loop.close()
    return best


def check():
    """The right spans come out, or nothing is timed."""
    exporter = InMemorySpanExporter()
    tracer_provider, meter_provider = providers()
    tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    loop = asyncio.new_event_loop()
    with instrumented(tracer_provider, meter_provider)():
        for work, _ in workloads(loop).values():
            work()
    loop.close()
    names = {span.name for span in exporter.get_finished_spans()}
    expected = {
        "invoke_agent calculator",
        "invoke_workflow three nodes",
        "execute_tool double",
        "retrieval",
        "chat gpt-4o",
    }
    assert names == expected, names


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="processes for each variant")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--measure", nargs=2, metavar=("VARIANT", "SAMPLING"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(*options.measure)))
        return
    check()
    results = {}
    for sampling in SAMPLERS:
        best = results[sampling] = {}
        for _ in range(options.repeats):
            for variant in VARIANTS:
                command = [sys.executable, "-W", "ignore", __file__, "--measure", variant, sampling]
                finished = subprocess.run(command, capture_output=True, text=True, check=True)
                found = json.loads(finished.stdout.splitlines()[-1])
                before = best.setdefault(variant, found)
                best[variant] = {title: min(value, before[title]) for title, value in found.items()}
        show(sampling, best)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


def show(sampling, best):
    plain = best["no handler"]
    print(f"\n{sampling}: added microseconds ('no handler': the whole work)")
    print(f"  {'':<26}" + "".join(f"{variant:>16}" for variant in best))
    for title in plain:
        added = [row[title] - (plain[title] if variant != "no handler" else 0) for variant, row in best.items()]
        print(f"  {title:<26}" + "".join(f"{value:16.1f}" for value in added))


if __name__ == "__main__":
    main()
