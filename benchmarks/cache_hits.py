"""Added time of an answer from the response cache, and what of it goes into recording the look-up.

    python benchmarks/cache_hits.py [--repeats 5] [--json FILE]

Every variant serves the same in-memory hit. `unseen` is langmeter with a cache whose `lookup` is an attribute of the object,
which no patch of a class can see: span and counters come out by LangChain's own mark of a hit, without the look-up. So
`langmeter` less `unseen` is what recording the look-up adds: noticing it, reading the stored usage, the time saved, and one
record in the histogram of look-ups. `floor` is `unseen` with that one record written directly against the SDK; the budget of
25 µs is for the rest, which is ours. `advisor` is langmeter with a `CacheAdvisor` listening, `adaptive` asks through
`adaptive_cache`; both are shown against `langmeter`.

Hits without langmeter are timed in processes of their own, for the reason given in model_calls.py; all others in one
process, block by block in turn, so that a change of the machine's speed meets all of them. Figures are processor time of
the calling thread, the best block of all repeats, in microseconds per hit.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import json
import subprocess
import sys
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path

from langchain_core.caches import InMemoryCache
from langchain_core.language_models.llms import LLM
from opentelemetry import context
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langmeter import semconv
from langmeter.caches import CacheAdvisor, adaptive_cache, cached_stream
from model_calls import Chat, instrumented, providers

HITS = 8
WARM_ROUNDS = 50
ROUNDS = 300
BUDGET = 25.0
PLAIN = "no langmeter"
VARIANTS = ("langmeter", "unseen", "floor", "advisor", "adaptive")


class Text(LLM):
    """A text model that answers at once."""

    @property
    def _llm_type(self):
        return "benchmark"

    def _call(self, prompt, stop=None, run_manager=None, **kwargs):
        return "hello"


class OnTheObject:
    """A `lookup` that is an attribute of the cache object: no patch of the class sees it."""

    def __init__(self, cache):
        self.original = cache.lookup

    def __call__(self, prompt, llm_string):
        return self.original(prompt, llm_string)


class Floor(OnTheObject):
    """The same, timed and recorded directly against the SDK, in the context of the call's span as langmeter does it."""

    def __init__(self, cache):
        super().__init__(cache)
        meter = MeterProvider([InMemoryMetricReader()]).get_meter("floor")
        bounds = semconv.CACHE_LOOKUP_DURATION.buckets
        self.histogram = meter.create_histogram("floor", "s", explicit_bucket_boundaries_advisory=bounds)

    def __call__(self, prompt, llm_string):
        started = time.perf_counter()
        found = self.original(prompt, llm_string)
        status = "hit" if isinstance(found, list) else "miss"
        attributes = {"langchain.cache.status": status, "langchain.cache.type": "in_memory"}
        self.histogram.record(time.perf_counter() - started, attributes, context.get_current())
        return found


def cache_for(variant):
    cache = InMemoryCache()
    if variant in ("unseen", "floor"):
        cache.lookup = (Floor if variant == "floor" else OnTheObject)(cache)
        cache.alookup = functools.partial(asynchronously, cache)
    return adaptive_cache(cache) if variant == "adaptive" else cache


async def asynchronously(cache, prompt, llm_string):
    return cache.lookup(prompt, llm_string)


def workloads(loop, variant):
    chat, text = Chat(cache=cache_for(variant)), Text(cache=cache_for(variant))
    streaming = cached_stream(Chat(cache=cache_for(variant)))
    list(streaming.stream("hi"))

    async def ainvoke():
        for _ in range(HITS):
            await chat.ainvoke("hi")

    return {
        "chat, invoke": lambda: [chat.invoke("hi") for _ in range(HITS)],
        "chat, ainvoke": lambda: loop.run_until_complete(ainvoke()),
        "chat, cached_stream": lambda: [list(streaming.stream("hi")) for _ in range(HITS)],
        "text model, invoke": lambda: [text.invoke("hi") for _ in range(HITS)],
    }


def measure(variants):
    """The best block of each variant and workload, in microseconds per hit: what one process prints."""
    loop = asyncio.new_event_loop()
    work_of = {variant: workloads(loop, variant) for variant in variants}
    best = {variant: dict.fromkeys(work_of[variant], float("inf")) for variant in variants}
    with ExitStack() as stack:
        if PLAIN not in variants:
            stack.enter_context(instrumented(*providers())())
        gc.collect()
        gc.disable()
        for number in range(WARM_ROUNDS + ROUNDS):
            turn = number % len(variants)
            for title in work_of[variants[0]]:
                for variant in (*variants[turn:], *variants[:turn]):
                    seconds = timed(work_of[variant][title], variant)
                    if number >= WARM_ROUNDS:
                        best[variant][title] = min(best[variant][title], seconds / HITS * 1e6)
            gc.collect(0)
    loop.close()
    return best


def timed(work, variant):
    with CacheAdvisor() if variant == "advisor" else nullcontext():
        work()  # what ran before has taken the processor's caches
        started = time.thread_time()
        work()
        return time.thread_time() - started


def in_a_process_of_its_own(*variants):
    command = [sys.executable, "-W", "ignore", __file__, "--measure", *variants]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def check():
    """What is timed: a hit with its look-up, and one without."""
    for variant, has_look_up in (("langmeter", True), ("unseen", False)):
        exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracer_provider, meter_provider = TracerProvider(), MeterProvider([reader])
        tracer_provider.add_span_processor(SimpleSpanProcessor(exporter))
        chat = Chat(cache=cache_for(variant))
        with instrumented(tracer_provider, meter_provider)():
            chat.invoke("hi")
            chat.invoke("hi")
        assert exporter.get_finished_spans()[-1].attributes["langchain.cache.status"] == "hit"
        names = {m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
        assert ("langchain.cache.lookup.duration" in names) == has_look_up


def show(best):
    columns = ("hit alone", "langmeter adds", "look-up", "of it the SDK", "advisor", "adaptive")
    print("microseconds per hit; the last two: on top of langmeter")
    print(f"  {'':<22}" + "".join(f"{column:>18}" for column in columns))
    for title, plain in best[PLAIN].items():
        full, unseen, floor = (best[variant][title] for variant in ("langmeter", "unseen", "floor"))
        # A text model's hit is unknown without its look-up.
        look_up = [full - unseen, floor - unseen] if not title.startswith("text") else [None, None]
        figures = [plain, full - plain, *look_up, best["advisor"][title] - full, best["adaptive"][title] - full]
        print(f"  {title:<22}" + "".join(f"{'-' if value is None else format(value, '.1f'):>18}" for value in figures))
    ours = best["langmeter"]["chat, invoke"] - best["floor"]["chat, invoke"]
    print(f"recording a look-up, besides the SDK's own record: {ours:.1f} µs of {BUDGET:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="processes of each kind")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--measure", nargs="+", choices=(PLAIN, *VARIANTS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    check()
    best = {}
    for _ in range(options.repeats):
        for variants in ((PLAIN,), VARIANTS):
            for variant, found in in_a_process_of_its_own(*variants).items():
                before = best.setdefault(variant, found)
                best[variant] = {title: min(value, before[title]) for title, value in found.items()}
    show(best)
    if options.json:
        options.json.write_text(json.dumps(best, indent=1))


if __name__ == "__main__":
    main()
