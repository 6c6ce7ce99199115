"""The contract of every span: names, kinds, attributes, their types, levels and values.

Restated from the OpenTelemetry GenAI conventions as of November 2026, with the names of our own that they do not define.
Names are spelt here on purpose and not taken from `langmeter.semconv`: this is the other opinion.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from opentelemetry.trace import SpanKind

AttributeType = Literal["string", "int", "double", "boolean", "string[]", "content", "text"]
Level = Literal["required", "failed", "located", "asked", "expected", "allowed", "content"]
"""When an attribute is there.

required: always. failed: exactly on spans with status `Error`. located: exactly where there is a `server.address`. asked:
exactly where the scenario says that the request or the application gave it. expected: on every span whose operation
succeeded. allowed: where known. content: only where the user asks for content.
"""


class Attribute(NamedTuple):
    type: AttributeType
    level: Level = "allowed"
    values: tuple[str, ...] = ()
    """The closed list of its values; empty where any is good."""
    providers: tuple[str, ...] = ()
    """The only providers whose spans may have it; empty for all."""


class SpanType(NamedTuple):
    kind: SpanKind
    keyed: str | None
    """The attribute that is in the span's name when it is on the span."""
    at_start: frozenset[str]
    """What a sampler must see: of these, all that the finished span has."""
    attributes: dict[str, Attribute]


MEMORY = ("search_memory", "create_memory", "update_memory", "upsert_memory", "delete_memory")
FINISH_REASONS = ("stop", "length", "tool_call", "content_filter", "error")
OUTPUT_TYPES = ("text", "json", "image", "speech")
CACHE_STATUSES = ("hit", "miss", "error", "bypass")
COST_STATUSES = ("priced", "reported", "cached", "estimated", "allocated", "partial", "unpriced")
SPENT = ("priced", "reported", "estimated", "allocated", "partial")
UNPRICED_REASONS = ("unknown_model", "no_usage", "pricing_unavailable")
ATTRIBUTION = "langchain.attribution."
PROMPT_VARIABLE = "gen_ai.prompt.variable."

_TEXT = Attribute("string")
_COUNT = Attribute("int")
_NUMBER = Attribute("double")
_ASKED = Attribute("string", "asked")
_ERROR = {"error.type": Attribute("string", "failed")}
_SERVER = {"server.address": Attribute("string", "expected"), "server.port": Attribute("int", "located")}
_CONVERSATION = {"gen_ai.conversation.id": _ASKED}
_MESSAGES = {
    "gen_ai.input.messages": Attribute("content", "content"),
    "gen_ai.output.messages": Attribute("content", "content"),
}
_MESSAGES_AND_TOOLS = {
    **_MESSAGES,
    "gen_ai.system_instructions": Attribute("content", "content"),
    "gen_ai.tool.definitions": Attribute("content", "content"),
}
_SAMPLING = {
    "gen_ai.request.temperature": _NUMBER,
    "gen_ai.request.top_p": _NUMBER,
    "gen_ai.request.frequency_penalty": _NUMBER,
    "gen_ai.request.presence_penalty": _NUMBER,
    "gen_ai.request.max_tokens": _COUNT,
    "gen_ai.request.stop_sequences": Attribute("string[]"),
    "gen_ai.request.choice.count": Attribute("int", "asked"),
    "gen_ai.request.seed": Attribute("int", "asked"),
}
_MODALITIES = {
    f"gen_ai.usage.{modality}.{direction}": _COUNT
    for modality in ("text", "image", "audio")
    for direction in ("input_tokens", "output_tokens", "cache_read.input_tokens")
}
_USAGE = {
    "gen_ai.usage.input_tokens": Attribute("int", "expected"),
    "gen_ai.usage.output_tokens": Attribute("int", "expected"),
    "gen_ai.usage.cache_read.input_tokens": _COUNT,
    "gen_ai.usage.cache_write.input_tokens": _COUNT,
    "gen_ai.usage.reasoning.output_tokens": _COUNT,
    "langchain.usage.cache_write_1h.input_tokens": _COUNT,
    **_MODALITIES,
}
# Ours. What belongs together is checked by `checker._cost_rules`.
_COST = {
    "langchain.usage.cost.amount": _NUMBER,
    "langchain.usage.cost.currency": Attribute("string", values=("USD",)),
    "langchain.usage.cost.source": Attribute("string", values=("provider", "local")),
    "langchain.usage.cost.status": Attribute("string", "expected", COST_STATUSES),
    "langchain.usage.cost.input": _NUMBER,
    "langchain.usage.cost.output": _NUMBER,
    "langchain.usage.cost.cache_read": _NUMBER,
    "langchain.usage.cost.cache_write": _NUMBER,
    "langchain.usage.estimated.input_tokens": _COUNT,
    "langchain.usage.estimated.output_tokens": _COUNT,
    "langchain.usage.unpriced.reason": Attribute("string", values=UNPRICED_REASONS),
    "langchain.price.source": _TEXT,
    "langchain.price.version": _TEXT,
    "langchain.price.match": Attribute("string", "expected", ("exact", "dated", "loose", "override", "none")),
    "langchain.price.tier": _TEXT,
    "langchain.price.tier_unmatched": Attribute("boolean"),
}
_RESPONSE_CACHE = {
    "langchain.cache.status": Attribute("string", "asked", CACHE_STATUSES),
    "langchain.cache.type": _TEXT,
    "langchain.cache.error_type": _TEXT,
    "langchain.cache.unreadable": Attribute("boolean"),
    "langchain.cache.time_saved": _NUMBER,
    "langchain.cache.time_saved_from": Attribute("string", values=("original", "model")),
}
_FINGERPRINT = {"langchain.configuration.fingerprint": _TEXT}


