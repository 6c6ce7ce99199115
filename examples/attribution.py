"""Spend by tenant and by feature: said once around a request, found on every span inside and on the metrics."""

from collections import Counter

from langchain_openai import ChatOpenAI
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import langmeter
from langmeter.demo.provider import API_KEY, Provider

spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
tracer_provider = TracerProvider()
tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
langmeter.instrument(
    tracer_provider=tracer_provider,
    meter_provider=MeterProvider([reader]),
    attribution_keys=["feature"],
    metric_attribution_keys=["tenant", "feature"],
)

with Provider(speed=0) as provider:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=provider.base_url, api_key=API_KEY)

    # What a web framework's middleware would do: whose request this is. The user stays on spans.
    for user, tenant in [("ada", "acme"), ("bob", "acme"), ("eve", "zenith")]:
        with langmeter.attribution(tenant=tenant, user=user, prompt_name="parcel", prompt_version="2"):
            model.invoke("Where is my parcel?", config={"metadata": {"feature": "tracking"}})

for span in spans.get_finished_spans():
    known = {name.rpartition(".")[2]: value for name, value in span.attributes.items() if ".attribution." in name}
    prompt = f"{span.attributes['gen_ai.prompt.name']} {span.attributes['gen_ai.prompt.version']}"
    print(f"{span.name}: prompt {prompt}, {', '.join(f'{key}={known[key]}' for key in sorted(known))}")

dollars = Counter()
for metric in reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics:
    if metric.name == "langchain.usage.cost":
        for point in metric.data.data_points:
            dollars[point.attributes["langchain.attribution.tenant"]] += point.value
for tenant, amount in sorted(dollars.items()):
    print(f"{tenant}: ${amount:.6f}")
