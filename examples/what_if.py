"""What recorded calls would have cost on other models.

Runs against a model provider that it starts on this machine: no key, no network. The calls come from the spans of this
process; `read("calls.jsonl")` takes those of a file.
"""

from langchain_openai import ChatOpenAI
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import langmeter
from langmeter.demo.provider import API_KEY, Provider
from langmeter.whatif import cheapest, read, what_if

spans = InMemorySpanExporter()
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
langmeter.instrument(tracer_provider=tracer_provider, bootstrap="never")
with Provider(speed=0) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.base_url, api_key=API_KEY)
    model.batch(["Where is my parcel?", "Do you sell tyres?", "May I send this back?"])

calls = read(spans.get_finished_spans())
result = what_if(calls, model="gpt-4.1")
print(f"{result.counts.calls} calls on gpt-4o-mini: ${result.recorded}")
print(f"on {result.model}: ${result.same_caching} with the same caching, ${result.no_caching} without")
for sentence in result.assumptions:
    print(f"  {sentence}")

scores = {"gpt-4.1-nano": [0.7, 0.9], "gpt-5-mini": [0.9, 1.0, 0.8]}  # of runs that you have evaluated
for candidate in cheapest(["gpt-5-mini", "gpt-4.1-nano", "gpt-4.1"], for_usage=calls, scores=scores, at_least=0.85):
    saving = candidate.saving.same_caching if candidate.saving else "?"
    print(f"{candidate.model}: saves ${saving}, quality {candidate.quality}, adequate: {candidate.adequate}")
