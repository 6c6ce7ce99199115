"""Every metric: its name, kind, unit, description and buckets."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from langmeter.semconv.attributes import ESTIMATED_INPUT_TOKENS, ESTIMATED_OUTPUT_TOKENS, NAMESPACE

# -- buckets ---------------------------------------------------------------------------------------------------------
DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS: Final = tuple(4**n for n in range(14))
AGENT_BUCKETS: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 102.4, 204.8, 409.6)
WORKFLOW_BUCKETS: Final = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)
COUNT_BUCKETS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
RATE_BUCKETS: Final = (1, 2, 5, 10, 20, 40, 60, 80, 100, 150, 200, 300, 500, 1000)
COST_BUCKETS: Final = (0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 50)
LOOKUP_BUCKETS: Final = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1)


class Metric(NamedTuple):
    """One instrument: a `counter` is a running total behind an observable counter, a `histogram` is recorded directly.

    A `gauge` is observed.
    """

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    description: str
    buckets: tuple[float, ...] = ()


_TOKEN: Final = "{token}"  # noqa: S105  (a unit)
_REQUEST: Final = "{request}"
_USD: Final = "{USD}"
_INFERENCE: Final = "gen_ai.client.inference"

INFERENCE_DURATION = Metric(f"{_INFERENCE}.duration", "histogram", "s", "Duration of a model call.", DURATION_BUCKETS)
INFERENCE_TIME_TO_FIRST_CHUNK = Metric(
    f"{_INFERENCE}.time_to_first_chunk",
    "histogram",
    "s",
    "Time until the first chunk of a streamed answer.",
    DURATION_BUCKETS,
)
INFERENCE_TIME_PER_OUTPUT_CHUNK = Metric(
    f"{_INFERENCE}.time_per_output_chunk",
    "histogram",
    "s",
    "Time between two chunks of a streamed answer.",
    DURATION_BUCKETS,
)
INFERENCE_INPUT_TOKENS = Metric(
    f"{_INFERENCE}.usage.input_tokens", "counter", _TOKEN, "Input tokens spent, cached ones included."
)
INFERENCE_OUTPUT_TOKENS = Metric(
    f"{_INFERENCE}.usage.output_tokens", "counter", _TOKEN, "Output tokens spent, reasoning included."
)
INFERENCE_CACHE_READ_TOKENS = Metric(
    f"{_INFERENCE}.usage.cache_read.input_tokens",
    "counter",
    _TOKEN,
    "Input tokens read from the provider's prompt cache.",
)
INFERENCE_CACHE_WRITE_TOKENS = Metric(
    f"{_INFERENCE}.usage.cache_write.input_tokens",
    "counter",
    _TOKEN,
    "Input tokens written to the provider's prompt cache.",
)
INFERENCE_REASONING_TOKENS = Metric(
    f"{_INFERENCE}.usage.reasoning.output_tokens", "counter", _TOKEN, "Output tokens spent on reasoning."
)
INFERENCE_INPUT_TOKENS_PER_CALL = Metric(
    f"{_INFERENCE}.operation.input_tokens", "histogram", _TOKEN, "Input tokens of one model call.", TOKEN_BUCKETS
)
INFERENCE_OUTPUT_TOKENS_PER_CALL = Metric(
    f"{_INFERENCE}.operation.output_tokens", "histogram", _TOKEN, "Output tokens of one model call.", TOKEN_BUCKETS
)

EMBEDDINGS_DURATION = Metric(
    "gen_ai.client.embeddings.duration", "histogram", "s", "Duration of an embeddings call.", DURATION_BUCKETS
)
EMBEDDINGS_INPUT_TOKENS_PER_CALL = Metric(
    "gen_ai.client.embeddings.operation.input_tokens",
    "histogram",
    _TOKEN,
    "Input tokens of one embeddings call.",
    TOKEN_BUCKETS,
)
OPERATION_DURATION = Metric(
    "gen_ai.client.operation.duration",
    "histogram",
    "s",
    "Duration of a retrieval or of an operation on memory; with the older metric names switched on, of model calls too.",
    DURATION_BUCKETS,
)
TOOL_DURATION = Metric(
    "gen_ai.execute_tool.duration", "histogram", "s", "Duration of one execution of a tool.", DURATION_BUCKETS
)
AGENT_DURATION = Metric(
    "gen_ai.invoke_agent.duration", "histogram", "s", "Duration of one run of an agent.", AGENT_BUCKETS
)
AGENT_INFERENCE_CALLS = Metric(
    "gen_ai.invoke_agent.inference_calls",
    "histogram",
    "{inference_call}",
    "Model calls that one run of an agent issued.",
    COUNT_BUCKETS,
)
AGENT_TOOL_CALLS = Metric(
    "gen_ai.invoke_agent.tool_calls",
    "histogram",
    "{tool_call}",
    "Tools that one run of an agent executed.",
    COUNT_BUCKETS,
)
WORKFLOW_DURATION = Metric(
    "gen_ai.invoke_workflow.duration", "histogram", "s", "Duration of one run of a workflow.", WORKFLOW_BUCKETS
)

EMBEDDINGS_USAGE_INPUT_TOKENS = Metric(
    f"{NAMESPACE}.embeddings.usage.input_tokens", "counter", _TOKEN, "Input tokens spent on embeddings."
)
REQUESTS = Metric(
    f"{NAMESPACE}.inference.requests",
    "counter",
    _REQUEST,
    "Model calls, failed ones included, response-cache hits excluded.",
)
OUTPUT_RATE = Metric(
    f"{NAMESPACE}.inference.output_rate",
    "histogram",
    "{token}/s",
    "Output tokens per second of the whole call.",
    RATE_BUCKETS,
)
GENERATION_RATE = Metric(
    f"{NAMESPACE}.inference.generation_rate",
    "histogram",
    "{token}/s",
    "Output tokens per second after the first chunk of a streamed answer.",
    RATE_BUCKETS,
)
COST = Metric(f"{NAMESPACE}.usage.cost", "counter", _USD, "Money spent on model calls, in US dollars.")
OPERATION_COST = Metric(
    f"{NAMESPACE}.operation.cost", "histogram", _USD, "Cost of one model call, in US dollars.", COST_BUCKETS
)
UNPRICED_REQUESTS = Metric(
    f"{NAMESPACE}.usage.unpriced.requests", "counter", _REQUEST, "Model calls whose price is not known."
)
UNPRICED_TOKENS = Metric(
    f"{NAMESPACE}.usage.unpriced.tokens",
    "counter",
    _TOKEN,
    "Input and output tokens of calls whose price is not known.",
)
ESTIMATED_INPUT = Metric(
    ESTIMATED_INPUT_TOKENS,
    "counter",
    _TOKEN,
    "Input tokens that the provider did not report, as estimated.",
)
ESTIMATED_OUTPUT = Metric(
    ESTIMATED_OUTPUT_TOKENS,
    "counter",
    _TOKEN,
    "Output tokens that the provider did not report, as estimated.",
)
PRICE_AGE = Metric(
    f"{NAMESPACE}.price.age",
    "gauge",
    "s",
    "Age of the data of a price table: since it was fetched, or else since its newest price.",
)
PROMPT_CACHE_SAVED = Metric(
    f"{NAMESPACE}.prompt_cache.saved.cost",
    "counter",
    _USD,
    "What reads from the provider's prompt cache saved, in US dollars.",
)
PROMPT_CACHE_PREMIUM = Metric(
    f"{NAMESPACE}.prompt_cache.premium.cost",
    "counter",
    _USD,
    "What writes to the provider's prompt cache cost on top of plain input, in US dollars.",
)
CACHE_REQUESTS = Metric(
    f"{NAMESPACE}.cache.requests", "counter", _REQUEST, "Model calls by what the configured response cache did."
)
CACHE_LOOKUP_DURATION = Metric(
    f"{NAMESPACE}.cache.lookup.duration",
    "histogram",
    "s",
    "Duration of a look-up in the response cache.",
    LOOKUP_BUCKETS,
)
CACHE_SAVED_INPUT_TOKENS = Metric(
    f"{NAMESPACE}.cache.saved.input_tokens", "counter", _TOKEN, "Input tokens that a response-cache hit did not spend."
)
CACHE_SAVED_OUTPUT_TOKENS = Metric(
    f"{NAMESPACE}.cache.saved.output_tokens",
    "counter",
    _TOKEN,
    "Output tokens that a response-cache hit did not spend.",
)
CACHE_SAVED_COST = Metric(
    f"{NAMESPACE}.cache.saved.cost", "counter", _USD, "Money that a response-cache hit did not spend, in US dollars."
)
CACHE_SAVED_TIME = Metric(
    f"{NAMESPACE}.cache.saved.time",
    "counter",
    "s",
    "Time that response-cache hits saved: what the calls would have taken, less the look-ups.",
)
CACHE_LOST_TIME = Metric(
    f"{NAMESPACE}.cache.lost.time",
    "counter",
    "s",
    "Time that look-ups in the response cache cost: those that found nothing, and hits slower than the call.",
)
CACHE_UNREADABLE_ENTRIES = Metric(
    f"{NAMESPACE}.cache.unreadable.entries",
    "counter",
    "{entry}",
    "Response-cache hits whose answer is the raw text of an entry that the cache could not load.",
)
INSTRUMENTATION_ERRORS = Metric(
    f"{NAMESPACE}.instrumentation.errors", "counter", "{error}", "Exceptions swallowed inside langmeter."
)

# -- the older names, recorded in addition when `Settings.legacy_metrics` is on ------------------------------------------
LEGACY_DURATION = OPERATION_DURATION
LEGACY_TOKENS = Metric(
    "gen_ai.client.token.usage", "histogram", _TOKEN, "Tokens of one model call (older name).", TOKEN_BUCKETS
)
LEGACY_TIME_TO_FIRST_CHUNK = Metric(
    "gen_ai.client.operation.time_to_first_chunk",
    "histogram",
    "s",
    "Time until the first chunk of a streamed answer (older name).",
    DURATION_BUCKETS,
)
LEGACY_TIME_PER_OUTPUT_CHUNK = Metric(
    "gen_ai.client.operation.time_per_output_chunk",
    "histogram",
    "s",
    "Time between two chunks of a streamed answer (older name).",
    DURATION_BUCKETS,
)

METRICS: Final = tuple(dict.fromkeys(value for value in list(globals().values()) if isinstance(value, Metric)))
