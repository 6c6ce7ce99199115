"""A provider on the loopback that keeps what reaches it, and quotes keys and prompts when it refuses a request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from loopback import LoopbackHandler, LoopbackServer
from planted_secrets import secret

Json = dict[str, Any]

REFUSED = "you shall not pass"
"""A prompt with this text is answered with 401."""
_PIECE = 7
"""Characters of one chunk of a stream, so that every secret is cut."""


class LeakyProvider(LoopbackServer):
    """`with LeakyProvider() as provider:` serves chat, text, embeddings and messages at any path of `provider.port`."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.requests: list[str] = []
        """Path, headers and body of each."""


class _Handler(LoopbackHandler):
    def answer(self) -> None:
        raw = self.received()
        self.server.owner.requests.append(f"{self.path}\n{self.headers}\n{raw}")
        body = json.loads(raw)
        if REFUSED in raw:
            key = self.headers["Authorization"]
            message = f"Incorrect API key provided: {key}. The prompt was: {raw}"
            self.send_json({"error": {"message": message, "type": "auth", "code": "c"}}, 401)
        elif body.get("stream"):
            self._stream(_chat_events(body))
        else:
            answer = _answer(body, is_anthropic="anthropic-version" in self.headers)
            self.send_json(answer, Set_Cookie=secret("session cookie"))

    def _stream(self, events: Iterator[Json]) -> None:
        self.start_events()
        for event in events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")


def _answer(body: Json, *, is_anthropic: bool) -> Json:
    if is_anthropic:
        usage = {"input_tokens": 10, "output_tokens": 5}
        content = [{"type": "text", "text": f"yours is {secret('third provider key')}"}]
        head = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"]}
        return {**head, "content": content, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    if "input" in body:
        data = [{"object": "embedding", "index": index, "embedding": [0.1, 0.2]} for index in range(len(body["input"]))]
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}
    head = {"id": "answer-1", "created": 1, "model": body["model"], "usage": usage}
    if "prompt" in body:
        choices = [{"index": 0, "text": f"yours is {secret('third provider key')}", "finish_reason": "stop"}]
        return {**head, "object": "text_completion", "choices": choices}
    message, reason = _message(body)
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return {**head, "object": "chat.completion", "choices": choices}


def _message(body: Json) -> tuple[Json, str]:
    """A call of the first tool that is offered, until it has been called; a document where a schema asks for one."""
    if body.get("response_format"):
        return {"role": "assistant", "content": json.dumps({"token": secret("host token")})}, "stop"
    if body.get("tools") and all(message["role"] != "tool" for message in body["messages"]):
        function = {
            "name": body["tools"][0]["function"]["name"],
            "arguments": json.dumps({"token": secret("git token")}),
        }
        calls = [{"id": "call_1", "type": "function", "function": function}]
        return {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    return {"role": "assistant", "content": f"yours is {secret('third provider key')}"}, "stop"


def _chat_events(body: Json) -> Iterator[Json]:
    head = {"id": "answer-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    text = f"yours is {secret('fast provider key')}"
    for start in range(0, len(text), _PIECE):
        delta = {"role": "assistant", "content": text[start : start + _PIECE]}
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    yield {**head, "choices": [], "usage": usage}
