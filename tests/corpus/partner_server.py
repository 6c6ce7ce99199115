"""A provider on this machine, and one question to it through a real LangChain class."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from langchain_core.callbacks import BaseCallbackHandler

from langmeter.events import ReportedUsage
from langmeter.langchain.extract import model_response

if TYPE_CHECKING:
    from langchain_core.language_models import BaseLanguageModel

JSON, JSON_LINES = "application/json", "application/x-ndjson"
EVENTS, AWS_EVENTS = "text/event-stream", "application/vnd.amazon.eventstream"


class Answer(NamedTuple):
    body: bytes
    content_type: str = JSON
    headers: dict[str, str] = {}


class LocalProvider:
    """Gives one answer to every request: `answer`, which a test sets."""

    def __init__(self) -> None:
        self.answer = Answer(b"{}")
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.provider = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        body, content_type, headers = self.server.provider.answer
        self.send_response(200)
        for name, value in {"content-type": content_type, "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Heard(NamedTuple):
    """What came of one question."""

    provider: str
    """As LangChain names it."""
    usage: ReportedUsage
    total_tokens: int | None
    """The integration's own total."""


class _Listener(BaseCallbackHandler):
    def __init__(self) -> None:
        self.provider = ""
        self.usage = ReportedUsage()

    def on_chat_model_start(self, *_: Any, metadata: dict[str, Any], **__: Any) -> None:
        self.provider = metadata["ls_provider"]

    def on_llm_start(self, *_: Any, metadata: dict[str, Any], **__: Any) -> None:
        self.provider = metadata["ls_provider"]

    def on_llm_end(self, result: Any, **_: Any) -> None:
        self.usage = model_response(result).usage


def ask(model: BaseLanguageModel[Any], *, streamed: bool) -> Heard:
    """Ask a model and read its answer as the instrumentation does: from what LangChain tells a callback."""
    listener = _Listener()
    config = {"callbacks": [listener]}
    message: Any = None
    if streamed:
        for chunk in model.stream("Hi", config=config):
            message = chunk if message is None else message + chunk
    else:
        message = model.invoke("Hi", config=config)
    usage = getattr(message, "usage_metadata", None) or {}
    return Heard(listener.provider, listener.usage, usage.get("total_tokens"))
