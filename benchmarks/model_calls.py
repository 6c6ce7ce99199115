"""Added time of a model call: langmeter against no handler, an empty handler and the bare-SDK floor.

    python benchmarks/model_calls.py [--repeats 3] [--others] [--json FILE]

The floor is what the same telemetry would cost written directly against the SDK: one inline handler that does nothing,
one span with the same attributes, one synchronous record for every metric point that langmeter emits, counters included.
Each variant runs in processes of its own, in turn: switching instrumentations on and off in one process would undo the
interpreter's specialisation of LangChain's classes, and not every one of them comes off again. Figures are processor
time of the calling thread, the best block of all repeats, in microseconds. `--others` measures the other LangChain
instrumentations that are installed beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.tracers.context import register_configure_hook
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON

import langmeter

USAGE = {
    "input_tokens": 1200,
    "output_tokens": 80,
    "total_tokens": 1280,
    "input_token_details": {"cache_read": 1024},
    "output_token_details": {"reasoning": 40},
}
FACTS = {"model_name": "gpt-4o-2024-08-06", "finish_reason": "stop", "id": "chatcmpl-1", "model_provider": "openai"}
CALLS = 40
CHUNKS = 500
WARM_BLOCKS = 6
BLOCKS = 15


class Chat(BaseChatModel):
    """A model that answers at once; it implements streaming, as all real ones do."""

    model: str = "gpt-4o"
    openai_api_base: str = "https://api.openai.com/v1"

    @property
    def _llm_type(self):
        return "benchmark"

    def _get_ls_params(self, stop=None, **kwargs):
        return {"ls_provider": "openai", "ls_model_name": self.model, "ls_model_type": "chat"}

    def _generate(self, messages, stop=None, run_manager=None, **kwargs):
        message = AIMessage("hello", usage_metadata=USAGE, response_metadata=dict(FACTS))
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _agenerate(self, messages, stop=None, run_manager=None, **kwargs):
        return self._generate(messages)

    def _stream(self, messages, stop=None, run_manager=None, **kwargs):
        for _ in range(CHUNKS):
            yield ChatGenerationChunk(message=AIMessageChunk("token"))

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for _ in range(CHUNKS):
            yield ChatGenerationChunk(message=AIMessageChunk("token"))


class Empty(BaseCallbackHandler):
    """What LangChain itself charges for having a handler."""

    run_inline = True

    def on_chat_model_start(self, *args, **kwargs):
        pass

    def on_llm_new_token(self, *args, **kwargs):
        pass

    def on_llm_end(self, *args, **kwargs):
        pass


class Floor(Empty):
    """One span and one synchronous record per metric point, written directly against the SDK."""

    def __init__(self, tracer_provider, meter_provider, *, streamed=False):
        self.tracer = tracer_provider.get_tracer("floor")
        meter = meter_provider.get_meter("floor")
        self.counters = [meter.create_counter(f"floor.counter.{n}") for n in range(9)]
        histograms = 6 if streamed else 4
        self.histograms = [meter.create_histogram(f"floor.histogram.{n}") for n in range(histograms)]
        self.spans = {}
        self.keys = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "server.address": "api.openai.com",
            "server.port": 443,
        }
        self.more = {
            "gen_ai.response.finish_reasons": ("stop",),
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.usage.input_tokens": 1200,
            "gen_ai.usage.output_tokens": 80,
            "gen_ai.usage.cache_read.input_tokens": 1024,
            "gen_ai.usage.reasoning.output_tokens": 40,
            "langchain.usage.cost.amount": 0.0021,
            "langchain.usage.cost.currency": "USD",
            "langchain.usage.cost.source": "local",
            "langchain.usage.cost.status": "priced",
            "langchain.usage.cost.input": 0.001,
            "langchain.usage.cost.output": 0.001,
            "langchain.usage.cost.cache_read": 0.0001,
            "langchain.price.source": "genai-prices",
            "langchain.price.version": "genai-prices/0.2.3",
            "langchain.price.match": "dated",
            "openai.api.type": "chat_completions",
        }

    def on_chat_model_start(self, *args, run_id, **kwargs):
        self.spans[run_id] = self.tracer.start_span("chat gpt-4o", kind=trace.SpanKind.CLIENT, attributes=self.keys)

    def on_llm_end(self, *args, run_id, **kwargs):
        span = self.spans.pop(run_id)
        if span.is_recording():
            span.set_attributes(self.more)
        context = trace.set_span_in_context(span)
        for counter in self.counters:
            counter.add(1, self.keys, context)
        for histogram in self.histograms:
            histogram.record(0.5, self.keys, context)
        span.end()


class Slot:
    handler = None

    def get(self):
        return self.handler


SLOT = Slot()


@contextmanager
def nothing():
    yield


def hooked(handler):
    @contextmanager
    def switch():
        SLOT.handler = handler
        try:
            yield
        finally:
            SLOT.handler = None

    return switch


def instrumented(tracer_provider, meter_provider):
    @contextmanager
    def switch():
        langmeter.instrument(tracer_provider=tracer_provider, meter_provider=meter_provider)
        try:
            yield
        finally:
            langmeter.uninstrument()

    return switch


def providers(sampler=ALWAYS_ON):
    return TracerProvider(sampler=sampler), MeterProvider([InMemoryMetricReader()])


def openinference(tracer_provider, _meter_provider):
    from openinference.instrumentation.langchain import LangChainInstrumentor

    return third_party(LangChainInstrumentor(), tracer_provider=tracer_provider)


def openllmetry(tracer_provider, meter_provider):
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    return third_party(LangchainInstrumentor(), tracer_provider=tracer_provider, meter_provider=meter_provider)


def third_party(instrumentor, **given):
    @contextmanager
    def switch():
        instrumentor.instrument(**given)
        yield

    return switch


VARIANTS = {
    "no handler": lambda *_: nothing,
    "empty handler": lambda *_: hooked(Empty()),
    "bare-SDK floor": lambda *given: hooked(Floor(*given)),
    "langmeter": instrumented,
}
OTHERS = {"OpenInference": openinference, "OpenLLMetry": openllmetry}
SAMPLERS = {"sampled": ALWAYS_ON, "not sampled": ALWAYS_OFF}


def measure(variant, sampling):
    """The best block of each workload, in microseconds per call or chunk: what one process prints."""
    register_configure_hook(SLOT, inheritable=True)
    loop = asyncio.new_event_loop()
    best = {}
    with {**VARIANTS, **OTHERS}[variant](*providers(SAMPLERS[sampling]))():
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


def in_a_process_of_its_own(variant, sampling):
    command = [sys.executable, "-W", "ignore", __file__, "--measure", variant, sampling]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    if finished.returncode:
        print(f"  {variant}: {finished.stderr.strip().splitlines()[-1]}")
        return None
    return json.loads(finished.stdout.splitlines()[-1])


def show(sampling, best):
    print(f"\n{sampling}: added microseconds ('no handler': the whole call or chunk)")
    plain = best["no handler"]
    print(f"  {'':<24}" + "".join(f"{variant:>18}" for variant in best))
    for title in plain:
        added = [row[title] - (plain[title] if variant != "no handler" else 0) for variant, row in best.items()]
        print(f"  {title:<24}" + "".join(f"{value:18.1f}" for value in added))


def check():
    """The right span and metrics come out, or nothing is timed."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracer_provider, meter_provider = TracerProvider(), MeterProvider([reader])
    tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
    with instrumented(tracer_provider, meter_provider)():
        Chat().invoke("hi")
    (span,) = exporter.get_finished_spans()
    assert span.attributes["gen_ai.usage.input_tokens"] == USAGE["input_tokens"]
    assert span.attributes["langchain.usage.cost.amount"] > 0
    names = [m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics]
    print(f"one call: a span with {len(span.attributes)} attributes, {len(names)} metrics")


