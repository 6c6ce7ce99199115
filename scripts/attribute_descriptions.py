"""What the documentation says of each attribute; the names themselves come from `langmeter.semconv`, by constant."""

from __future__ import annotations

from typing import NamedTuple

from langmeter import semconv


class Attribute(NamedTuple):
    """One row of the table of attributes."""

    type: str
    carriers: str
    """The kinds of signal that have it."""
    meaning: str


_BOTH = "spans, metrics"
_SPANS = "spans"
_METRICS = "metrics"
_CONTENT = "content"

ATTRIBUTES = {
    "ERROR_TYPE": Attribute(
        "string", _BOTH, "Class of the exception, or why the call ended; only on calls that failed."
    ),
    "SERVER_ADDRESS": Attribute("string", _BOTH, "Host of the endpoint that the model is configured with."),
    "SERVER_PORT": Attribute("int", _BOTH, "Port of that endpoint."),
    "EXCEPTION_TYPE": Attribute("string", "events", "Class of the exception."),
    "EXCEPTION_MESSAGE": Attribute("string", "events", "Its message; only with `exception_messages`."),
    "EXCEPTION_STACKTRACE": Attribute("string", "events", "Its stack frames."),
    "OPERATION_NAME": Attribute("string", _BOTH, "What is done: `chat`, `embeddings`, `execute_tool`, …"),
    "PROVIDER_NAME": Attribute("string", _BOTH, "Who serves the model; `unknown` if nothing tells."),
    "CONVERSATION_ID": Attribute(
        "string", _SPANS, "Thread or session that the application named in the run's metadata."
    ),
    "OUTPUT_TYPE": Attribute("string", _SPANS, "Output format that the request asks for."),
    "EMBEDDINGS_DIMENSION_COUNT": Attribute("int", _SPANS, "Dimensions asked for."),
    "REQUEST_ENCODING_FORMATS": Attribute("string[]", _SPANS, "Encoding of embeddings asked for."),
    "DATA_SOURCE_ID": Attribute("string", _SPANS, "Index or collection that a retriever searches."),
    "RETRIEVAL_TOP_K": Attribute("int", _SPANS, "Documents asked for."),
    "TOOL_NAME": Attribute("string", _BOTH, "Name of the tool."),
    "TOOL_TYPE": Attribute("string", _BOTH, "`function`."),
    "TOOL_CALL_ID": Attribute("string", _SPANS, "The model's id of the tool call."),
    "TOOL_DESCRIPTION": Attribute("string", _SPANS, "Description of the tool, at most 1,024 characters."),
    "AGENT_NAME": Attribute("string", _BOTH, "Name of the agent; on tools, of the agent that executes them."),
    "WORKFLOW_NAME": Attribute("string", _BOTH, "Name that the application gave to a graph or an outermost chain."),
    "MEMORY_RECORD_ID": Attribute("string", _SPANS, "Key of the one record of a memory operation."),
    "MEMORY_RECORD_COUNT": Attribute("int", _SPANS, "Records that were found, or written."),
    "PROMPT_NAME": Attribute("string", _SPANS, "Name of the prompt template, where the application gave one."),
    "PROMPT_VERSION": Attribute("string", _SPANS, "Its version."),
    "REQUEST_MODEL": Attribute("string", _BOTH, "Model as asked for."),
    "REQUEST_CHOICE_COUNT": Attribute("int", _SPANS, "Answers asked for, when not 1."),
    "REQUEST_SEED": Attribute("int", _SPANS, "Seed in the request."),
    "REQUEST_STREAM": Attribute("boolean", _SPANS, "`true` for a streamed call; else absent."),
    "REQUEST_TOP_K": Attribute("int", _SPANS, "Top-k of sampling in the request."),
    "REQUEST_TOP_P": Attribute("double", _SPANS, "Top-p of sampling in the request."),
    "REQUEST_TEMPERATURE": Attribute("double", _SPANS, "Temperature in the request."),
    "REQUEST_FREQUENCY_PENALTY": Attribute("double", _SPANS, "Frequency penalty in the request."),
    "REQUEST_PRESENCE_PENALTY": Attribute("double", _SPANS, "Presence penalty in the request."),
    "REQUEST_MAX_TOKENS": Attribute("int", _SPANS, "Limit on output tokens in the request."),
    "REQUEST_STOP_SEQUENCES": Attribute("string[]", _SPANS, "Stop sequences in the request."),
    "REQUEST_REASONING_LEVEL": Attribute("string", _SPANS, "Reasoning effort in the request, as spelt there."),
    "REQUEST_PREVIOUS_RESPONSE_ID": Attribute("string", _SPANS, "Stored response that the request continues."),
    "RESPONSE_ID": Attribute("string", _SPANS, "The provider's id of the answer."),
    "RESPONSE_MODEL": Attribute("string", _BOTH, "Exact model that answered."),
    "RESPONSE_FINISH_REASONS": Attribute("string[]", _SPANS, "Why each choice ended."),
    "RESPONSE_TIME_TO_FIRST_CHUNK": Attribute("double", _SPANS, "Seconds until the first chunk of a streamed answer."),
    "OPENAI_REQUEST_SERVICE_TIER": Attribute("string", _SPANS, "Service tier in the request."),
    "OPENAI_RESPONSE_SERVICE_TIER": Attribute(
        "string", _BOTH, "Service tier that served the answer; provider `openai` only."
    ),
    "OPENAI_RESPONSE_SYSTEM_FINGERPRINT": Attribute("string", _SPANS, "Fingerprint of the provider's configuration."),
    "OPENAI_API_TYPE": Attribute("string", _SPANS, "`chat_completions` or `responses`."),
    "USAGE_INPUT_TOKENS": Attribute(
        "int", _SPANS, "Billed input tokens, cached and cache-written ones included; 0 on a response-cache hit."
    ),
    "USAGE_OUTPUT_TOKENS": Attribute(
        "int", _SPANS, "Billed output tokens, reasoning included; 0 on a response-cache hit."
    ),
    "USAGE_CACHE_READ": Attribute("int", _SPANS, "Part of the input read from the provider's prompt cache."),
    "USAGE_CACHE_WRITE": Attribute("int", _SPANS, "Part of the input written to the provider's prompt cache."),
    "USAGE_CACHE_WRITE_1H": Attribute(
        "int",
        _SPANS,
        "The part of the written tokens that is kept for an hour, which some providers bill at its own rate.",
    ),
    "USAGE_REASONING": Attribute("int", _SPANS, "Part of the output spent on reasoning."),
    "USAGE_INPUT_TEXT": Attribute("int", _SPANS, "Text part of the input, where the provider says."),
    "USAGE_INPUT_IMAGE": Attribute("int", _SPANS, "Image part of the input, where the provider says."),
    "USAGE_INPUT_AUDIO": Attribute("int", _SPANS, "Audio part of the input, where the provider says."),
    "USAGE_OUTPUT_TEXT": Attribute("int", _SPANS, "Text part of the output, where the provider says."),
    "USAGE_OUTPUT_IMAGE": Attribute("int", _SPANS, "Image part of the output, where the provider says."),
    "USAGE_OUTPUT_AUDIO": Attribute("int", _SPANS, "Audio part of the output, where the provider says."),
    "TOKEN_MODALITY": Attribute(
        "string", _METRICS, "`text`, `image`, `audio` or `unknown`; the parts add up to the total."
    ),
    "TOKEN_TYPE": Attribute("string", "older metrics", "`input` or `output`."),
    "INPUT_MESSAGES": Attribute("JSON", _CONTENT, "Messages that were sent, in their order; see content.md."),
    "OUTPUT_MESSAGES": Attribute("JSON", _CONTENT, "Messages that were answered, one for each choice."),
    "SYSTEM_INSTRUCTIONS": Attribute("JSON", _CONTENT, "Instructions that were sent apart from the messages."),
    "TOOL_DEFINITIONS": Attribute(
        "JSON", _CONTENT, "Tools that the model may call: names and types, more with `tool_definitions=full`."
    ),
    "PROMPT_VARIABLE_PREFIX": Attribute(
        "string", _CONTENT, "Prefix of the variables that the prompt before the call was filled with."
    ),
    "TOOL_CALL_ARGUMENTS": Attribute("JSON", _CONTENT, "Arguments of an executed tool, as an object."),
    "TOOL_CALL_RESULT": Attribute("JSON", _CONTENT, "Its result, as an object."),
    "RETRIEVAL_QUERY_TEXT": Attribute("string", _CONTENT, "Text that a retriever was asked for."),
    "RETRIEVAL_DOCUMENTS": Attribute("JSON", _CONTENT, "Ids and scores of what it found; not the text."),
    "MEMORY_QUERY_TEXT": Attribute("string", _CONTENT, "Text that a memory was searched for."),
    "MEMORY_RECORDS": Attribute("JSON", _CONTENT, "Records found in a memory, or written to it."),
    "COST_AMOUNT": Attribute("double", _SPANS, "Cost of the call; absent when unpriced."),
    "COST_CURRENCY": Attribute("string", _SPANS, "Always `USD`."),
    "COST_SOURCE": Attribute("string", _SPANS, "`provider` if the answer said what it cost, `local` if computed here."),
    "COST_STATUS": Attribute(
        "string",
        _BOTH,
        "`priced`, `reported`, `cached`, `estimated`, `allocated`, `partial` or `unpriced`; the last never with money.",
    ),
    "COST_INPUT": Attribute("double", _SPANS, "Part of the cost for plain input."),
    "COST_OUTPUT": Attribute("double", _SPANS, "Part of the cost for output."),
    "COST_CACHE_READ": Attribute("double", _SPANS, "Part of the cost for reads from the provider's prompt cache."),
    "COST_CACHE_WRITE": Attribute("double", _SPANS, "Part of the cost for writes to the provider's prompt cache."),
    "COST_CATEGORY": Attribute(
        "string", _METRICS, "`input`, `cache_read`, `cache_write`, `output` or `other`; the parts add up to the total."
    ),
    "ESTIMATED_INPUT_TOKENS": Attribute(
        "int", _SPANS, "Input tokens as estimated, where the provider reported no usage; also the name of a counter."
    ),
    "ESTIMATED_OUTPUT_TOKENS": Attribute(
        "int",
        _SPANS,
        "Output tokens as estimated, beyond those that the provider reported; also the name of a counter.",
    ),
    "PRICE_SOURCE": Attribute("string", _SPANS, "Price table that was used."),
    "PRICE_VERSION": Attribute("string", _SPANS, "Its version."),
    "PRICE_MATCH": Attribute(
        "string", _SPANS, "How the model was found there: `exact`, `dated`, `loose`, `override` or `none`."
    ),
    "PRICE_TIER": Attribute("string", _SPANS, "Service tier that was priced, when not the standard one."),
    "PRICE_TIER_UNMATCHED": Attribute(
        "boolean", _SPANS, "`true` when the table has no row for the tier and the standard price was used."
    ),
    "UNPRICED_REASON": Attribute("string", _BOTH, "`unknown_model`, `no_usage` or `pricing_unavailable`."),
    "CACHE_STATUS": Attribute("string", _BOTH, "What the response cache did: `hit`, `miss`, `error` or `bypass`."),
    "CACHE_TYPE": Attribute("string", _BOTH, "Kind of response cache: `in_memory`, `sqlite`, `redis`, …"),
    "CACHE_LOOKUP_ERROR": Attribute(
        "string", _SPANS, "Class of the exception of a look-up that failed, also where the cache kept it to itself."
    ),
    "CACHE_TIME_SAVED": Attribute(
        "double", _SPANS, "Seconds that a hit saved: what the call would have taken, less the look-up; may be negative."
    ),
    "CACHE_TIME_SAVED_FROM": Attribute(
        "string", _SPANS, "`original`: from the time of the call that was stored; `model`: from the means of its model."
    ),
    "CACHE_UNREADABLE": Attribute(
        "boolean", _SPANS, "`true` where the cache could not load the stored answer and gave its raw text."
    ),
    "INSTRUMENTATION_STAGE": Attribute("string", _METRICS, "Where in langmeter an exception was swallowed."),
    "CONFIGURATION_FINGERPRINT": Attribute(
        "string",
        _SPANS,
        "Fingerprint of what `langmeter.describe` says about the object at work; only with `describe`.",
    ),
    "ATTRIBUTION_PREFIX": Attribute(
        "string", _BOTH, "Prefix of attribution keys; on metrics only for keys that are allowed there."
    ),
}

_NOT_ATTRIBUTES = frozenset({"SCOPE_NAME", "NAMESPACE", "EXCEPTION_EVENT", "DETAILS_EVENT"})


def attribute_names() -> dict[str, str]:
    """The attributes that `semconv` defines: constant -> name, in its order.

    Raises:
        LookupError: an attribute is described and not defined, or defined and not described; the message names it.
    """
    found = {
        constant: value
        for constant, value in vars(semconv).items()
        if constant[0] != "_"
        and constant.isupper()
        and isinstance(value, str)
        and "." in value
        and constant not in _NOT_ATTRIBUTES
    }
    if odd := sorted(found.keys() ^ ATTRIBUTES.keys()):
        fix = "describe what was added, drop what went"
        raise LookupError(f"semconv and scripts/attribute_descriptions.py disagree on {', '.join(odd)}: {fix}")
    return found
