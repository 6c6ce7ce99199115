"""A small OpenAI-compatible provider on the loopback: fixed answers, fixed usage, and the ways in which one breaks."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

from loopback import LoopbackHandler, LoopbackServer

Json = dict[str, Any]

INPUT_TOKENS = 20
CACHED_TOKENS = 8
"""Part of the input."""
OUTPUT_TOKENS = 12
REASONING_TOKENS = 5
"""Part of the output."""
FINGERPRINT = "fp_1"
ANSWER_ID = "answer-1"
RELEASE = "-2024-08-06"
"""What the provider adds to the name of the model that was asked for."""

CHAT_USAGE: Json = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
    "completion_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
}
RESPONSES_USAGE: Json = {
    "input_tokens": INPUT_TOKENS,
    "output_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
    "input_tokens_details": {"cached_tokens": CACHED_TOKENS},
    "output_tokens_details": {"reasoning_tokens": REASONING_TOKENS},
}
_WORDS = ("Good ", "morning")
_PAUSE = 0.005
"""Seconds before the last event of a stream: long enough for a generation rate to be measured at all."""


class OpenAIServer(LoopbackServer):
    """`with OpenAIServer() as server:` serves chat, completions, responses and decisions at `server.base_url`.

    `refuse` is the status of the next answers, one each; `events` cuts a stream off after so many events, without an error.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.refuse: list[int] = []
        self.events: int | None = None
        self.requests: list[tuple[str, Json]] = []

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def address(self) -> Json:
        """The attributes that say where a request went."""
        return {"server.address": "127.0.0.1", "server.port": self.port}


class _Handler(LoopbackHandler):
    def answer(self) -> None:
        owner = self.server.owner
        body = json.loads(self.received())
        owner.requests.append((self.path, body))
        if owner.refuse:
            refusal = {"error": {"message": "the prompt was: secret", "type": "t", "code": "c"}}
            self.send_json(refusal, owner.refuse.pop(0), x_request_id=ANSWER_ID, retry_after_ms="1")
        elif body.get("stream"):
            self._stream(_EVENTS[self.path](body), named=self.path == "/v1/responses")
        else:
            self.send_json(_ANSWERS[self.path](body), x_request_id=ANSWER_ID)

    def _stream(self, events: list[Json], *, named: bool) -> None:
        limit = self.server.owner.events
        self.start_events()
        try:
            for event in events[:-1] if limit is None else events[:limit]:
                self._event(event, named=named)
            if limit is None:
                time.sleep(_PAUSE)
                self._event(events[-1], named=named)
                self.wfile.write(b"" if named else b"data: [DONE]\n\n")
        except OSError:  # the client has left
            return

    def _event(self, event: Json, *, named: bool) -> None:
        name = f"event: {event['type']}\n" if named else ""
        self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


def _head(body: Json, kind: str) -> Json:
    model = body["model"] if kind == "text_completion" else body["model"] + RELEASE
    return {"id": ANSWER_ID, "object": kind, "created": 1, "model": model, "system_fingerprint": FINGERPRINT}


def _chat(body: Json) -> Json:
    message: Json = {"role": "assistant", "content": "".join(_WORDS)}
    if body.get("response_format"):
        message["content"] = '{"city": "Rome"}'
    if body.get("tools"):
        message = {"role": "assistant", "content": None, "tool_calls": [_tool_call(body)]}
    choices = [
        {"index": index, "message": message, "finish_reason": _chat_reason(body)} for index in range(body.get("n") or 1)
    ]
    head = {**_head(body, "chat.completion"), "service_tier": "default"}
    return {**head, "choices": choices, "usage": CHAT_USAGE}


def _tool_call(body: Json) -> Json:
    name = body["tools"][0]["function"]["name"]
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": '{"city": "Rome"}'}}


def _chat_reason(body: Json) -> str:
    return "tool_calls" if body.get("tools") else "stop"


def _chat_events(body: Json) -> list[Json]:
    head = {**_head(body, "chat.completion.chunk"), "service_tier": "default"}

    def event(delta: Json, reason: str | None = None) -> Json:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    deltas = [{"content": word} for word in _WORDS]
    if body.get("tools"):
        deltas = [{"tool_calls": [{"index": 0, **_tool_call(body)}]}]
    events = [event({"role": "assistant", "content": ""}), *map(event, deltas), event({}, _chat_reason(body))]
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({**head, "choices": [], "usage": CHAT_USAGE})
    return events


def _text(body: Json) -> Json:
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    choices = [
        {"index": index, "text": "".join(_WORDS), "finish_reason": "stop", "logprobs": None}
        for index in range(len(prompts) * (body.get("n") or 1))
    ]
    return {**_head(body, "text_completion"), "choices": choices, "usage": CHAT_USAGE}


def _text_events(body: Json) -> list[Json]:
    head = _head(body, "text_completion")
    pieces = [*((word, None) for word in _WORDS), ("", "stop")]
    return [{**head, "choices": [{"index": 0, "text": text, "finish_reason": reason}]} for text, reason in pieces]


def _response(body: Json, status: str = "completed") -> Json:
    done = status == "completed"
    return {
        "id": ANSWER_ID,
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": body["model"] + RELEASE,
        "output": [_output_item()] if done else [],
        "usage": RESPONSES_USAGE if done else None,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "text": {"format": {"type": "text"}},
        "service_tier": "default",
    }


def _output_item() -> Json:
    part = {"type": "output_text", "text": "".join(_WORDS), "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [part]}


def _response_events(body: Json) -> list[Json]:
    item, numbers = _output_item(), itertools.count()
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    part = item["content"][0]

    def events() -> Iterator[tuple[str, Json]]:
        yield "created", {"response": _response(body, "in_progress")}
        yield "output_item.added", {"output_index": 0, "item": {**item, "status": "in_progress", "content": []}}
        yield "content_part.added", {**place, "part": {**part, "text": ""}}
        for word in _WORDS:
            yield "output_text.delta", {**place, "delta": word, "logprobs": []}
        yield "output_text.done", {**place, "text": part["text"], "logprobs": []}
        yield "content_part.done", {**place, "part": part}
        yield "output_item.done", {"output_index": 0, "item": item}
        yield "completed", {"response": _response(body)}

    return [{"type": f"response.{kind}", "sequence_number": next(numbers), **fields} for kind, fields in events()]


def _decision(body: Json) -> Json:
    answers = [{"name": question["name"], "type": "predicate", "probability": 0.9} for question in body["questions"]]
    usage = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
    return {"model": body["model"] + RELEASE, "answers": answers, "usage": usage}


_ANSWERS = {
    "/v1/chat/completions": _chat,
    "/v1/completions": _text,
    "/v1/responses": _response,
    "/v1/decisions": _decision,
}
_EVENTS = {
    "/v1/chat/completions": _chat_events,
    "/v1/completions": _text_events,
    "/v1/responses": _response_events,
}
