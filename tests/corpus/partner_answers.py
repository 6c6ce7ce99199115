"""Answers in the shapes that the providers document, with numbers that tell every field apart. Written by hand.

Bodies as they travel: `json_body` for a plain answer, `events` for server-sent events, `aws_events` for Amazon's own framing.
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import Any


def json_body(document: Any) -> bytes:
    return json.dumps(document).encode()


def events(*documents: Any, done: bool = True, named: bool = False) -> bytes:
    """Server-sent events; `named` writes each document's type as its event's name, as Anthropic and OpenAI do."""
    lines = [
        (f"event: {document['type']}\n" if named else "") + f"data: {json.dumps(document)}\n\n"
        for document in documents
    ]
    return "".join([*lines, "data: [DONE]\n\n"] if done else lines).encode()


def aws_events(*documents: tuple[str, Any]) -> bytes:
    """Amazon's event stream: length, length of headers, checksum, headers, payload, checksum."""
    return b"".join(_aws_event(name, json.dumps(document).encode()) for name, document in documents)


def _aws_event(name: str, payload: bytes) -> bytes:
    fields = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    headers = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in fields.items()
    )
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return message + struct.pack(">I", zlib.crc32(message))


# -- OpenAI's chat completions, and everything shaped like them ---------------------------------------------------------


def completion(usage: dict[str, Any], *, model: str = "gpt-5-2025-08-07", **more: Any) -> bytes:
    message = {"role": "assistant", "content": "Hello."}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    document = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_794_000_000, "model": model}
    return json_body(document | {"choices": [choice], "usage": usage} | more)


def completion_stream(
    usage: dict[str, Any], *, model: str = "gpt-5-2025-08-07", with_last: bool = False, **more: Any
) -> bytes:
    """`with_last`: the usage comes with the last choice, as some providers send it, and not in a chunk of its own."""
    start = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_794_000_000, "model": model} | more
    text = [{"index": 0, "delta": {"role": "assistant", "content": "Hello."}, "finish_reason": None}]
    last = [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]
    if with_last:
        return events(start | {"choices": text}, start | {"choices": last, "usage": usage})
    return events(start | {"choices": text}, start | {"choices": last}, start | {"choices": [], "usage": usage})


def groq_stream(usage: dict[str, Any]) -> bytes:
    """Groq puts the usage into a field of its own, beside the last choice."""
    start = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_794_000_000,
        "model": "openai/gpt-oss-120b",
    }
    text = [{"index": 0, "delta": {"role": "assistant", "content": "Hello."}, "finish_reason": None}]
    last = [{"index": 0, "delta": {}, "finish_reason": "stop"}]
    return events(start | {"choices": text}, start | {"choices": last, "x_groq": {"id": "req_1", "usage": usage}})


OPENAI_USAGE = {
    "prompt_tokens": 2_000,
    "completion_tokens": 300,
    "total_tokens": 2_300,
    "prompt_tokens_details": {"cached_tokens": 1_024, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 192, "audio_tokens": 0},
}
OPENAI_AUDIO_USAGE = {
    "prompt_tokens": 800,
    "completion_tokens": 300,
    "total_tokens": 1_100,
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 700},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 250},
}
PLAIN_USAGE = {"prompt_tokens": 50, "completion_tokens": 12, "total_tokens": 62}


# -- OpenAI's responses -------------------------------------------------------------------------------------------------

RESPONSES_USAGE = {
    "input_tokens": 2_000,
    "input_tokens_details": {"cached_tokens": 1_024},
    "output_tokens": 300,
    "output_tokens_details": {"reasoning_tokens": 192},
    "total_tokens": 2_300,
}


def _response(tier: str, *, status: str = "completed", usage: dict[str, Any] | None = None) -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello.", "annotations": []}
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_794_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": "gpt-5-2025-08-07",
        "output": [message] if usage else [],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "service_tier": tier,
        "usage": usage,
    }


def response(tier: str = "default") -> bytes:
    return json_body(_response(tier, usage=RESPONSES_USAGE))


def response_stream(tier: str = "default") -> bytes:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return events(
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": _response("auto", status="in_progress"),
        },
        {"type": "response.output_text.delta", "sequence_number": 1, "delta": "Hello.", "logprobs": [], **place},
        {"type": "response.completed", "sequence_number": 2, "response": _response(tier, usage=RESPONSES_USAGE)},
        done=False,
        named=True,
    )


# -- Anthropic's messages -----------------------------------------------------------------------------------------------

ANTHROPIC_USAGE = {
    "input_tokens": 50,
    "cache_creation_input_tokens": 9_000,
    "cache_read_input_tokens": 3_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 8_000},
    "output_tokens": 400,
    "service_tier": "standard",
    "inference_geo": "global",
}


