"""The names of operations, attributes and events, and the values that are enumerated."""

from __future__ import annotations

from typing import Final

NAMESPACE: Final = "langchain"
SCOPE_NAME: Final = "langmeter"

# -- operations ------------------------------------------------------------------------------------------------------
CHAT: Final = "chat"
TEXT_COMPLETION: Final = "text_completion"
EMBEDDINGS: Final = "embeddings"
RETRIEVAL: Final = "retrieval"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_AGENT: Final = "invoke_agent"
INVOKE_WORKFLOW: Final = "invoke_workflow"

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

# -- embeddings, retrieval, tools, agents, workflows -----------------------------------------------------------------
EMBEDDINGS_DIMENSION_COUNT: Final = "gen_ai.embeddings.dimension.count"
REQUEST_ENCODING_FORMATS: Final = "gen_ai.request.encoding_formats"
DATA_SOURCE_ID: Final = "gen_ai.data_source.id"
RETRIEVAL_TOP_K: Final = "gen_ai.retrieval.top_k"
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
AGENT_NAME: Final = "gen_ai.agent.name"
WORKFLOW_NAME: Final = "gen_ai.workflow.name"
PROMPT_NAME: Final = "gen_ai.prompt.name"
PROMPT_VERSION: Final = "gen_ai.prompt.version"

TOOL_TYPE_FUNCTION: Final = "function"
UNKNOWN: Final = "unknown"
"""Where an attribute is required and nothing tells its value."""

# -- content: recorded only where the user asks for it ---------------------------------------------------------------
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
PROMPT_VARIABLE_PREFIX: Final = "gen_ai.prompt.variable."
TOOL_CALL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_CALL_RESULT: Final = "gen_ai.tool.call.result"
RETRIEVAL_QUERY_TEXT: Final = "gen_ai.retrieval.query.text"
RETRIEVAL_DOCUMENTS: Final = "gen_ai.retrieval.documents"
DETAILS_EVENT: Final = "gen_ai.client.inference.operation.details"

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
CONFIGURATION_FINGERPRINT: Final = f"{NAMESPACE}.configuration.fingerprint"

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
