"""Reading an answer: usage, model, id, finish reasons and tool calls, wherever an integration of LangChain puts them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from langmeter import semconv
from langmeter.boundary import swallow
from langmeter.events import ModelResponse, ReportedUsage, ToolCall
from langmeter.langchain.names import LONGEST, clean, name_in
from langmeter.pricing.usage import reported_usage

if TYPE_CHECKING:
    from uuid import UUID

_EMPTY: Final[Mapping[str, Any]] = {}
# How LangChain names a message without an id after the run that made it, and how it did before 1.0, which stored answers
# keep: the prefix, the run id, and `-<index>` if it came from `generate`.
_RUN_PREFIXES: Final = ("lc_run--", "run--", "run-")
_RUN_ID_LENGTH: Final = 36

# Provider value -> the conventions' finish reason; anything else passes through in lower case.
_FINISH_REASONS: Final = {
    "end_turn": semconv.FINISH_STOP,
    "stop_sequence": semconv.FINISH_STOP,
    "complete": semconv.FINISH_STOP,
    "completed": semconv.FINISH_STOP,
    "eos": semconv.FINISH_STOP,
    "eos_token": semconv.FINISH_STOP,
    "max_tokens": semconv.FINISH_LENGTH,
    "max_output_tokens": semconv.FINISH_LENGTH,
    "model_length": semconv.FINISH_LENGTH,
    "tool_calls": semconv.FINISH_TOOL_CALL,
    "tool_use": semconv.FINISH_TOOL_CALL,
    "function_call": semconv.FINISH_TOOL_CALL,
    "refusal": semconv.FINISH_CONTENT_FILTER,
    "safety": semconv.FINISH_CONTENT_FILTER,
    "prohibited_content": semconv.FINISH_CONTENT_FILTER,
    "blocklist": semconv.FINISH_CONTENT_FILTER,
    "guardrail_intervened": semconv.FINISH_CONTENT_FILTER,
    "content_filtered": semconv.FINISH_CONTENT_FILTER,
    "malformed_function_call": semconv.FINISH_ERROR,
}
_FINISH_KEYS: Final = ("finish_reason", "stop_reason", "stopReason", "done_reason")
_TIER_KEYS: Final = ("service_tier",)
_FINGERPRINT_KEYS: Final = ("system_fingerprint",)
_ID_KEYS: Final = ("id", "request_id")
_MODEL_KEYS: Final = ("model_name", "model", "model_id")
# Text models have no normalised usage; these are the spellings of the providers' own counts.
_INPUT_KEYS: Final = ("input_tokens", "prompt_tokens", "prompt_token_count", "prompt_eval_count", "input_token_count")
_CACHE_KEYS: Final = (("cache_read_input_tokens",), ("cache_creation_input_tokens", "cache_write_input_tokens"))
_OUTPUT_KEYS: Final = (
    "output_tokens",
    "completion_tokens",
    "candidates_token_count",
    "eval_count",
    "generated_token_count",
    "generated_tokens",
)


def read(result: Any) -> ModelResponse:
    """The response of one prompt. `result.generations` is a list of choices, or a list holding that list.

    With several choices the facts of the whole answer are read off the first.
    """
    choices = _choices(result)
    output = _mapping(getattr(result, "llm_output", None))
    metadata = [_facts(choice) for choice in choices]
    facts = metadata[0] if metadata else _EMPTY
    try:
        usage = _usage(choices, output, metadata)
    except Exception as error:  # noqa: BLE001  (the boundary: the usage is lost, the rest of the answer is not)
        swallow("usage", error)
        usage = ReportedUsage()
    return ModelResponse(
        usage,
        _first_name(output, facts, _MODEL_KEYS),
        _response_id(choices, output, facts),
        _finish_reasons(choices, metadata),
        _tool_calls(choices),
        _first_name(facts, output, _TIER_KEYS),
        _first_name(facts, output, _FINGERPRINT_KEYS),
        _api_type(facts),
        _counted_elsewhere(choices, output, usage),
        _maker(choices),
    )


def made_by(result: Any, run_ids: tuple[UUID | None, ...]) -> bool:
    """Whether one of these runs made the answer, as far as the name of its first message tells."""
    maker = _maker(_choices(result))
    return maker is not None and any(maker == str(run_id) for run_id in run_ids)


def is_closing(token: Any, chunk: Any) -> bool:
    """True for the empty chunk that LangChain adds itself to close a stream."""
    return not token and getattr(getattr(chunk, "message", None), "chunk_position", None) == "last"


def read_completion(completion: Any) -> ModelResponse | None:
    """The paid answer inside an exception such as openai's `LengthFinishReasonError`; None if there is none."""
    dump = getattr(getattr(completion, "usage", None), "model_dump", None)
    counts = _provider_counts(_mapping(dump() if callable(dump) else None))
    if counts is None:
        return None
    return ModelResponse(
        reported_usage({**counts, "total_tokens": counts.get("input_tokens", 0) + counts.get("output_tokens", 0)}),
        name_in(getattr(completion, "model", None)),
        name_in(getattr(completion, "id", None)),
    )