def message(usage: dict[str, Any], *, model: str = "claude-sonnet-4-5-20250929") -> bytes:
    return json_body(
        _message(usage, model) | {"content": [{"type": "text", "text": "Hello."}], "stop_reason": "end_turn"}
    )


def _message(usage: dict[str, Any], model: str) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage,
    }


def message_stream(usage: dict[str, Any], *, model: str = "claude-sonnet-4-5-20250929") -> bytes:
    """`message_delta` repeats the counts of the input, as the API does today."""
    last = {key: value for key, value in usage.items() if key.endswith("_tokens")}
    return events(
        {"type": "message_start", "message": _message(usage | {"output_tokens": 1}, model)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": last},
        {"type": "message_stop"},
        done=False,
        named=True,
    )


# -- Amazon Bedrock's Converse ------------------------------------------------------------------------------------------

CONVERSE_USAGE = {
    "inputTokens": 50,
    "outputTokens": 400,
    "totalTokens": 12_450,
    "cacheReadInputTokens": 3_000,
    "cacheWriteInputTokens": 9_000,
    "cacheDetails": [{"ttl": "5m", "inputTokens": 1_000}, {"ttl": "1h", "inputTokens": 8_000}],
}


def converse(usage: dict[str, Any], **more: Any) -> bytes:
    content = {"role": "assistant", "content": [{"text": "Hello."}]}
    return json_body(
        {"output": {"message": content}, "stopReason": "end_turn", "usage": usage, "metrics": {"latencyMs": 5}} | more
    )


def converse_stream(usage: dict[str, Any], **more: Any) -> bytes:
    return aws_events(
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hello."}}),
        ("contentBlockStop", {"contentBlockIndex": 0}),
        ("messageStop", {"stopReason": "end_turn"}),
        ("metadata", {"usage": usage, "metrics": {"latencyMs": 5}} | more),
    )


# -- Google's generateContent -------------------------------------------------------------------------------------------

GEMINI_USAGE = {
    "promptTokenCount": 10_000,
    "cachedContentTokenCount": 2_000,
    "candidatesTokenCount": 200,
    "thoughtsTokenCount": 500,
    "toolUsePromptTokenCount": 30,
    "totalTokenCount": 10_730,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4_000}, {"modality": "AUDIO", "tokenCount": 6_000}],
    "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 2_000}],
    "candidatesTokensDetails": [{"modality": "TEXT", "tokenCount": 200}],
}


def gemini_document(usage: dict[str, Any], *, finished: bool = True) -> dict[str, Any]:
    candidate = {"content": {"role": "model", "parts": [{"text": "Hello."}]}, "index": 0}
    return {
        "candidates": [candidate | ({"finishReason": "STOP"} if finished else {})],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r-1",
    }


def gemini_stream(usage: dict[str, Any]) -> bytes:
    """Counts are cumulative; those of the answer grow from event to event."""
    early = usage | {"candidatesTokenCount": 60, "totalTokenCount": usage["totalTokenCount"] - 140}
    return events(gemini_document(early, finished=False), gemini_document(usage), done=False)


# -- Cohere, Ollama -----------------------------------------------------------------------------------------------------

COHERE_USAGE = {
    "billed_units": {"input_tokens": 10.0, "output_tokens": 12.0},
    "tokens": {"input_tokens": 74.0, "output_tokens": 15.0},
}


def cohere() -> bytes:
    content = {"role": "assistant", "content": [{"type": "text", "text": "Hello."}]}
    return json_body({"id": "c-1", "finish_reason": "COMPLETE", "message": content, "usage": COHERE_USAGE})


def cohere_stream() -> bytes:
    return events(
        {"type": "message-start", "id": "c-1", "delta": {"message": {"role": "assistant", "content": []}}},
        {"type": "content-start", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}},
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "Hello."}}}},
        {"type": "content-end", "index": 0},
        {"type": "message-end", "id": "c-1", "delta": {"finish_reason": "COMPLETE", "usage": COHERE_USAGE}},
        done=False,
        named=True,
    )


def ollama() -> bytes:
    start = {
        "model": "llama3.1:8b",
        "created_at": "2026-11-15T12:00:00Z",
        "message": {"role": "assistant", "content": "Hello."},
    }
    counts = {"prompt_eval_count": 50, "eval_count": 12, "total_duration": 9, "eval_duration": 5}
    lines = [start | {"done": False}, start | {"done": True, "done_reason": "stop", **counts}]
    return "\n".join(json.dumps(line) for line in lines).encode()
