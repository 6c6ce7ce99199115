"""Two small providers on the loopback, one shaped like OpenAI's API and one like Anthropic's.

Their answers follow from the request alone: every tool that is offered is called once, then they answer; a schema is
filled in. They keep a bill of their own, which is what the telemetry is compared with.
"""

from __future__ import annotations

import base64
import json
import struct
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

Json = dict[str, Any]

WORDS = ("Good ", "morning ", "from Rome")
HANG = "take your time"
"""A prompt with this text gets no (further) answer until the client leaves."""
BREAK = "break off"
"""A stream for a prompt with this text ends with an error of the provider after its first words."""
DIMENSIONS = 3
_PAUSE = 0.005
"""Seconds before the last event of a stream: long enough for a generation rate to be measured."""
_LONGEST = 20.0
"""Seconds that nothing here takes longer than."""


class Billed(NamedTuple):
    """What one request was billed, in the conventions' terms: input includes what was cached."""

    input: int
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0
    embeddings: bool = False


class Answer(NamedTuple):
    document: Json
    billed: Billed
    events: list[Json] = []
    """The same as a stream."""


class ShapedServer:
    """`with OpenAIShaped() as server:` serves at `server.base_url` until the block ends."""

    named_events = False
    path = ""

    def __init__(self) -> None:
        self._server = _Server(self)
        self.reset()

    def reset(self) -> None:
        """Forget everything, and refuse nothing."""
        self.refuse: list[int] = []
        """Statuses of the next answers, one each."""
        self.billed: list[Billed] = []
        self.reached = threading.Event()
        """Set once a request hangs."""
        self.left = threading.Event()
        """Set by a test when its client has gone."""

    def answer(self, path: str, body: Json) -> Answer:
        raise NotImplementedError

    def breaking_event(self) -> Json:
        """What this provider sends when a stream fails under way."""
        return {"error": {"message": "overloaded: secret", "type": "server_error", "code": "overloaded"}}

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{self.path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, owner: ShapedServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0 closes the connection after each answer: no client keeps one that outlives its event loop.
    server: _Server

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        owner = self.server.owner
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if owner.refuse:
            refusal = {"type": "error", "error": {"message": "the prompt was: secret", "type": "t", "code": "c"}}
            self._send(refusal, owner.refuse.pop(0))
            return
        body = json.loads(raw)
        answer = owner.answer(self.path, body)
        hangs, breaks = HANG in raw, BREAK in raw
        if body.get("stream"):
            self._stream(answer, hangs=hangs, breaks=breaks)
        elif hangs:
            self._hang()
        else:
            owner.billed.append(answer.billed)
            self._send(answer.document, 200)

    def _hang(self) -> None:
        self.server.owner.reached.set()
        self.server.owner.left.wait(_LONGEST)

    def _send(self, document: Json, status: int) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status >= 400:
            self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, answer: Answer, *, hangs: bool, breaks: bool) -> None:
        owner = self.server.owner
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        events = answer.events
        if hangs or breaks:
            events = events[:4]
        else:
            owner.billed.append(answer.billed)
        try:
            for event in events:
                if event is answer.events[-1]:
                    time.sleep(_PAUSE)
                self._event(event)
            if breaks:
                self._event(owner.breaking_event())
            elif hangs:
                self._hang()
            elif not owner.named_events:
                self.wfile.write(b"data: [DONE]\n\n")
        except OSError:  # the client has left
            return

    def _event(self, event: Json) -> None:
        name = f"event: {event['type']}\n" if self.server.owner.named_events else ""
        self.wfile.write(f"{name}data: {json.dumps(event)}\n\n".encode())
        self.wfile.flush()


def _arguments(schema: Json) -> Json:
    """Something for every property of a JSON schema."""
    values: dict[str, Any] = {"integer": 2, "number": 2.0, "boolean": True, "array": [], "object": {}}
    return {name: values.get(str(row.get("type")), "Rome") for name, row in schema.get("properties", {}).items()}


# -- OpenAI ----------------------------------------------------------------------------------------------------------


class OpenAIShaped(ShapedServer):
    """Chat completions, text completions and embeddings."""

    path = "/v1"

    def answer(self, path: str, body: Json) -> Answer:
        return {
            "/v1/chat/completions": _openai_chat,
            "/v1/completions": _openai_text,
            "/v1/embeddings": _openai_embeddings,
        }[path](body)


def _openai_usage(billed: Billed, *, audio: int = 0) -> Json:
    return {
        "prompt_tokens": billed.input,
        "completion_tokens": billed.output,
        "total_tokens": billed.input + billed.output,
        "prompt_tokens_details": {"cached_tokens": billed.cache_read, "audio_tokens": audio},
        "completion_tokens_details": {"reasoning_tokens": billed.reasoning, "audio_tokens": 0},
    }


