"""Raw LangChain values, read once into frozen events. The only place, with `answers.py`, where `Any` and `.get()` chains live.

Each field is isolated: what cannot be read costs that field, never the call.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

from langmeter import semconv
from langmeter.boundary import raised_at, shield, swallow
from langmeter.events import Failure, ModelRequest, ModelResponse, Operation, ParameterValue
from langmeter.langchain import answers
from langmeter.langchain.attribution import NOTHING, Attributed
from langmeter.langchain.names import LONGEST, clean, name_in
from langmeter.langchain.providers import Endpoint, endpoint_in, provider_name
from langmeter.langchain.terms import deployment, pricing_terms

_CONVERSATION_KEYS: Final = ("thread_id", "session_id", "conversation_id")
_FIRST_ERROR_STATUS: Final = 400
_NOT_REACHED: Final = (
    "APIConnectionError",
    "ConnectError",
    "ConnectTimeout",
    "ConnectionRefusedError",
    "ConnectionError",
)
_MODEL_KEYS: Final = ("model", "model_name", "model_id", "deployment_name", "azure_deployment")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _texts(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, str):
        return (clean(value),) if value else None
    texts = tuple(clean(text) for text in value if isinstance(text, str)) if isinstance(value, list | tuple) else ()
    return texts or None


def _choices(value: Any) -> int | None:
    count = _integer(value)
    return None if count == 1 else count


def _effort(value: Any) -> str | None:
    return name_in(value.get("effort")) if isinstance(value, Mapping) else None


def _output_type(value: Any) -> str | None:
    kind = value.get("type") if isinstance(value, Mapping) else None
    if kind == "text":
        return "text"
    return "json" if kind is not None or isinstance(value, type) else None


def _service_tier(value: Any) -> str | None:
    return None if value == "auto" else name_in(value)


# (invocation parameter, attribute, reader); the first that yields a value wins.
_PARAMETERS: Final[dict[str, tuple[str, Callable[[Any], ParameterValue | None]]]] = {
    "temperature": (semconv.REQUEST_TEMPERATURE, _number),
    "top_p": (semconv.REQUEST_TOP_P, _number),
    "top_k": (semconv.REQUEST_TOP_K, _integer),
    "frequency_penalty": (semconv.REQUEST_FREQUENCY_PENALTY, _number),
    "presence_penalty": (semconv.REQUEST_PRESENCE_PENALTY, _number),
    "max_tokens": (semconv.REQUEST_MAX_TOKENS, _integer),
    "max_completion_tokens": (semconv.REQUEST_MAX_TOKENS, _integer),
    "max_output_tokens": (semconv.REQUEST_MAX_TOKENS, _integer),
    "num_predict": (semconv.REQUEST_MAX_TOKENS, _integer),
    "stop": (semconv.REQUEST_STOP_SEQUENCES, _texts),
    "stop_sequences": (semconv.REQUEST_STOP_SEQUENCES, _texts),
    "seed": (semconv.REQUEST_SEED, _integer),
    "random_seed": (semconv.REQUEST_SEED, _integer),
    "n": (semconv.REQUEST_CHOICE_COUNT, _choices),
    "candidate_count": (semconv.REQUEST_CHOICE_COUNT, _choices),
    "reasoning_effort": (semconv.REQUEST_REASONING_LEVEL, name_in),
    "reasoning": (semconv.REQUEST_REASONING_LEVEL, _effort),
    "output_config": (semconv.REQUEST_REASONING_LEVEL, _effort),
    "previous_response_id": (semconv.REQUEST_PREVIOUS_RESPONSE_ID, name_in),
    "response_format": (semconv.OUTPUT_TYPE, _output_type),
    "ls_structured_output_format": (semconv.OUTPUT_TYPE, lambda value: "json" if value else None),
    "service_tier": (semconv.OPENAI_REQUEST_SERVICE_TIER, _service_tier),
}


def model_request(
    operation: Operation,
    *,
    serialized: Any = None,
    metadata: Any = None,
    invocation_params: Any = None,
    options: Any = None,
    endpoint: Endpoint | None = None,
    class_name: str | None = None,
    attributed: Attributed = NOTHING,
) -> ModelRequest:
    """The request of a start callback. `endpoint` and `class_name` come from the model object, where it is known."""
    metadata = metadata if isinstance(metadata, Mapping) else {}
    params = invocation_params if isinstance(invocation_params, Mapping) else {}
    if endpoint is None:
        endpoint = endpoint_in(serialized)
    provider = provider_name(metadata.get("ls_provider"), class_name or _class_name(serialized), endpoint)
    return ModelRequest(
        operation,
        provider,
        _request_model(metadata, params, serialized),
        endpoint.address,
        endpoint.port,
        _parameters(params, options, metadata, provider) + attributed.prompt,
        attributed.span,
        attributed.metric,
        deployment=deployment(params, serialized),
        terms=pricing_terms(params, options, metadata),
    )


def _class_name(serialized: Any) -> str | None:
    path = serialized.get("id") if isinstance(serialized, dict) else None
    return path[-1] if isinstance(path, list) and path and isinstance(path[-1], str) else None


def _request_model(metadata: Mapping[str, Any], params: Mapping[str, Any], serialized: Any) -> str | None:
    found = name_in(metadata.get("ls_model_name"))
    if found is not None and "://" not in found:  # HuggingFaceEndpoint puts its address there
        return found
    arguments = serialized.get("kwargs") if isinstance(serialized, dict) else None
    for source in (params, arguments):
        if isinstance(source, Mapping):
            for key in _MODEL_KEYS:
                found = name_in(source.get(key))
                if found is not None and "://" not in found:
                    return found
    return None


def _parameters(
    params: Mapping[str, Any], options: Any, metadata: Mapping[str, Any], provider: str
) -> tuple[tuple[str, ParameterValue], ...]:
    found: dict[str, ParameterValue] = {}
    try:
        _read_parameters(found, params)
        if isinstance(options, dict):
            _read_parameters(found, options)
        conversation = conversation_id(metadata)
        if conversation is not None:
            found[semconv.CONVERSATION_ID] = conversation
    except Exception as error:  # noqa: BLE001  (the boundary: these fields are lost, the call is not)
        swallow("request parameters", error)
    if provider != "openai":
        found.pop(semconv.OPENAI_REQUEST_SERVICE_TIER, None)
    return tuple(found.items())


def conversation_id(metadata: Mapping[str, Any]) -> str | None:
    """The conversation that a run belongs to, as the application or LangGraph names it; never made up."""
    for key in _CONVERSATION_KEYS:
        if key in metadata:
            raw = metadata[key]
            conversation = name_in(str(raw) if isinstance(raw, int) else raw)
            if conversation is not None:
                return conversation
    return None


def _read_parameters(found: dict[str, ParameterValue], given: Mapping[str, Any]) -> None:
    for key, raw in given.items():
        row = _PARAMETERS.get(key) if raw is not None else None
        if row is not None and row[0] not in found:
            value = row[1](raw)
            if value is not None:
                found[row[0]] = value


def model_response(result: Any) -> ModelResponse:
    """What an `LLMResult` (or a `ChatResult`) of one prompt says about the answer, whatever state it is in."""
    try:
        return answers.read(result)
    except Exception as error:  # noqa: BLE001  (the boundary: the answer is lost, the call is not)
        swallow("model response", error)
        return ModelResponse()


def decision_response(output: Any) -> ModelResponse:
    """What the output of a decision model says: these surface as chains with `run_type="llm"`."""
    with shield("decision response"):
        return answers.read_decision(output)
    return ModelResponse()


def failure(error: BaseException, response: Any = None, *, with_message: bool = False) -> Failure:
    """How a call failed, as text: the exception itself is not kept, it would keep an abandoned generator alive."""
    partial = None
    if response is not None:
        with shield("partial response"):
            partial = answers.read_partial(response)
    with shield("partial response"):
        if partial is None and hasattr(error, "completion"):
            partial = answers.read_completion(error.completion)
    kind = _kind(error)
    message, stack = "", None
    if kind != "abandoned":
        with shield("exception"):
            message = clean(str(error)) if with_message else ""
            stack = _stack(error, with_message=with_message)
    return Failure(kind, error_type(error), message, stack, _is_refusal(error), partial)


def _is_refusal(error: BaseException) -> bool:
    """True when the provider answered with an error status or was never reached; a time-out may still be billed."""
    with shield("exception"):
        status = getattr(error, "status_code", None) or getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(status, int):
            return status >= _FIRST_ERROR_STATUS
        return type(error).__name__ in _NOT_REACHED
    return False


def error_type(error: BaseException) -> str:
    """The fully qualified class name of an exception, builtins bare: the value of `error.type`."""
    cls = type(error)
    name = cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    return clean(name[:LONGEST])


def _kind(error: BaseException) -> Any:
    if isinstance(error, GeneratorExit) or _is_control_flow(error):
        return "abandoned"
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "error"


def _is_control_flow(error: BaseException) -> bool:
    """LangGraph's interrupts and commands travel as exceptions; recognised without importing it."""
    errors = sys.modules.get("langgraph.errors")
    bubble_up = getattr(errors, "GraphBubbleUp", None)
    return isinstance(bubble_up, type) and isinstance(error, bubble_up)


def _stack(error: BaseException, *, with_message: bool) -> str:
    """The stack of an exception; without source lines and message unless asked for, since both may quote secrets."""
    if with_message:
        return clean("".join(traceback.format_exception(error)))
    return raised_at(error)