def read_partial(result: Any) -> ModelResponse | None:
    """What had arrived before a failure. LangChain adds a generation made of the error's own headers and body: never read."""
    first = next(iter(_choices(result)), None)
    if first is None or not type(first).__name__.endswith("Chunk"):
        return None
    return read(result)


def read_decision(output: Any) -> ModelResponse:
    """The response of a decision model: `output.usage`, `output.model` and `output.request_id`, as mapping or object."""
    usage = _field(output, "usage")
    counts = {
        "input_tokens": _field(usage, "input_tokens"),
        "output_tokens": _field(usage, "output_tokens"),
    }
    for details in ("input_token_details", "output_token_details"):
        if _field(usage, details) is not None:
            counts[details] = _field(usage, details)
    counts = {key: value for key, value in counts.items() if value is not None}
    return ModelResponse(
        reported_usage(counts or None),
        name_in(_field(output, "model")),
        name_in(_field(output, "id")) or name_in(_field(output, "request_id")),
    )


def stored_usage(generations: Any) -> ReportedUsage:
    """The usage kept with an answer that a response cache returned; it must be read before LangChain marks it as free."""
    choices = generations if isinstance(generations, list) else []
    for choice in choices:
        raw = _field(_field(choice, "message"), "usage_metadata")
        if isinstance(raw, Mapping) and raw.keys() - {"total_cost"}:
            return reported_usage({key: value for key, value in raw.items() if key != "total_cost"}, _facts(choice))
    return ReportedUsage()


def read_stored(generations: list[Any]) -> ModelResponse:
    """What an answer from a response cache says about itself, without its usage: it was not used."""
    metadata = [_facts(choice) for choice in generations]
    return ModelResponse(
        model=_first_name(metadata[0], _EMPTY, _MODEL_KEYS) if metadata else None,
        finish_reasons=_finish_reasons(generations, metadata),
    )