def workloads(loop):
    chat = Chat()
    history = [HumanMessage(f"message {n}") for n in range(200)]
    long_prompt = "x" * 100_000

    async def ainvoke():
        for _ in range(CALLS):
            await chat.ainvoke("hi")

    async def astream():
        async for _ in chat.astream("hi"):
            pass

    def repeat(prompt):
        return lambda: [chat.invoke(prompt) for _ in range(CALLS)]

    return {
        "invoke": (repeat("hi"), CALLS),
        "ainvoke": (lambda: loop.run_until_complete(ainvoke()), CALLS),
        "stream, per chunk": (lambda: list(chat.stream("hi")), CHUNKS),
        "astream, per chunk": (lambda: loop.run_until_complete(astream()), CHUNKS),
        "invoke, 200 messages": (repeat(history), CALLS),
        "invoke, 100 kB prompt": (repeat(long_prompt), CALLS),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3, help="processes for each variant")
    parser.add_argument("--others", action="store_true", help="measure other LangChain instrumentations too")
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
            for variant in (*VARIANTS, *(OTHERS if options.others else ())):
                found = in_a_process_of_its_own(variant, sampling)
                if found is not None:
                    before = best.setdefault(variant, found)
                    best[variant] = {title: min(value, before[title]) for title, value in found.items()}
        show(sampling, best)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
