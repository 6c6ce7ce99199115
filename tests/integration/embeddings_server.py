"""Providers of embeddings on the loopback, each as its API answers: fixed counts for each text, vectors of two numbers."""

from __future__ import annotations

import base64
import json
import re
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self

Json = dict[str, Any]

TOKENS = 4
"""What a provider says that each text has."""
VECTOR = [0.25, 0.5]


class Answer(NamedTuple):
    body: Any
    headers: dict[str, str] = {}


class EmbeddingsServer:
    """`with EmbeddingsServer() as server:` answers at `server.url`.

    `refuse` is the status of the next answers, one each; `counts` is False for a server that reports no usage; `extra` is
    added to the usage of OpenAI-shaped answers; `hold` is called before each answer; `recorded` is given instead of one.
    """

    def __init__(self) -> None:
        self.refuse: list[int] = []
        self.counts = True
        self.extra: Json = {}
        self.recorded: Any = None
        self.hold: Callable[[], Any] = int
        self.requests: list[tuple[str, Json, dict[str, str]]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.owner = self

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self) -> Json:
        """The attributes that say where a request went."""
        return {"server.address": "127.0.0.1", "server.port": self.port}

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: Json) -> Answer:
        if self.recorded is not None:
            return Answer(self.recorded)
        for pattern, make in _ANSWERS:
            if re.search(pattern, path):
                return make(self, body)
        raise LookupError(path)


class _Handler(BaseHTTPRequestHandler):
    # HTTP/1.0 closes the connection after each answer: no client keeps one that outlives its event loop.

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        owner: EmbeddingsServer = self.server.owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        owner.requests.append((self.path, body, dict(self.headers)))
        owner.hold()
        if owner.refuse:
            self._send(owner.refuse.pop(0), Answer({"error": {"message": "the text was: secret"}}))
        else:
            self._send(200, owner.answer(self.path, body))

    def do_GET(self) -> None:
        self._send(200, Answer({"data": [{"id": "nvidia/nv-embed", "object": "model"}]}))

    def _send(self, status: int, answer: Answer) -> None:
        data = json.dumps(answer.body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _texts(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]


def _openai(server: EmbeddingsServer, body: Json) -> Answer:
    texts = _texts(body["input"])
    vector: Any = VECTOR
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<2f", *VECTOR)).decode()
    if body["model"].startswith("pplx"):
        vector = base64.b64encode(struct.pack("2b", 1, 2)).decode()
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(texts))]
    tokens = TOKENS * len(texts)
    answer = {"object": "list", "data": data, "model": body["model"]}
    if server.counts:
        answer["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens, **server.extra}
    return Answer(answer)


def _cohere(server: EmbeddingsServer, body: Json) -> Answer:
    texts = body["texts"]
    meta: Json = {"api_version": {"version": "1"}}
    if server.counts:
        meta["billed_units"] = {"input_tokens": TOKENS * len(texts)}
    return Answer(
        {
            "id": "1",
            "texts": texts,
            "embeddings": {"float": [VECTOR] * len(texts)},
            "meta": meta,
            "response_type": "embeddings_by_type",
        }
    )


def _ollama(server: EmbeddingsServer, body: Json) -> Answer:
    texts = _texts(body["input"])
    counts = {"prompt_eval_count": TOKENS * len(texts)} if server.counts else {}
    return Answer({"model": body["model"], "embeddings": [VECTOR] * len(texts), **counts})


def _gemini(_: EmbeddingsServer, body: Json) -> Answer:
    return Answer({"embeddings": [{"values": VECTOR} for _ in body["requests"]]})


def _bedrock(server: EmbeddingsServer, body: Json) -> Answer:
    texts = body.get("texts", [body.get("inputText")])
    headers = {"X-Amzn-Bedrock-Input-Token-Count": str(TOKENS * len(texts))} if server.counts else {}
    vectors = {"embeddings": [VECTOR] * len(texts)} if "texts" in body else {"embedding": VECTOR}
    return Answer(vectors, headers)


def _features(_: EmbeddingsServer, body: Json) -> Answer:
    return Answer([VECTOR] * len(_texts(body["inputs"])))


_ANSWERS: list[tuple[str, Callable[[EmbeddingsServer, Json], Answer]]] = [
    (r"/v1/embed$", _cohere),
    (r"/api/embed$", _ollama),
    (r":batchEmbedContents", _gemini),
    (r"/model/.*/invoke", _bedrock),
    (r"/features", _features),
    (r"/embeddings", _openai),
]