def _openai_chat(body: Json) -> Answer:
    messages = body["messages"]
    billed = Billed(20 + 7 * len(messages), 12, cache_read=8, reasoning=5)
    usage = _openai_usage(billed, audio=3 if "input_audio" in json.dumps(messages) else 0)
    head = {"id": "chatcmpl-1", "created": 1, "model": body["model"] + "-2024-08-06", "system_fingerprint": "fp_1"}
    message: Json = {"role": "assistant", "content": "".join(WORDS)}
    reason = "stop"
    if body.get("response_format"):
        schema = body["response_format"].get("json_schema", {}).get("schema", {})
        message["content"] = json.dumps(_arguments(schema))
    elif body.get("tools") and messages[-1]["role"] != "tool":
        calls = [_openai_tool_call(number, tool) for number, tool in enumerate(body["tools"])]
        message, reason = {"role": "assistant", "content": None, "tool_calls": calls}, "tool_calls"
    choices = [{"index": index, "message": message, "finish_reason": reason} for index in range(body.get("n") or 1)]
    whole = {**head, "object": "chat.completion", "service_tier": "default", "choices": choices, "usage": usage}
    return Answer(whole, billed, list(_openai_chat_events(head, message, reason, body, usage)))


def _openai_tool_call(number: int, tool: Json) -> Json:
    function = tool["function"]
    arguments = json.dumps(_arguments(function.get("parameters", {})))
    return {
        "index": number,
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": function["name"], "arguments": arguments},
    }


def _openai_chat_events(head: Json, message: Json, reason: str, body: Json, usage: Json) -> Iterator[Json]:
    chunk = {**head, "object": "chat.completion.chunk", "service_tier": "default"}

    def event(delta: Json, finish: str | None = None) -> Json:
        return {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    yield event({"role": "assistant", "content": ""})
    if message.get("tool_calls"):
        yield event({"tool_calls": message["tool_calls"]})
    elif message["content"] == "".join(WORDS):
        yield from (event({"content": word}) for word in WORDS)
    else:
        yield event({"content": message["content"]})
    yield event({}, reason)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**chunk, "choices": [], "usage": usage}


def _openai_text(body: Json) -> Answer:
    prompts = body["prompt"] if isinstance(body["prompt"], list) else [body["prompt"]]
    billed = Billed(10 * len(prompts), 6 * len(prompts))
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": body["model"]}
    choices = [{"index": n, "text": "".join(WORDS), "finish_reason": "stop"} for n in range(len(prompts))]
    usage = {"prompt_tokens": billed.input, "completion_tokens": billed.output, "total_tokens": billed[0] + billed[1]}
    pieces = [*((word, None) for word in WORDS), ("", "stop")]
    events = [{**head, "choices": [{"index": 0, "text": text, "finish_reason": end}]} for text, end in pieces]
    return Answer({**head, "choices": choices, "usage": usage}, billed, events)


def _openai_embeddings(body: Json) -> Answer:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: Any = [0.1 * (number + 1) for number in range(body.get("dimensions") or DIMENSIONS)]
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    data = [{"object": "embedding", "index": n, "embedding": vector} for n in range(len(texts))]
    billed = Billed(4 * len(texts), embeddings=True)
    usage = {"prompt_tokens": billed.input, "total_tokens": billed.input}
    return Answer({"object": "list", "data": data, "model": body["model"], "usage": usage}, billed)


# -- Anthropic -------------------------------------------------------------------------------------------------------


class AnthropicShaped(ShapedServer):
    """Messages."""

    named_events = True

    def answer(self, path: str, body: Json) -> Answer:
        return {"/v1/messages": _anthropic_message}[path](body)

    def breaking_event(self) -> Json:
        return {"type": "error", "error": {"type": "overloaded_error", "message": "overloaded: secret"}}


def _anthropic_message(body: Json) -> Answer:
    messages = body["messages"]
    plain = 5 + 7 * len(messages)
    billed = Billed(plain + 8 + 6, 12, cache_read=8, cache_write=6)
    usage = {
        "input_tokens": plain,
        "cache_read_input_tokens": 8,
        "cache_creation_input_tokens": 6,
        "output_tokens": billed.output,
    }
    answered = any(isinstance(b, dict) and b.get("type") == "tool_result" for b in messages[-1]["content"])
    content: list[Json] = [{"type": "text", "text": "".join(WORDS)}]
    reason = "end_turn"
    schema = (body.get("output_config") or {}).get("format", {}).get("schema")
    if schema:
        content = [{"type": "text", "text": json.dumps(_arguments(schema))}]
    elif body.get("tools") and not answered:
        content, reason = [_anthropic_tool_use(n, tool) for n, tool in enumerate(body["tools"])], "tool_use"
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"] + "-20251001",
        "stop_sequence": None,
    }
    whole = {**head, "content": content, "stop_reason": reason, "usage": usage}
    return Answer(whole, billed, list(_anthropic_events(head, content, reason, usage)))


def _anthropic_tool_use(number: int, tool: Json) -> Json:
    arguments = _arguments(tool.get("input_schema", {}))
    return {"type": "tool_use", "id": f"toolu_{number}", "name": tool["name"], "input": arguments}


def _anthropic_events(head: Json, content: list[Json], reason: str, usage: Json) -> Iterator[Json]:
    start = {**head, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": start}
    for index, block in enumerate(content):
        if block["type"] == "text":
            empty: Json = {"type": "text", "text": ""}
            deltas = [{"type": "text_delta", "text": word} for word in WORDS]
        else:
            empty = {**block, "input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for delta in deltas:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    ending = {"stop_reason": reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ending, "usage": usage}
    yield {"type": "message_stop"}
