"""Recorded provider traffic, served from this machine as if by the provider.

A recording is a directory of JSON-lines files, one real HTTP exchange with a model provider per line. `ReplayServer`
answers with the recorded bodies, and `call` drives the LangChain class that would have made the request. Nothing here
leaves the machine, and nothing here knows about the instrumentation.
"""

from __future__ import annotations

import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Self
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from langmeter.demo.replay_models import Recorded, Replay, Unsupported, prepare
from langmeter.errors import LangmeterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = ["Exchange", "RecordingError", "Replay", "ReplayServer", "Unsupported", "acall", "call", "load", "replay_of"]

# Framing belongs to the connection, not to the answer: the recorded body is already decoded and whole.
_FRAMING_HEADERS = frozenset({"connection", "content-encoding", "content-length", "keep-alive", "transfer-encoding"})


class RecordingError(LangmeterError, ValueError):
    """A recording cannot be read; the message names the file, the line, what is wrong and the fix."""


class Exchange(BaseModel):
    """One recorded HTTP exchange; immutable, safe to share between threads."""

    model_config = ConfigDict(frozen=True, strict=True)

    id: str
    provider: str
    """A `gen_ai.provider.name` value."""
    endpoint: str
    """Path of the provider's API."""
    status: int
    streaming: bool
    """Whether the body is a stream: server-sent events, or one JSON document per line."""
    request: dict[str, Any]
    response_headers: dict[str, str]
    response_body: str
    """Exactly as the provider sent it."""


def load(directory: str | Path) -> tuple[Exchange, ...]:
    """Every exchange of a directory of `*.jsonl` files, in order of file name and line.

    An id that occurs twice gets a suffix, so that ids are distinct.

    Raises:
        RecordingError: the directory has no such files, or a line is not an exchange.
    """
    files = sorted(Path(directory).glob("*.jsonl"))
    if not files:
        raise RecordingError(f"no *.jsonl files in {directory}: give the directory that holds the recordings")
    return _with_distinct_ids(exchange for file in files for exchange in _exchanges(file))


def _exchanges(file: Path) -> Iterator[Exchange]:
    # Not `splitlines`: it would cut at characters such as U+2028, which JSON strings may hold.
    for number, line in enumerate(file.read_bytes().split(b"\n"), start=1):
        if line.strip():
            try:
                yield Exchange.model_validate_json(line)
            except ValidationError as error:
                _explain(file, number, error)


def _explain(file: Path, number: int, error: ValidationError) -> NoReturn:
    problem = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in problem["loc"])
    where = f"field {field!r}: " if field else ""
    fix = f"each line is one JSON object with the fields {', '.join(Exchange.model_fields)}; correct or remove this one"
    raise RecordingError(f"{file}, line {number}: {where}{problem['msg']}; {fix}") from None


def _with_distinct_ids(exchanges: Iterable[Exchange]) -> tuple[Exchange, ...]:
    seen: Counter[str] = Counter()
    distinct = []
    for exchange in exchanges:
        seen[exchange.id] += 1
        times = seen[exchange.id]
        distinct.append(exchange if times == 1 else exchange.model_copy(update={"id": f"{exchange.id}~{times}"}))
    return tuple(distinct)


class ReplayServer:
    """A server on the loopback interface that answers with recorded bodies.

    Each exchange lives under a path of its own, `/{id}/…`, so that concurrent replays never mix. Status, headers and
    body are those of the recording; a stream is sent event by event. Every answer closes its connection, which leaves
    no idle sockets behind in the clients. Safe to use from any number of threads and event loops.

    Raises:
        RecordingError: from the constructor, as `load`.
    """

    def __init__(self, recording: str | Path | Sequence[Exchange]) -> None:
        self.exchanges = load(recording) if isinstance(recording, (str, Path)) else tuple(recording)
        self._server = _Server({exchange.id: exchange for exchange in self.exchanges})
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="replay", daemon=True)

    @property
    def base_url(self) -> str:
        """Where the server listens, without a trailing slash."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, exchanges: Mapping[str, Exchange]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.exchanges = exchanges

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client that closes a stream half-way is part of the game."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        key = unquote(urlsplit(self.path).path.split("/")[1])
        exchange = self.server.exchanges.get(key)
        if exchange is None:
            self.send_error(404, "no such exchange in the recording")
            return
        self.send_response(exchange.status)
        for name, value in exchange.response_headers.items():
            if name.lower() not in _FRAMING_HEADERS:
                self.send_header(name, value)
        self.send_header("connection", "close")
        if exchange.streaming:
            self._send_stream(exchange.response_body)
        else:
            self._send_whole(exchange.response_body.encode())

    def _send_whole(self, body: bytes) -> None:
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_stream(self, body: str) -> None:
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in _events(body):
            data = event.encode()
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the name is the base class's)
        """Keep quiet."""


def _events(body: str) -> Iterator[str]:
    """The pieces in which a provider sends a stream: events up to their blank line, or single lines."""
    end = "\n\n" if "\n\n" in body else "\n"
    pieces = body.split(end)
    yield from (piece + end for piece in pieces[:-1])
    if pieces[-1]:
        yield pieces[-1]


def replay_of(exchange: Exchange, base_url: str) -> Replay:
    """The LangChain model and input that make this exchange's request to a `ReplayServer`; nothing is sent yet.

    Raises:
        Unsupported: no installed LangChain class can make the request; the message says why.
    """
    place = f"{base_url}/{quote(exchange.id, safe='')}"
    return prepare(exchange.provider, exchange.endpoint, Recorded(exchange.request, place, exchange.streaming))


def call(exchange: Exchange, base_url: str) -> bool:
    """Make the request through LangChain and read the answer to its end: True, or False if the class raised.

    A recorded failure, or a body that the class cannot parse, is a failed call like any other.

    Raises:
        Unsupported: as `replay_of`.
    """
    replay = replay_of(exchange, base_url)
    try:
        replay.run()
    except Exception:  # noqa: BLE001  (which exception is the class's affair)
        return False
    return True


async def acall(exchange: Exchange, base_url: str) -> bool:
    """As `call`, through the asynchronous methods of the class."""
    replay = replay_of(exchange, base_url)
    try:
        await replay.arun()
    except Exception:  # noqa: BLE001  (which exception is the class's affair)
        return False
    return True