def _operation(name: str) -> dict[str, Attribute]:
    return {"gen_ai.operation.name": Attribute("string", "required", (name,))}


def _inference(name: str) -> SpanType:
    return SpanType(
        SpanKind.CLIENT,
        "gen_ai.request.model",
        frozenset(
            ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port")
        ),
        {
            **_operation(name),
            **_ERROR,
            **_SERVER,
            **_CONVERSATION,
            **_SAMPLING,
            **_USAGE,
            **_COST,
            **_RESPONSE_CACHE,
            **_FINGERPRINT,
            **_MESSAGES_AND_TOOLS,
            "gen_ai.provider.name": Attribute("string", "required"),
            "gen_ai.request.model": Attribute("string", "required"),  # known in every scenario
            "gen_ai.output.type": Attribute("string", "asked", OUTPUT_TYPES),
            "gen_ai.prompt.name": _ASKED,
            "gen_ai.prompt.version": _ASKED,
            "gen_ai.request.stream": Attribute("boolean", "asked"),
            "gen_ai.request.top_k": Attribute("int", "asked"),
            "gen_ai.request.reasoning.level": _TEXT,
            "gen_ai.request.previous_response.id": _TEXT,
            "gen_ai.response.id": Attribute("string", "expected"),
            "gen_ai.response.model": Attribute("string", "expected"),
            "gen_ai.response.finish_reasons": Attribute("string[]", "expected", FINISH_REASONS),
            "gen_ai.response.time_to_first_chunk": Attribute("double", "asked"),
            "gen_ai.conversation.compacted": Attribute("boolean"),
            "openai.request.service_tier": Attribute("string", "asked", providers=("openai",)),
            "openai.response.service_tier": Attribute("string", providers=("openai",)),
            "openai.response.system_fingerprint": Attribute("string", providers=("openai",)),
            "openai.api.type": Attribute("string", values=("chat_completions", "responses"), providers=("openai",)),
        },
    )


def _memory(name: str) -> SpanType:
    return SpanType(
        SpanKind.CLIENT,
        None,
        frozenset(("gen_ai.operation.name",)),
        {
            **_operation(name),
            **_ERROR,
            "gen_ai.provider.name": _ASKED,
            "gen_ai.memory.store.id": _ASKED,
            "gen_ai.memory.record.id": _ASKED,
            "gen_ai.memory.record.count": Attribute("int", "expected"),
            "server.address": _TEXT,
            "server.port": Attribute("int", "located"),
            "gen_ai.memory.query.text": Attribute("text", "content"),
            "gen_ai.memory.records": Attribute("content", "content"),
        },
    )