def _field(target: Any, name: str) -> Any:
    return target.get(name) if isinstance(target, Mapping) else getattr(target, name, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if type(value) is dict or isinstance(value, Mapping) else _EMPTY


def _choices(result: Any) -> list[Any]:
    generations = getattr(result, "generations", None)
    if not isinstance(generations, list) or not generations:
        return []
    return generations[0] if isinstance(generations[0], list) else generations


def _facts(choice: Any) -> Mapping[str, Any]:
    """The message's response metadata, which LangChain merges the generation's own facts into; for text those facts."""
    message = _mapping(getattr(getattr(choice, "message", None), "response_metadata", None))
    return message or _mapping(getattr(choice, "generation_info", None))


def _first_name(source: Mapping[str, Any], other: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for facts in (source, other):
        for key in keys:
            if key in facts:
                found = name_in(facts[key])
                if found is not None:
                    return found
    return None


def _usage(choices: list[Any], output: Mapping[str, Any], metadata: list[Mapping[str, Any]]) -> ReportedUsage:
    """Usage of the first choice that has any: with several choices each repeats the total."""
    facts = metadata[0] if metadata else _EMPTY
    for choice, own in zip(choices, metadata, strict=True):
        raw = getattr(getattr(choice, "message", None), "usage_metadata", None)
        if isinstance(raw, Mapping) and raw:
            return reported_usage(raw, own)
    for source in (output, facts):
        for key in ("token_usage", "usage", "usage_metadata", "token_count"):
            counts = _provider_counts(_mapping(source.get(key)))
            if counts is not None:
                return reported_usage(counts, facts)
    return reported_usage(_provider_counts(facts), facts)


def _provider_counts(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A provider's own counts, by whatever names, as LangChain's usage mapping; None if there are none."""
    counts: dict[str, Any] = {}
    for name, keys in (("input_tokens", _INPUT_KEYS), ("output_tokens", _OUTPUT_KEYS)):
        value = next((raw[key] for key in keys if isinstance(raw.get(key), int | float)), None)
        if value is not None:
            counts[name] = int(value) if value == value // 1 else value  # Cohere counts in floats
    if not counts:
        return None
    _add_uncounted_cache(counts, raw)
    cached = _mapping(raw.get("prompt_tokens_details")).get("cached_tokens")
    reasoning = _mapping(raw.get("completion_tokens_details")).get("reasoning_tokens")
    if isinstance(cached, int):
        counts.setdefault("input_token_details", {"cache_read": cached})
    if isinstance(reasoning, int):
        counts["output_token_details"] = {"reasoning": reasoning}
    return counts


def _add_uncounted_cache(counts: dict[str, Any], raw: Mapping[str, Any]) -> None:
    """Cached tokens, which Anthropic and Amazon Bedrock leave out of their count of the input; others include them."""
    read, written = (next((raw[key] for key in keys if type(raw.get(key)) is int), 0) for keys in _CACHE_KEYS)
    whole, total = counts.get("input_tokens", 0) + read + written, raw.get("total_tokens")
    is_left_out = "input_tokens" in raw if total is None else total == whole + counts.get("output_tokens", 0)
    if (read or written) and is_left_out:
        counts["input_tokens"] = whole
        counts["input_token_details"] = {"cache_read": read, "cache_creation": written}


def _counted_elsewhere(choices: list[Any], output: Mapping[str, Any], usage: ReportedUsage) -> bool:
    """LangChain gives the usage of a text-model batch to its first prompt and an empty mapping to the others."""
    is_text = bool(choices) and not hasattr(choices[0], "message")
    return is_text and usage.tokens is None and output.get("token_usage") == {}


def _response_id(choices: list[Any], output: Mapping[str, Any], facts: Mapping[str, Any]) -> str | None:
    found = _first_name(facts, output, _ID_KEYS)
    if found is None and choices:
        found = name_in(_message_id(choices))
    return found if _run_named_in(found) is None else None


def _maker(choices: list[Any]) -> str | None:
    """The id of the run that made the answer; None where the provider gave the message an id of its own."""
    return _run_named_in(_message_id(choices))


def _message_id(choices: list[Any]) -> Any:
    return getattr(getattr(choices[0], "message", None), "id", None) if choices else None


def _run_named_in(message_id: Any) -> str | None:
    """The run id that LangChain put in place of a missing message id; None for a provider's own id."""
    if isinstance(message_id, str) and message_id.startswith(_RUN_PREFIXES):
        for prefix in _RUN_PREFIXES:
            if message_id.startswith(prefix):
                return message_id[len(prefix) : len(prefix) + _RUN_ID_LENGTH]
    return None


def _finish_reasons(choices: list[Any], metadata: list[Mapping[str, Any]]) -> tuple[str, ...]:
    """One for each choice, in their order; none at all where a choice has none, because the rest would be out of step."""
    reasons = [_finish_reason(choice, facts) for choice, facts in zip(choices, metadata, strict=True)]
    known = tuple([reason for reason in reasons if reason is not None])
    return known if len(known) == len(reasons) else ()


def _finish_reason(choice: Any, facts: Mapping[str, Any]) -> str | None:
    raw = None
    for key in _FINISH_KEYS:
        raw = facts.get(key)
        if raw:
            break
    if raw is None and facts.get("object") == "response":
        return _responses_api_reason(choice, facts)
    raw = getattr(raw, "value", raw)
    if not isinstance(raw, str) or not raw or len(raw) > LONGEST:
        return None
    lower = clean(raw).lower().rpartition(".")[2]
    return _FINISH_REASONS.get(lower, lower)


def _responses_api_reason(choice: Any, facts: Mapping[str, Any]) -> str | None:
    """OpenAI's Responses API has a status and a reason only for incomplete answers."""
    status = facts.get("status")
    if status == "incomplete":
        why = _mapping(facts.get("incomplete_details")).get("reason")
        return _FINISH_REASONS.get(why, why) if isinstance(why, str) else semconv.FINISH_LENGTH
    if status == "completed":
        return semconv.FINISH_TOOL_CALL if _tool_calls([choice]) else semconv.FINISH_STOP
    return semconv.FINISH_ERROR if status in ("failed", "cancelled") else None


def _tool_calls(choices: list[Any]) -> tuple[ToolCall, ...]:
    calls = []
    for choice in choices:
        raw = getattr(getattr(choice, "message", None), "tool_calls", None)
        for call in raw if isinstance(raw, list) else ():
            name = name_in(_field(call, "name"))
            if name is not None:
                calls.append(ToolCall(name, name_in(_field(call, "id"))))
    return tuple(calls)


def _api_type(facts: Mapping[str, Any]) -> str | None:
    if facts.get("model_provider") != "openai":
        return None
    return "responses" if facts.get("object") == "response" else "chat_completions"
