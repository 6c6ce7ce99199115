"""A model provider on this machine: an OpenAI-compatible HTTP server with written answers and honest bookkeeping.

It listens on 127.0.0.1 and a free port, needs no network and no key but `demo`, and answers the same to the same seed.
Like the real ones it caches long system prompts, bills reasoning, refuses prompts that are too long, limits the rate,
and breaks now and then.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Self, cast

from langmeter.demo import embeddings, wire
from langmeter.demo.answers import MODELS, Question, compose, draw, tokens
from langmeter.demo.ledger import Entry, Ledger, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

API_KEY = "demo"
_CACHED_FROM = 1024
_CACHED_STEP = 128
_EMBEDDINGS = "/v1/embeddings"
_PATHS = ("/v1/chat/completions", "/v1/completions", "/v1/responses", _EMBEDDINGS)

INCIDENTS: Mapping[str, tuple[int, HTTPStatus]] = {
    "gpt-4.1": (2, HTTPStatus.INTERNAL_SERVER_ERROR),
    "o4-mini": (2, HTTPStatus.TOO_MANY_REQUESTS),
}
"""What goes wrong: every n-th request to a model. Counted, not timed, so that a run can be repeated."""


class Refusal(Exception):  # noqa: N818  (an answer of the provider, not a fault of the program)
    """The provider answers with an error."""

    def __init__(self, status: HTTPStatus, message: str, kind: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = wire.error(message, kind, code)


class Provider:
    """`with Provider(seed=…, speed=…) as provider:` serves at `provider.base_url` until the block ends.

    `speed` 1 takes the time that a quick real model would, 2 half of it; 0 answers at once. `ledger` says what was
    answered. Safe under threads.
    """

    def __init__(self, *, seed: int = 7, speed: float = 1.0) -> None:
        self.seed = seed
        self.speed = speed
        self.ledger = Ledger()
        self._lock = threading.Lock()
        self._requests: Counter[str] = Counter()
        self._prompts_seen: set[tuple[str, str]] = set()
        self._numbers = itertools.count(1)
        self._server = _Server(self)

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="demo-provider", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, questions: tuple[Question, ...]) -> wire.Answer:
        """The answer to one request, or a `Refusal`."""
        model = questions[0].model
        self._admit(model, max(question.input_tokens for question in questions), embeds=False)
        replies = tuple(compose(question, self.seed) for question in questions)
        usage = Usage(
            sum(question.input_tokens for question in questions),
            sum(reply.output_tokens for reply in replies),
            sum(self._cached_tokens(question) for question in questions),
            sum(reply.reasoning_tokens for reply in replies),
        )
        return wire.Answer(f"demo-{next(self._numbers)}", MODELS[model].release, replies, usage)

    def embed(self, asked: embeddings.EmbeddingRequest) -> wire.Json:
        """The vectors for one request, or a `Refusal`."""
        self._admit(asked.model, max(map(tokens, asked.texts)), embeds=True)
        return embeddings.response(asked, MODELS[asked.model].release)

    def wait(self, model: str, generated: float, *, first: bool = False, text: str = "") -> None:
        """Take the time for some tokens, and before the first ones for reading the prompt."""
        if self.speed > 0:
            pace = MODELS[model]
            mood = 0.7 + draw(self.seed, model, text, "mood") % 1000 / 1250 if first else 1.0
            time.sleep((pace.first_token * mood * first + generated / pace.tokens_per_second) / self.speed)

    def _admit(self, model: str, size: int, *, embeds: bool) -> None:
        """Refuse a model that there is not, what it cannot do, the incidents, and a text that it cannot hold."""
        if model not in MODELS:
            raise Refusal(
                HTTPStatus.NOT_FOUND, f"The model `{model}` does not exist", "invalid_request_error", "model_not_found"
            )
        if MODELS[model].embeds != embeds:
            text = f"The model `{model}` is not one for this endpoint"
            raise Refusal(HTTPStatus.NOT_FOUND, text, "invalid_request_error")
        self._incident(model)
        if size > MODELS[model].context:
            text = f"This model's context holds {MODELS[model].context} tokens, the prompt has {size}"
            raise Refusal(HTTPStatus.BAD_REQUEST, text, "invalid_request_error", "context_length_exceeded")

    def _incident(self, model: str) -> None:
        with self._lock:
            self._requests[model] += 1
            number = self._requests[model]
        every, status = INCIDENTS.get(model, (0, HTTPStatus.OK))
        if not every or number % every:
            return
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            raise Refusal(status, f"Rate limit reached for {model}", "requests", "rate_limit_exceeded")
        raise Refusal(status, "The server had an error while processing the request", "server_error")

    def _cached_tokens(self, question: Question) -> int:
        """Tokens read from the prompt cache: whole steps of a long system prompt that this model has seen before."""
        size = tokens(question.system)
        if size < _CACHED_FROM:
            return 0
        with self._lock:
            seen = (question.model, question.system) in self._prompts_seen
            self._prompts_seen.add((question.model, question.system))
        return size // _CACHED_STEP * _CACHED_STEP if seen else 0


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, provider: Provider) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.provider = provider

    def handle_error(self, _request: object, _client: object) -> None:
        """Stay silent: a client that hangs up is part of the demo."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes; waiting to join them would cost 40 ms an answer

    @property
    def _provider(self) -> Provider:
        return cast("_Server", self.server).provider

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal belongs to the view."""

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        try:
            self._refuse_strangers()
            if self.path == _EMBEDDINGS:
                self._embed(embeddings.request(body))
            else:
                self._generate(body)
        except Refusal as refusal:
            prompts = len(body["prompt"]) if isinstance(body.get("prompt"), list) else 1
            self._provider.ledger.book(Entry(str(body.get("model")), refusal.status, prompts))
            self._send(refusal.status, refusal.body)

    def _embed(self, asked: embeddings.EmbeddingRequest) -> None:
        body = self._provider.embed(asked)
        self._provider.ledger.book(Entry(asked.model, HTTPStatus.OK, usage=Usage(asked.input_tokens, 0)))
        self._provider.wait(asked.model, asked.input_tokens, first=True, text=asked.texts[0])
        self._send(HTTPStatus.OK, body)

    def _generate(self, body: wire.Json) -> None:
        questions = wire.questions(self.path, body)
        model = questions[0].model
        answer = self._provider.answer(questions)
        reported = answer.usage if wire.wants_usage(self.path, body) else None
        self._provider.ledger.book(Entry(model, HTTPStatus.OK, len(questions), reported))
        if body.get("stream"):
            self._stream(questions[0], answer, with_usage=reported is not None)
        else:
            self._provider.wait(model, answer.usage.output, first=True, text=questions[0].text)
            self._send(HTTPStatus.OK, wire.complete(self.path, answer))

    def _refuse_strangers(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {API_KEY}":
            raise Refusal(
                HTTPStatus.UNAUTHORIZED, "Incorrect API key provided", "invalid_request_error", "invalid_api_key"
            )
        if self.path not in _PATHS:
            raise Refusal(HTTPStatus.NOT_FOUND, f"No such endpoint: {self.path}", "invalid_request_error")

    def _send(self, status: HTTPStatus, body: wire.Json) -> None:
        data = json.dumps(body).encode()
        self.close_connection = True  # clients come and go; none is left with an idle socket
        self.send_response(status)
        self.send_header("Connection", "close")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status is HTTPStatus.TOO_MANY_REQUESTS:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(data)

    def _stream(self, question: Question, answer: wire.Answer, *, with_usage: bool) -> None:
        self.close_connection = True
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        named = self.path.endswith("/responses")
        try:
            self._provider.wait(question.model, 0, first=True, text=question.text)
            for chunk in wire.chunks(self.path, answer, with_usage=with_usage):
                self._provider.wait(question.model, chunk.tokens)
                name = f"event: {chunk.data['type']}\n" if named else ""
                self.wfile.write(f"{name}data: {json.dumps(chunk.data)}\n\n".encode())
            if not named:
                self.wfile.write(b"data: [DONE]\n\n")
        except OSError:  # the reader has left, and the answer is booked
            return