SPANS: dict[str, SpanType] = {
    "chat": _inference("chat"),
    "text_completion": _inference("text_completion"),
    "embeddings": SpanType(
        SpanKind.CLIENT,
        "gen_ai.request.model",
        frozenset(
            ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "server.address", "server.port")
        ),
        {
            **_operation("embeddings"),
            **_ERROR,
            **_SERVER,
            **_COST,
            **_RESPONSE_CACHE,
            **_FINGERPRINT,
            "gen_ai.provider.name": Attribute("string", "required"),
            "gen_ai.request.model": Attribute("string", "required"),
            "gen_ai.response.model": Attribute("string", "expected"),
            "gen_ai.usage.input_tokens": Attribute("int", "expected"),
            "gen_ai.embeddings.dimension.count": Attribute("int", "expected"),
            "gen_ai.request.encoding_formats": Attribute("string[]", "expected"),
        },
    ),
    "retrieval": SpanType(
        SpanKind.CLIENT,
        "gen_ai.data_source.id",
        frozenset(("gen_ai.operation.name", "gen_ai.data_source.id", "gen_ai.provider.name", "gen_ai.request.model")),
        {
            **_operation("retrieval"),
            **_ERROR,
            "gen_ai.data_source.id": _ASKED,
            "gen_ai.provider.name": _ASKED,
            "gen_ai.request.model": _ASKED,
            "gen_ai.retrieval.top_k": _COUNT,
            "server.address": _TEXT,
            "server.port": Attribute("int", "located"),
            "gen_ai.retrieval.query.text": Attribute("text", "content"),
            "gen_ai.retrieval.documents": Attribute("content", "content"),
        },
    ),
    "execute_tool": SpanType(
        SpanKind.INTERNAL,
        "gen_ai.tool.name",
        frozenset(("gen_ai.operation.name", "gen_ai.tool.name", "gen_ai.tool.type", "gen_ai.agent.name")),
        {
            **_operation("execute_tool"),
            **_ERROR,
            **_CONVERSATION,
            "gen_ai.tool.name": Attribute("string", "required"),
            "gen_ai.agent.name": _ASKED,
            "gen_ai.tool.type": Attribute("string", "required", ("function",)),  # every tool of LangChain's is one
            "gen_ai.tool.call.id": _ASKED,
            "gen_ai.tool.description": _TEXT,
            "gen_ai.tool.call.arguments": Attribute("content", "content"),
            "gen_ai.tool.call.result": Attribute("content", "content"),
        },
    ),
    "invoke_agent": SpanType(
        SpanKind.INTERNAL,
        "gen_ai.agent.name",
        frozenset(("gen_ai.operation.name", "gen_ai.agent.name", "gen_ai.request.model")),
        {
            **_operation("invoke_agent"),
            **_ERROR,
            **_CONVERSATION,
            **_SAMPLING,
            **_FINGERPRINT,
            **_MESSAGES_AND_TOOLS,
            "gen_ai.agent.name": _ASKED,
            "gen_ai.agent.description": _ASKED,
            "gen_ai.data_source.id": _ASKED,
            "gen_ai.output.type": Attribute("string", "asked", OUTPUT_TYPES),
            "gen_ai.request.model": _TEXT,
            "gen_ai.response.finish_reasons": Attribute("string[]", "allowed", FINISH_REASONS),
            "gen_ai.usage.input_tokens": _COUNT,
            "gen_ai.usage.output_tokens": _COUNT,
        },
    ),
    "invoke_workflow": SpanType(
        SpanKind.INTERNAL,
        "gen_ai.workflow.name",
        frozenset(("gen_ai.operation.name", "gen_ai.workflow.name")),
        {
            **_operation("invoke_workflow"),
            **_ERROR,
            **_CONVERSATION,
            **_FINGERPRINT,
            **_MESSAGES,
            "gen_ai.workflow.name": _ASKED,
        },
    ),
    **{name: _memory(name) for name in MEMORY},
}
"""By `gen_ai.operation.name`. An attribute that is not in a row is forbidden there."""

NO_NAMES_OF_WORKFLOWS = (
    "LangGraph",
    "StateGraph",
    "RunnableSequence",
    "RunnableLambda",
    "RunnableParallel",
    "RunnableWithFallbacks",
    "RunnableRetry",
    "ChatOpenAI",
    "ChatAnthropic",
)
"""Names of types and constants: the application chose none of them."""

OPERATIONS_WITH_PRICES = ("chat", "text_completion", "embeddings")
INFERENCE = ("chat", "text_completion")
