"""What a provider's own response says, read from the recorded body and from nothing else.

Written against the providers' API references and deliberately apart from the package: it is the other opinion.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from langmeter.demo.replay import Exchange


class Usage(NamedTuple):
    """Billed tokens; None where the provider did not say."""

    input: int
    output: int
    cached: int | None = None
    written: int | None = None
    reasoning: int | None = None


class Answer(NamedTuple):
    usage: Usage | None = None
    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    """One per choice, in the provider's spelling."""


def answer(exchange: Exchange) -> Answer:
    """What the provider answered; empty where it refused."""
    if exchange.status != 200:
        return Answer()
    documents = _documents(exchange.response_body)
    for ending, read in _READERS.items():
        if exchange.endpoint.endswith(ending):
            return read(documents)
    raise NotImplementedError(f"no reader for {exchange.endpoint}")


def _documents(body: str) -> list[dict[str, Any]]:
    """The JSON documents of a body: one, or one per event of a stream."""
    try:
        whole = json.loads(body)
    except ValueError:
        lines = (
            line.removeprefix("data:").strip() for line in body.splitlines() if not line.startswith(("event:", ":"))
        )
        return [json.loads(line) for line in lines if line.startswith("{")]
    return whole if isinstance(whole, list) else [whole]


def _last(documents: Iterable[dict[str, Any]], *path: str) -> Any:
    """The last value at a path that is not null; what a reader of a stream ends up with."""
    found = None
    for document in documents:
        value: Any = document
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        found = value if value is not None else found
    return found


def _completions(documents: list[dict[str, Any]]) -> Answer:
    """OpenAI's chat completions and completions, and everything shaped like them."""
    usage = _last(documents, "usage") or _last(documents, "x_groq", "usage")
    reasons: dict[int, str] = {}
    for document in documents:
        for choice in document.get("choices") or ():
            if choice.get("finish_reason"):
                reasons[choice.get("index", 0)] = choice["finish_reason"]
    return Answer(
        usage and _completions_usage(usage),
        _last(documents, "id") or None,
        next((document["model"] for document in reversed(documents) if document.get("model")), None),
        tuple(reason for _, reason in sorted(reasons.items())),
    )


def _completions_usage(usage: dict[str, Any]) -> Usage:
    prompt = usage.get("prompt_tokens_details") or {}
    completion = usage.get("completion_tokens_details") or {}
    return Usage(
        usage.get("prompt_tokens", 0),
        usage.get("completion_tokens", 0),
        prompt.get("cached_tokens", usage.get("num_cached_tokens")),
        None,
        completion.get("reasoning_tokens"),
    )


def _responses(documents: list[dict[str, Any]]) -> Answer:
    """OpenAI's Responses API: the response itself, or the events of a stream whose last one carries it."""
    response = _last(documents, "response") or documents[-1]
    usage = response.get("usage")
    calls = any(item.get("type") == "function_call" for item in response.get("output") or ())
    reasons = {
        "completed": "tool_calls" if calls else "stop",
        "incomplete": (response.get("incomplete_details") or {}).get("reason"),
        "failed": "error",
    }
    reason = reasons.get(response.get("status", ""))
    return Answer(
        usage
        and Usage(
            usage["input_tokens"],
            usage["output_tokens"],
            (usage.get("input_tokens_details") or {}).get("cached_tokens"),
            None,
            (usage.get("output_tokens_details") or {}).get("reasoning_tokens"),
        ),
        response.get("id"),
        response.get("model"),
        (reason,) if reason else (),
    )


def _anthropic(documents: list[dict[str, Any]]) -> Answer:
    """Anthropic's messages: a message, or message_start with the input and message_delta with cumulative counts."""
    message = _last(documents, "message") or documents[0]
    usage = {**(message.get("usage") or {}), **(_last(documents, "usage") or {})}
    reason = _last(documents, "delta", "stop_reason") or message.get("stop_reason")
    return Answer(_anthropic_usage(usage), message.get("id"), message.get("model"), (reason,) if reason else ())


def _anthropic_usage(usage: dict[str, Any]) -> Usage | None:
    if not usage:
        return None
    cached, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    return Usage(
        (usage.get("input_tokens") or 0) + (cached or 0) + (written or 0),
        usage.get("output_tokens") or 0,
        cached,
        written,
        (usage.get("output_tokens_details") or {}).get("thinking_tokens"),
    )


def _cohere(documents: list[dict[str, Any]]) -> Answer:
    """Cohere's v2 chat. What is billed may be less than what was used."""
    usage = _last(documents, "usage") or _last(documents, "delta", "usage")
    billed = (usage or {}).get("billed_units")
    reason = _last(documents, "finish_reason") or _last(documents, "delta", "finish_reason")
    return Answer(
        billed and Usage(int(billed["input_tokens"]), int(billed["output_tokens"]), _whole(usage.get("cached_tokens"))),
        _last(documents, "id"),
        None,
        (reason,) if reason else (),
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _ollama(documents: list[dict[str, Any]]) -> Answer:
    """Ollama: counts stand in the last document; an input count of a fully cached prompt is left out."""
    last = documents[-1]
    counted = "eval_count" in last
    reason = last.get("done_reason")
    return Answer(
        Usage(last.get("prompt_eval_count", 0), last["eval_count"]) if counted else None,
        None,
        last.get("model"),
        (reason,) if reason else (),
    )


def _gemini(documents: list[dict[str, Any]]) -> Answer:
    """Google's generateContent: thoughts are billed as output and not part of the candidates' count."""
    usage = _last(documents, "usageMetadata")
    reasons: dict[int, str] = {}
    for document in documents:
        for candidate in document.get("candidates") or ():
            if candidate.get("finishReason"):
                reasons[candidate.get("index", 0)] = candidate["finishReason"]
    return Answer(
        usage
        and Usage(
            usage.get("promptTokenCount", 0) + usage.get("toolUsePromptTokenCount", 0),
            usage.get("candidatesTokenCount", 0) + usage.get("thoughtsTokenCount", 0),
            usage.get("cachedContentTokenCount"),
            None,
            usage.get("thoughtsTokenCount"),
        ),
        _last(documents, "responseId"),
        _last(documents, "modelVersion"),
        tuple(reason for _, reason in sorted(reasons.items())),
    )


_READERS: dict[str, Callable[[list[dict[str, Any]]], Answer]] = {
    "/v1/messages": _anthropic,
    "/responses": _responses,
    "/completions": _completions,
    "/v2/chat": _cohere,
    "/api/chat": _ollama,
    "/api/generate": _ollama,
    "enerateContent": _gemini,
}
