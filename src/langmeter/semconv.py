"""Every span name, attribute, metric, unit, bucket and enumerated value that langmeter emits.

`gen_ai.*` and `openai.*` follow the OpenTelemetry GenAI conventions as of November 2026 (status: development). What those
do not define (cost, response caches, rates) lives in one namespace of our own. No other module spells a name.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

NAMESPACE: Final = "langchain"
SCOPE_NAME: Final = "langmeter"

# -- operations ------------------------------------------------------------------------------------------------------
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"

# -- general attributes ----------------------------------------------------------------------------------------------
ERROR_TYPE: Final = "error.type"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
ERROR_OTHER: Final = "_OTHER"
EXCEPTION_TYPE: Final = "exception.type"
EXCEPTION_MESSAGE: Final = "exception.message"
EXCEPTION_STACKTRACE: Final = "exception.stacktrace"
EXCEPTION_EVENT: Final = "gen_ai.client.operation.exception"

# -- inference spans -------------------------------------------------------------------------------------------------
OPERATION_NAME: Final = "gen_ai.operation.name"
PROVIDER_NAME: Final = "gen_ai.provider.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
OUTPUT_TYPE: Final = "gen_ai.output.type"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_CHOICE_COUNT: Final = "gen_ai.request.choice.count"
REQUEST_SEED: Final = "gen_ai.request.seed"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TOP_K: Final = "gen_ai.request.top_k"
REQUEST_TOP_P: Final = "gen_ai.request.top_p"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
REQUEST_FREQUENCY_PENALTY: Final = "gen_ai.request.frequency_penalty"
REQUEST_PRESENCE_PENALTY: Final = "gen_ai.request.presence_penalty"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STOP_SEQUENCES: Final = "gen_ai.request.stop_sequences"
REQUEST_REASONING_LEVEL: Final = "gen_ai.request.reasoning.level"
REQUEST_PREVIOUS_RESPONSE_ID: Final = "gen_ai.request.previous_response.id"
RESPONSE_ID: Final = "gen_ai.response.id"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
RESPONSE_TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
OPENAI_REQUEST_SERVICE_TIER: Final = "openai.request.service_tier"
OPENAI_RESPONSE_SERVICE_TIER: Final = "openai.response.service_tier"
OPENAI_RESPONSE_SYSTEM_FINGERPRINT: Final = "openai.response.system_fingerprint"
OPENAI_API_TYPE: Final = "openai.api.type"

USAGE_INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
USAGE_OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
USAGE_CACHE_READ: Final = "gen_ai.usage.cache_read.input_tokens"
USAGE_CACHE_WRITE: Final = "gen_ai.usage.cache_write.input_tokens"
USAGE_CACHE_WRITE_1H: Final = f"{NAMESPACE}.usage.cache_write_1h.input_tokens"
USAGE_REASONING: Final = "gen_ai.usage.reasoning.output_tokens"
USAGE_INPUT_TEXT: Final = "gen_ai.usage.text.input_tokens"
USAGE_INPUT_IMAGE: Final = "gen_ai.usage.image.input_tokens"
USAGE_INPUT_AUDIO: Final = "gen_ai.usage.audio.input_tokens"
USAGE_OUTPUT_TEXT: Final = "gen_ai.usage.text.output_tokens"
USAGE_OUTPUT_IMAGE: Final = "gen_ai.usage.image.output_tokens"
USAGE_OUTPUT_AUDIO: Final = "gen_ai.usage.audio.output_tokens"

TOKEN_MODALITY: Final = "gen_ai.token.modality"  # noqa: S105  (an attribute name)
TOKEN_TYPE: Final = "gen_ai.token.type"  # noqa: S105  (an attribute name; only the older metrics carry it)

# -- our own attributes ----------------------------------------------------------------------------------------------
COST_AMOUNT: Final = f"{NAMESPACE}.usage.cost.amount"
COST_CURRENCY: Final = f"{NAMESPACE}.usage.cost.currency"
COST_SOURCE: Final = f"{NAMESPACE}.usage.cost.source"
COST_STATUS: Final = f"{NAMESPACE}.usage.cost.status"
COST_INPUT: Final = f"{NAMESPACE}.usage.cost.input"
COST_OUTPUT: Final = f"{NAMESPACE}.usage.cost.output"
COST_CACHE_READ: Final = f"{NAMESPACE}.usage.cost.cache_read"
COST_CACHE_WRITE: Final = f"{NAMESPACE}.usage.cost.cache_write"
COST_CATEGORY: Final = f"{NAMESPACE}.usage.cost.category"
ESTIMATED_INPUT_TOKENS: Final = f"{NAMESPACE}.usage.estimated.input_tokens"
ESTIMATED_OUTPUT_TOKENS: Final = f"{NAMESPACE}.usage.estimated.output_tokens"
PRICE_SOURCE: Final = f"{NAMESPACE}.price.source"
PRICE_VERSION: Final = f"{NAMESPACE}.price.version"
PRICE_MATCH: Final = f"{NAMESPACE}.price.match"
PRICE_TIER: Final = f"{NAMESPACE}.price.tier"
PRICE_TIER_UNMATCHED: Final = f"{NAMESPACE}.price.tier_unmatched"
UNPRICED_REASON: Final = f"{NAMESPACE}.usage.unpriced.reason"
CACHE_STATUS: Final = f"{NAMESPACE}.cache.status"
CACHE_TYPE: Final = f"{NAMESPACE}.cache.type"
CACHE_LOOKUP_ERROR: Final = f"{NAMESPACE}.cache.error_type"
CACHE_TIME_SAVED: Final = f"{NAMESPACE}.cache.time_saved"
CACHE_TIME_SAVED_FROM: Final = f"{NAMESPACE}.cache.time_saved_from"
CACHE_UNREADABLE: Final = f"{NAMESPACE}.cache.unreadable"
INSTRUMENTATION_STAGE: Final = f"{NAMESPACE}.instrumentation.stage"
ATTRIBUTION_PREFIX: Final = f"{NAMESPACE}.attribution."

CURRENCY: Final = "USD"
COST_SOURCE_PROVIDER: Final = "provider"
COST_SOURCE_LOCAL: Final = "local"
FOLDED: Final = "__other__"
"""Stands for every attribute value past a bound."""

COST_CATEGORIES: Final = ("input", "cache_read", "cache_write", "output", "other")
MODALITIES: Final = ("text", "image", "audio", "unknown")

# -- finish reasons --------------------------------------------------------------------------------------------------
FINISH_STOP: Final = "stop"
FINISH_LENGTH: Final = "length"
FINISH_TOOL_CALL: Final = "tool_call"
FINISH_CONTENT_FILTER: Final = "content_filter"
FINISH_ERROR: Final = "error"

# -- buckets ---------------------------------------------------------------------------------------------------------
DURATION_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKEN_BUCKETS: Final = tuple(4**n for n in range(14))
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
LEGACY_DURATION = Metric(
    "gen_ai.client.operation.duration", "histogram", "s", "Duration of a model call (older name).", DURATION_BUCKETS
)
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

METRICS: Final = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
