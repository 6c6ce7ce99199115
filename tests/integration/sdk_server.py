"""The answers of three providers on the loopback, for their real SDKs, and the headers that those sent."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Json = dict[str, Any]

INPUT_TOKENS = 21
OUTPUT_TOKENS = 9
_OWN_TO_A_REQUEST = {"host", "content-length"}

_OPENAI_USAGE = {
    "prompt_tokens": INPUT_TOKENS,
    "completion_tokens": OUTPUT_TOKENS,
    "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
}
_OPENAI_HEAD = {"id": "answer-1", "created": 1, "model": "gpt-4o-2024-08-06"}
_OPENAI_CHAT = {
    **_OPENAI_HEAD,
    "object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    "usage": _OPENAI_USAGE,
}
_OPENAI_EVENTS = [
    {
        **_OPENAI_HEAD,
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
    },
    {**_OPENAI_HEAD, "object": "chat.completion.chunk", "choices": [], "usage": _OPENAI_USAGE},
]
_OPENAI_RESPONSE = {
    "id": "answer-1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o-2024-08-06",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hi", "annotations": []}],
        }
    ],
    "usage": {
        "input_tokens": INPUT_TOKENS,
        "output_tokens": OUTPUT_TOKENS,
        "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    },
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
}
_OPENAI_TEXT = {
    **_OPENAI_HEAD,
    "object": "text_completion",
    "choices": [{"index": 0, "text": "Hi", "finish_reason": "stop", "logprobs": None}],
    "usage": _OPENAI_USAGE,
}
_OPENAI_EMBEDDINGS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}],
    "usage": {"prompt_tokens": INPUT_TOKENS, "total_tokens": INPUT_TOKENS},
}
_CLAUDE = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-6"}
_CLAUDE_USAGE = {"input_tokens": INPUT_TOKENS, "output_tokens": OUTPUT_TOKENS}
_CLAUDE_MESSAGE = {
    **_CLAUDE,
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": _CLAUDE_USAGE,
}
_CLAUDE_EVENTS = [
    {
        "type": "message_start",
        "message": {**_CLAUDE, "content": [], "stop_reason": None, "stop_sequence": None, "usage": _CLAUDE_USAGE},
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": _CLAUDE_USAGE,
    },
    {"type": "message_stop"},
]
_GEMINI = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {
        "promptTokenCount": INPUT_TOKENS,
        "candidatesTokenCount": OUTPUT_TOKENS,
        "totalTokenCount": INPUT_TOKENS + OUTPUT_TOKENS,
    },
    "modelVersion": "gemini-2.5-flash",
    "responseId": "answer-1",
}

# By the end of the path: the answer, and the events of a stream.
_ANSWERS: dict[str, tuple[Json, list[Json]]] = {
    "/chat/completions": (_OPENAI_CHAT, _OPENAI_EVENTS),
    "/responses": (_OPENAI_RESPONSE, []),
    "/embeddings": (_OPENAI_EMBEDDINGS, []),
    "/completions": (_OPENAI_TEXT, []),
    "/messages": (_CLAUDE_MESSAGE, _CLAUDE_EVENTS),
    ":generateContent": (_GEMINI, []),
    ":streamGenerateContent": ({}, [_GEMINI]),
}


class SdkServer:
    """`with SdkServer() as server:` answers at `server.url`; `server.headers` has those of each request, by name."""

    def __init__(self) -> None:
        self.headers: list[dict[str, str]] = []
        self._server = _Server(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: SdkServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0 closes the connection after each answer: no client keeps one that outlives its event loop.
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        names = {name.lower(): value for name, value in self.headers.items()}
        self.server.owner.headers.append({key: names[key] for key in names if key not in _OWN_TO_A_REQUEST})
        path = self.path.partition("?")[0]
        answer, events = next(found for end, found in _ANSWERS.items() if path.endswith(end))
        streams = body.get("stream") or not answer
        data = b"".join(map(_event, events)) if streams else json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if streams else "application/json")
        self.end_headers()
        self.wfile.write(data)


def _event(event: Json) -> bytes:
    name = f"event: {event['type']}\n" if "type" in event else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()
